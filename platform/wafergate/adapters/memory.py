"""Stores in memory, for unit tests: they pass the same contract suite as PostgreSQL and S3."""

import base64
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, TypeVar, cast

from wafergate.adapters.postgres.tables import ALERT_CHANGES, table_of
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.gate import (
    FIRST_HASH,
    Champion,
    GateDecision,
    LedgerEntry,
    LedgerKind,
    broken_links,
    check_promotion,
)
from wafergate.domain.identity import digest_bytes
from wafergate.domain.inspection import (
    InspectedImage,
    InspectionDay,
    InspectionLot,
    InspectionMonth,
    InspectionRun,
    LotRun,
    add_up_lots,
    join_days,
    month_of,
    roll_days,
    roll_lots,
)
from wafergate.errors import NotFoundError, StorageError
from wafergate.ports import Clock, LedgerDraft

__all__ = ["MemoryFacts", "MemoryFiles", "MemoryInspections"]

Row = TypeVar("Row")


class MemoryFacts:
    """`FactStore` in dictionaries."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[type, dict[tuple[object, ...], Any]] = {}
        self._lock = threading.RLock()
        self._held: dict[str, threading.Lock] = {}

    def _of(self, kind: type) -> dict[tuple[object, ...], Any]:
        return self._rows.setdefault(kind, {})

    def _put(self, row: object) -> bool:
        rows, key = self._of(type(row)), tuple(getattr(row, name) for name in table_of(type(row)).key)
        if key in rows:
            return False
        rows[key] = row
        return True

    def save(
        self,
        row: Any,
        parts: Iterable[object] = (),
        *,
        ledger: Sequence[LedgerDraft] = (),
        alerts: Sequence[Alert] = (),
    ) -> bool:
        """See `FactStore.save`."""
        parts = list(parts)
        with self._lock:
            if getattr(row, "number", None) == 0:
                numbers = [item.number for item in self._of(type(row)).values() if item.line == row.line]
                row = replace(row, number=max(numbers, default=0) + 1)
            if not self._put(row):
                return False
            for part in [*parts, *alerts]:
                self._put(part)
            for draft in ledger:
                self.append(draft)
            return True

    def save_all(self, rows: Iterable[object]) -> int:
        """See `FactStore.save_all`."""
        with self._lock:
            return sum(self._put(row) for row in rows)

    def get(self, kind: type[Row], row_id: str) -> Row:
        """See `FactStore.get`."""
        found = self.find(kind, limit=1, **{table_of(kind).key[0]: row_id})
        if not found:
            message = f"there is no {table_of(kind).name.replace('_', ' ')} {row_id!r} in the store"
            raise NotFoundError(message)
        return found[0]

    def find(self, kind: type[Row], /, *, limit: int | None = None, **equal: object) -> list[Row]:
        """See `FactStore.find`."""
        with self._lock:
            rows = [
                row
                for row in self._of(kind).values()
                if all(
                    getattr(row, name) in value if isinstance(value, (list, tuple)) else getattr(row, name) == value
                    for name, value in equal.items()
                )
            ]
        for term in reversed(table_of(kind).newest_first.split(", ")):
            name, _, down = term.partition(" ")
            rows.sort(key=attrgetter(name), reverse=bool(down))
        return cast("list[Row]", rows[:limit])

    def champion(self, line: str) -> Champion | None:
        """See `FactStore.champion`."""
        return next(iter(self.find(Champion, line=line)), None)

    def promote(self, champion: Champion, *, kind: LedgerKind, details: Mapping[str, object]) -> LedgerEntry:
        """See `FactStore.promote`."""
        with self._lock:
            check_promotion(champion, next(iter(self.find(GateDecision, id=champion.decision_id)), None))
            before = self.champion(champion.line)
            self._of(Champion)[(champion.line,)] = champion
            story = dict(details) | {"before": before.model_id if before else None, "decision": champion.decision_id}
            draft = LedgerDraft(champion.line, kind, champion.model_id, champion.actor, champion.reason, story)
            return self.append(draft)

    def append(self, draft: LedgerDraft) -> LedgerEntry:
        """Write the ledger's next entry."""
        last = next(iter(self.find(LedgerEntry, limit=1)), None)
        seq, previous = (last.seq, last.hash) if last else (0, FIRST_HASH)
        now = self._clock()
        entry = LedgerEntry(
            seq + 1, draft.line, draft.kind, draft.subject, draft.actor, draft.reason, draft.details, now, previous
        ).sealed()
        self._put(entry)
        return entry

    @contextmanager
    def exclusive(self, name: str, *, waiting: Callable[[], None]) -> Iterator[None]:
        """See `FactStore.exclusive`; among the threads of this process."""
        with self._lock:
            held = self._held.setdefault(name, threading.Lock())
        if not held.acquire(blocking=False):
            waiting()
            held.acquire()
        try:
            yield
        finally:
            held.release()

    def ledger(self, line: str | None = None) -> list[LedgerEntry]:
        """See `FactStore.ledger`."""
        entries = self.find(LedgerEntry) if line is None else self.find(LedgerEntry, line=line)
        return entries[::-1]

    def check_ledger(self) -> tuple[int, list[int]]:
        """See `FactStore.check_ledger`."""
        entries = self.ledger()
        return len(entries), broken_links(entries)

    def waiting_alerts(self) -> list[Alert]:
        """See `FactStore.waiting_alerts`."""
        return self.find(Alert, state=AlertState.WAITING)[::-1]

    def mark_alert(self, alert: Alert, *, was: Alert | None = None, ledger: Sequence[LedgerDraft] = ()) -> bool:
        """See `FactStore.mark_alert`."""
        with self._lock:
            now: Alert | None = self._of(Alert).get((alert.id,))
            if now is None or (was is not None and (now.state, now.attempts) != (was.state, was.attempts)):
                return False
            self._of(Alert)[(alert.id,)] = replace(now, **{name: getattr(alert, name) for name in ALERT_CHANGES})
            for draft in ledger:
                self.append(draft)
            return True


