"""What did not enter: kept with its reason and its bytes, and what people decide about it."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from itertools import islice

from wafergate.domain.gate import LedgerKind
from wafergate.domain.identity import digest_bytes, identify
from wafergate.domain.quarantine import QuarantineChange, QuarantineState, Released, change
from wafergate.domain.samples import Quarantined, QuarantineReason
from wafergate.errors import QuarantineError, SourceError
from wafergate.jobs.named_rows import find_by_digits
from wafergate.jobs.parts import Parts, ahead
from wafergate.ports import LedgerDraft, Source
from wafergate.spool import Spool

__all__ = ["Held", "Refused", "decide_on", "find_held", "held", "released_in", "set_aside"]

_BATCH = 1000  # rows saved at a time


@dataclass(frozen=True, slots=True)
class Refused:
    """Something of a source that does not enter; `digest` where its bytes are in the store already."""

    path: str
    reason: QuarantineReason
    detail: str
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """An entry of the quarantine, and what was decided about it, oldest first."""

    entry: Quarantined
    changes: tuple[QuarantineChange, ...] = ()

    @property
    def state(self) -> QuarantineState:
        """Where it stands."""
        return self.changes[-1].state if self.changes else QuarantineState.OPEN


def set_aside(parts: Parts, line: str, source: Source, refused: Collection[Refused]) -> None:
    """Keep what did not enter, its bytes in S3 and why in the store; a rerun does not list it twice."""
    if not refused:
        return
    now, present = parts.clock(), Spool(source.names(), key=str)

    def with_bytes(item: Refused) -> Refused:
        if item.digest is not None or item.path not in present:
            return item
        try:
            return replace(item, digest=parts.files.put(source.read(item.path)))
        except SourceError:  # that it cannot be read is what its own detail says
            return item

    rows = (
        Quarantined(
            id=identify("quarantine", line, source.title, item.path, item.reason, item.digest),
            line=line,
            path=item.path,
            reason=item.reason,
            detail=item.detail,
            digest=item.digest,
            created_at=now,
        )
        for item in ahead(with_bytes, refused)
    )
    while some := list(islice(rows, _BATCH)):
        parts.facts.save_all(some)


def released_in(parts: Parts, line: str, source: Source) -> Released:
    """Return what people of this line let in and this source holds, byte for byte as it was when they did."""
    changes = parts.facts.find(QuarantineChange, line=line)
    entries = parts.facts.find(Quarantined, id=[item.quarantined_id for item in changes]) if changes else []
    released = [item for item in _joined(entries, changes) if item.state is QuarantineState.RELEASED]
    present = {item.entry.path for item in released}.intersection(source.names()) if released else ()
    return frozenset(
        (item.entry.path, item.entry.reason)
        for item in released
        if item.entry.path in present and digest_bytes(source.read(item.entry.path)) == item.entry.digest
    )


def held(parts: Parts, *, line: str = "") -> list[Held]:
    """Return the quarantine of a line, or of all, newest first."""
    if not line:
        return _joined(parts.facts.find(Quarantined), parts.facts.find(QuarantineChange))
    return _joined(parts.facts.find(Quarantined, line=line), parts.facts.find(QuarantineChange, line=line))


def _joined(entries: Iterable[Quarantined], changes: Iterable[QuarantineChange]) -> list[Held]:
    decided: dict[str, list[QuarantineChange]] = defaultdict(list)
    for item in sorted(changes, key=lambda item: item.step):
        decided[item.quarantined_id].append(item)
    return [Held(entry, tuple(decided[entry.id])) for entry in entries]


def find_held(parts: Parts, key: str) -> Held:
    """Return the entry of an id, or of the first digits of one as lists show them.

    Raises:
        NotFoundError: there is none, or there are several.
    """
    entry = find_by_digits(parts.facts, Quarantined, key, prefix="quarantine-", shown_by="wafergate quarantine list")
    return _joined([entry], parts.facts.find(QuarantineChange, quarantined_id=entry.id))[0]


def decide_on(parts: Parts, item: Held, state: QuarantineState, *, actor: str, reason: str) -> QuarantineChange:
    """Release or drop an entry; the row, its file and every earlier decision stay.

    Raises:
        QuarantineError: it stands so already, its reason cannot be overruled, or somebody else decided just now.
    """
    made = change(item.entry, item.changes, state, actor=actor, reason=reason, now=parts.clock())
    told = {
        "path": item.entry.path,
        "reason": item.entry.reason.value,
        "state": state.value,
        "digest": item.entry.digest,
    }
    draft = LedgerDraft(item.entry.line, LedgerKind.QUARANTINE, item.entry.id, actor, reason, told)
    if not parts.facts.save(made, ledger=[draft]):
        message = f"somebody else decided about {item.entry.path} at the same moment; look at it again"
        raise QuarantineError(message)
    return made
