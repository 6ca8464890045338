"""Facts in memory, for unit tests."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from typing import Any, TypeVar, cast

from wafergate.adapters.postgres.tables import ALERT_CHANGES, table_of
from wafergate.adapters.promotable import require_promotable
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.gate import (
    FIRST_HASH,
    Champion,
    LedgerEntry,
    LedgerKind,
    broken_links,
)
from wafergate.errors import NotFoundError, StorageError
from wafergate.ports import Clock, LedgerDraft

__all__ = ["MemoryFacts"]

Row = TypeVar("Row")


def _key(row: object) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in table_of(type(row)).key)


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
        rows, key = self._of(type(row)), _key(row)
        if key in rows:
            return False
        rows[key] = row
        return True

    def _require_new(self, parts: Sequence[object]) -> None:
        seen: set[tuple[object, ...]] = set()
        for part in parts:
            key = (type(part), *_key(part))
            if key in seen or key[1:] in self._of(type(part)):
                message = (
                    f"the store holds such a row already, nothing was written: {table_of(type(part)).name} {key[1:]}"
                )
                raise StorageError(message)
            seen.add(key)

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
            if _key(row) in self._of(type(row)):
                return False
            self._require_new(parts)
            self._put(row)
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
        rows = self._matching(kind, equal)
        for term in reversed(table_of(kind).newest_first.split(", ")):
            name, _, down = term.partition(" ")
            rows.sort(key=attrgetter(name), reverse=bool(down))
        return cast("list[Row]", rows[:limit])

    def count(self, kind: type[object], by: str, /, **equal: object) -> dict[str, int]:
        """See `FactStore.count`."""
        return dict(Counter(str(getattr(row, by)) for row in self._matching(kind, equal)))

    def _matching(self, kind: type, equal: Mapping[str, object]) -> list[Any]:
        with self._lock:
            return [
                row
                for row in self._of(kind).values()
                if all(
                    getattr(row, name) in value if isinstance(value, (list, tuple)) else getattr(row, name) == value
                    for name, value in equal.items()
                )
            ]

    def champion(self, line: str) -> Champion | None:
        """See `FactStore.champion`."""
        return next(iter(self.find(Champion, line=line)), None)

    def promote(self, champion: Champion, *, kind: LedgerKind, details: Mapping[str, object]) -> LedgerEntry:
        """See `FactStore.promote`."""
        with self._lock:
            before = require_promotable(self.find, champion, kind)
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
