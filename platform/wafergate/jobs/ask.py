"""Questions to the ledger: does its chain hold, and which model judged a lot, released by whom, on what evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wafergate.domain.evaluation import Evaluation
from wafergate.domain.gate import Champion, GateDecision, LedgerEntry, LedgerKind
from wafergate.domain.inspection import LotRun
from wafergate.domain.samples import DatasetVersion
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import NotFoundError
from wafergate.jobs.parts import Parts

__all__ = ["Answer", "ask", "verify"]

_CHANGES = {LedgerKind.PROMOTED, LedgerKind.ROLLED_BACK}


@dataclass(frozen=True, slots=True)
class Answer:
    """Which model judged a lot, and why it was allowed to.

    Attributes:
        line: the production line.
        lot: the lot.
        at: the time asked for.
        runs: inspections of the lot up to that time, newest first; empty where none is stored, and then the model is
            the line's champion of that time.
        later: inspections of the lot after that time.
        model: what judged it.
        change: the ledger entry that put the model in charge.
        until: when another model took over; None while it is champion.
        release: the ledger entry of the model's release; another one than `change` after a rollback.
        decision: the gate's verdict it was released on.
        evaluation: the test figures behind the verdict.
        dataset: the data behind the figures.
    """

    line: str
    lot: str
    at: datetime
    runs: tuple[LotRun, ...]
    later: tuple[LotRun, ...]
    model: ModelVersion
    change: LedgerEntry
    until: datetime | None
    release: LedgerEntry
    decision: GateDecision
    evaluation: Evaluation
    dataset: DatasetVersion


def ask(parts: Parts, *, line: str, lot: str, at: datetime) -> Answer:
    """Say which model judged a lot at a time: the newest inspection of it up to then, else the champion of then.

    Raises:
        NotFoundError: neither was there.
    """
    runs = parts.inspections.lot_runs(line, lot)
    until_then = [item for item in runs if item.run.created_at <= at]
    changes = [entry for entry in parts.facts.ledger(line) if entry.kind in _CHANGES]
    moment = until_then[0].run.created_at if until_then else at
    change = _in_charge(changes, moment, until_then[0].run.model_id if until_then else "")
    if change is None:
        first = f"; its first champion came {changes[0].created_at:%Y-%m-%d %H:%M %Z}" if changes else ""
        message = (
            f"line {line!r} had no champion at {at:%Y-%m-%d %H:%M %Z}, and lot {lot!r} had not been inspected{first}"
        )
        raise NotFoundError(message)
    following = [entry for entry in changes if entry.seq > change.seq and entry.subject != change.subject]
    decision = parts.facts.get(GateDecision, str(change.details["decision"]))
    releases = [
        entry
        for entry in changes
        if entry.kind is LedgerKind.PROMOTED and entry.seq <= change.seq and entry.details["decision"] == decision.id
    ]
    model = parts.facts.get(ModelVersion, change.subject)
    return Answer(
        line=line,
        lot=lot,
        at=at,
        runs=tuple(until_then),
        later=tuple(item for item in runs if item.run.created_at > at),
        model=model,
        change=change,
        until=following[0].created_at if following else None,
        release=releases[-1] if releases else change,
        decision=decision,
        evaluation=parts.facts.get(Evaluation, decision.evaluation_id),
        dataset=parts.facts.get(DatasetVersion, model.dataset_id),
    )


def _in_charge(changes: Sequence[LedgerEntry], moment: datetime, model_id: str) -> LedgerEntry | None:
    """Return the last change up to a moment; of a model, if one is named: it may have been replaced while it worked."""
    fitting = [entry for entry in changes if entry.created_at <= moment and model_id in {"", entry.subject}]
    return fitting[-1] if fitting else None


def verify(parts: Parts) -> tuple[int, list[str]]:
    """Walk the ledger's chain and compare its end with the champions; return the entries and what is wrong.

    The chain alone does not show that its last entries were taken away; the champion of a line that they put in charge
    does.
    """
    entries, broken = parts.facts.check_ledger()
    if broken:
        more = f" and {len(broken) - 5} more" if len(broken) > 5 else ""
        named = ", ".join(map(str, broken[:5]))
        return entries, [f"the chain is broken at entry {named}{more}: it was changed, or the one before is missing"]
    last = {entry.line: entry for entry in parts.facts.ledger() if entry.kind in _CHANGES}
    champions = {row.line: row for row in parts.facts.find(Champion)}
    return entries, [
        f"line {line!r}: the ledger's last change and the champion differ, so one of them was changed by hand"
        for line in sorted(last.keys() | champions.keys())
        if not _agree(last.get(line), champions.get(line))
    ]


def _agree(entry: LedgerEntry | None, champion: Champion | None) -> bool:
    if entry is None or champion is None:
        return False
    told = (entry.subject, entry.details.get("decision"), entry.actor, entry.reason)
    return told == (champion.model_id, champion.decision_id, champion.actor, champion.reason)