class MemoryInspections:
    """`InspectionStore` in lists; the runs are rows of the fact store."""

    def __init__(self, facts: MemoryFacts) -> None:
        self._facts = facts
        self._images: list[InspectedImage] = []
        self._days: dict[tuple[object, ...], InspectionDay] = {}
        self._lots: list[tuple[str, InspectionLot]] = []
        self._dropped: set[tuple[str, date]] = set()

    def save(self, run: InspectionRun, images: Iterable[InspectedImage]) -> bool:
        """See `InspectionStore.save`."""
        images = list(images)
        if not self._facts.save(run):
            return False
        self._images += images
        self._add_up(run, images)
        return True

    def _add_up(self, run: InspectionRun, images: Sequence[InspectedImage]) -> None:
        for day in roll_days(images):
            key = (day.line, day.day, day.model_id, day.station, day.product)
            self._days[key] = join_days(self._days[key], day) if key in self._days else day
        self._lots += [(run.id, lot) for lot in roll_lots(images)]

    def seen(self, line: str, model_id: str, names: Sequence[str]) -> dict[tuple[str, str], str]:
        """See `InspectionStore.seen`."""
        wanted = set(names)
        return {
            (image.name, image.image): image.run_id
            for image in reversed(self.images(line=line))
            if image.model_id == model_id and image.name in wanted
        }

    def images(
        self,
        *,
        line: str,
        run_id: str | None = None,
        lot: str | None = None,
        defect_class: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[InspectedImage]:
        """See `InspectionStore.images`."""
        found = [
            image
            for image in self._images
            if image.line == line
            and run_id in {None, image.run_id}
            and lot in {None, image.lot}
            and defect_class in {None, *(name for name, *_ in image.detections)}
            and (since is None or image.captured_at >= since)
            and (until is None or image.captured_at < until)
        ]
        found.sort(key=attrgetter("run_id", "position"))
        return sorted(found, key=attrgetter("captured_at"), reverse=True)[:limit]

    def doubtful(
        self, *, line: str, thresholds: Mapping[str, float], since: datetime, limit: int
    ) -> list[InspectedImage]:
        """See `InspectionStore.doubtful`."""
        gaps = {
            (min(gaps), image.run_id, image.position): image
            for image in self.images(line=line, since=since)
            if (gaps := [abs(s - thresholds[n]) for n, s, *_ in image.detections + image.weak if n in thresholds])
        }
        return [gaps[key] for key in sorted(gaps)[:limit]]

    def novel(self, *, line: str, since: datetime, limit: int) -> list[InspectedImage]:
        """See `InspectionStore.novel`."""
        measured = [
            (-image.novelty, image.run_id, image.position, image)
            for image in self.images(line=line, since=since)
            if image.novelty is not None
        ]
        return [image for *_, image in sorted(measured, key=itemgetter(0, 1, 2))[:limit]]

    def runs(self, line: str, limit: int | None = None) -> list[InspectionRun]:
        """See `InspectionStore.runs`."""
        return self._facts.find(InspectionRun, line=line, limit=limit)

    def days(self, line: str, since: date | None = None, until: date | None = None) -> list[InspectionDay]:
        """See `InspectionStore.days`."""
        found = [
            day
            for day in self._days.values()
            if day.line == line and (since is None or day.day >= since) and (until is None or day.day < until)
        ]
        found.sort(key=attrgetter("model_id", "station", "product"))
        return sorted(found, key=attrgetter("day"), reverse=True)

    def lots(self, line: str, limit: int | None = None) -> list[InspectionLot]:
        """See `InspectionStore.lots`."""
        return add_up_lots(lot for _, lot in self._lots if lot.line == line)[:limit]

    def lot_runs(self, line: str, lot: str) -> list[LotRun]:
        """See `InspectionStore.lot_runs`."""
        sums = {run_id: item for run_id, item in self._lots if (item.line, item.lot) == (line, lot)}
        runs = self._facts.find(InspectionRun, id=list(sums))
        return [LotRun(run, sums[run.id].images, sums[run.id].defective) for run in runs]

    def months(self, line: str, *, before: date | None = None) -> list[InspectionMonth]:
        """See `InspectionStore.months`."""
        groups: dict[date, list[InspectedImage]] = {}
        for image in self.images(line=line):
            groups.setdefault(month_of(image.captured_at), []).append(image)
        return [
            InspectionMonth(line, month, len(group), sum(len(image.detections + image.weak) for image in group))
            for month, group in sorted(groups.items())
            if before is None or month < before
        ]

    def reroll(self, line: str) -> dict[date, int]:
        """See `InspectionStore.reroll`; sums in memory are never wrong."""
        return {item.month: 0 for item in self.months(line) if (line, item.month) not in self._dropped}

    def retain(
        self, line: str, *, before: date, ledger: Callable[[Sequence[InspectionMonth]], LedgerDraft]
    ) -> list[InspectionMonth]:
        """See `InspectionStore.retain`."""
        dropped = self.months(line, before=before)
        gone = {(line, item.month) for item in dropped}
        self._images = [image for image in self._images if (image.line, month_of(image.captured_at)) not in gone]
        self._dropped |= gone
        if dropped:
            self._facts.append(ledger(dropped))
        return dropped


class MemoryFiles:
    """`FileStore` in a dictionary; `fetch` writes below the folder given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, bytes] = {}

    def check(self) -> None:
        """See `FileStore.check`."""

    def put(self, data: bytes) -> str:
        """See `FileStore.put`."""
        digest = digest_bytes(data)
        self._files[digest] = data
        return digest

    def put_all(self, items: Iterable[bytes]) -> list[str]:
        """See `FileStore.put_all`."""
        return [self.put(item) for item in items]

    def get(self, digest: str) -> bytes:
        """See `FileStore.get`."""
        if digest not in self._files:
            message = f"there is no file {digest} in the store"
            raise NotFoundError(message)
        data = self._files[digest]
        if digest_bytes(data) != digest:
            message = f"the file {digest} was changed: its bytes have the digest {digest_bytes(data)}"
            raise StorageError(message)
        return data

    def fetch(self, digest: str) -> Path:
        """See `FileStore.fetch`."""
        path = self._folder / digest
        path.write_bytes(self.get(digest))
        return path

    def has(self, digest: str) -> bool:
        """See `FileStore.has`."""
        return digest in self._files

    def address(self, digest: str) -> str:
        """See `FileStore.address`."""
        return f"memory:{digest}"

    def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """See `FileStore.sizes`."""
        return {digest: len(self._files[digest]) for digest in digests if digest in self._files}

    def link(self, digest: str, *, content_type: str) -> str:
        """See `FileStore.link`."""
        return f"data:{content_type};base64,{base64.b64encode(self.get(digest)).decode()}"
