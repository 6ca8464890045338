"""The fact store on PostgreSQL: rows appear in one transaction and never change."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any, TypeVar, cast

import psycopg
from psycopg import sql

from wafergate.adapters.postgres.connections import Connection, Connections
from wafergate.adapters.postgres.errors import translated
from wafergate.adapters.postgres.tables import ALERT_CHANGES, Table, table_of
from wafergate.adapters.postgres.writing import append, columns_of, copy, insert, insertion, marks
from wafergate.adapters.promotable import require_promotable
from wafergate.domain.alerts import Alert, AlertState
from wafergate.domain.gate import (
    Champion,
    LedgerEntry,
    LedgerKind,
    broken_links,
)
from wafergate.errors import NotFoundError
from wafergate.ports import Clock, LedgerDraft

__all__ = ["PostgresFacts"]

Row = TypeVar("Row")


class PostgresFacts:
    """`FactStore` over a small connection pool; safe to share between threads."""

    def __init__(self, conninfo: str, *, clock: Clock, max_connections: int = 4) -> None:
        """Remember where the database is; it is first spoken to when it is first needed."""
        self._conninfo = conninfo
        self._clock = clock
        self._connections = Connections(conninfo, most=max_connections)

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def save(
        self,
        row: object,
        parts: Iterable[object] = (),
        *,
        ledger: Sequence[LedgerDraft] = (),
        alerts: Sequence[Alert] = (),
    ) -> bool:
        """See `FactStore.save`."""
        table = table_of(type(row))
        with self._connections.transaction() as connection:
            row = _numbered(connection, table, row)
            if not insert(connection, table, row):
                return False
            for kind, group in groupby(parts, key=type):
                copy(connection, table_of(kind), group)
            for draft in ledger:
                append(connection, draft, self._clock())
            for alert in alerts:
                insert(connection, table_of(Alert), alert)
            return True

    def save_all(self, rows: Iterable[object]) -> int:
        """See `FactStore.save_all`."""
        new = 0
        with self._connections.transaction() as connection, connection.cursor() as cursor:
            for kind, group in groupby(rows, key=type):
                table = table_of(kind)
                cursor.executemany(insertion(table), (table.encode(row) for row in group))
                new += cursor.rowcount
        return new

    def get(self, kind: type[Row], row_id: str) -> Row:
        """See `FactStore.get`."""
        found = self.find(kind, limit=1, **{table_of(kind).key[0]: row_id})
        if not found:
            message = f"there is no {table_of(kind).name.replace('_', ' ')} {row_id!r} in the store"
            raise NotFoundError(message)
        return found[0]

    def find(self, kind: type[Row], /, *, limit: int | None = None, **equal: object) -> list[Row]:
        """See `FactStore.find`."""
        with self._connections.transaction() as connection:
            return _find(connection, kind, limit=limit, **equal)

    def count(self, kind: type[object], by: str, /, **equal: object) -> dict[str, int]:
        """See `FactStore.count`."""
        where, values = _where(equal)
        query = sql.SQL("SELECT {0}, count(*) FROM {1}{2} GROUP BY {0}").format(
            sql.Identifier(by), sql.Identifier(table_of(kind).name), where
        )
        with self._connections.transaction() as connection:
            return dict(connection.execute(query, values).fetchall())

    def champion(self, line: str) -> Champion | None:
        """See `FactStore.champion`."""
        return next(iter(self.find(Champion, line=line)), None)

    def promote(self, champion: Champion, *, kind: LedgerKind, details: Mapping[str, object]) -> LedgerEntry:
        """See `FactStore.promote`."""
        table = table_of(Champion)
        changes = sql.SQL(", ").join(
            sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in table.columns if name != "line"
        )
        with self._connections.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [champion.line])
            before = require_promotable(partial(_find, connection), champion, kind)
            statement = sql.SQL("INSERT INTO champion ({}) VALUES ({}) ON CONFLICT (line) DO UPDATE SET {}").format(
                columns_of(table), marks(table), changes
            )
            connection.execute(statement, table.encode(champion))
            story = dict(details) | {"before": before.model_id if before else None, "decision": champion.decision_id}
            draft = LedgerDraft(champion.line, kind, champion.model_id, champion.actor, champion.reason, story)
            return append(connection, draft, self._clock())

    @contextmanager
    def exclusive(self, name: str, *, waiting: Callable[[], None]) -> Iterator[None]:
        """See `FactStore.exclusive`; an advisory lock on a connection of its own: it ends with its holder."""
        with translated(self._conninfo):
            connection = psycopg.connect(self._conninfo, connect_timeout=5, autocommit=True)
        with connection:
            with translated(self._conninfo):
                # of a machine that lost its power the server would hear nothing for two hours
                connection.execute(
                    "SELECT set_config('tcp_keepalives_idle', '60', false), "
                    "set_config('tcp_keepalives_interval', '10', false), set_config('tcp_keepalives_count', '3', false)"
                )
                held = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]).fetchone()
                if held != (True,):
                    waiting()
                    connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
            yield

    def ledger(self, line: str | None = None) -> list[LedgerEntry]:
        """See `FactStore.ledger`."""
        entries = self.find(LedgerEntry) if line is None else self.find(LedgerEntry, line=line)
        return entries[::-1]

    def check_ledger(self) -> tuple[int, list[int]]:
        """See `FactStore.check_ledger`."""
        table = table_of(LedgerEntry)
        columns = [
            sql.SQL("details::text" if name == "details" else "{}").format(sql.Identifier(name))
            for name in table.columns
        ]
        query = sql.SQL("SELECT {} FROM ledger ORDER BY seq").format(sql.SQL(", ").join(columns))
        with self._connections.transaction() as connection:
            rows = connection.execute(query).fetchall()
        entries, rewritten = [], set()
        for row in rows:
            values = dict(zip(table.columns, row, strict=True))
            text = values["details"]
            values["details"] = json.loads(text)
            # Equal values may be written in other bytes: spaces, escapes, a key twice.
            if json.dumps(values["details"]) != text:
                rewritten.add(values["seq"])
            entries.append(LedgerEntry(**values))  # unchecked: a kind that does not exist must not stop the walk
        return len(entries), sorted(rewritten | set(broken_links(entries)))

    def waiting_alerts(self) -> list[Alert]:
        """See `FactStore.waiting_alerts`."""
        return self.find(Alert, state=AlertState.WAITING.value)[::-1]

    def mark_alert(self, alert: Alert, *, was: Alert | None = None, ledger: Sequence[LedgerDraft] = ()) -> bool:
        """See `FactStore.mark_alert`."""
        table = table_of(Alert)
        values = dict(zip(table.columns, table.encode(alert), strict=True))
        changes = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in ALERT_CHANGES)
        unchanged = sql.SQL(" AND state = %s AND attempts = %s" if was else "")
        query = sql.SQL("UPDATE alert SET {} WHERE id = %s{}").format(changes, unchanged)
        guard = [was.state.value, was.attempts] if was else []
        with self._connections.transaction() as connection:
            if not connection.execute(query, [*(values[name] for name in ALERT_CHANGES), alert.id, *guard]).rowcount:
                return False
            for draft in ledger:
                append(connection, draft, self._clock())
            return True


def _find(connection: Connection, kind: type[Row], /, *, limit: int | None = None, **equal: object) -> list[Row]:
    table = table_of(kind)
    where, values = _where(equal)
    query = sql.SQL("SELECT {} FROM {}{} ORDER BY {}{}").format(
        columns_of(table),
        sql.Identifier(table.name),
        where,
        sql.SQL(table.newest_first),
        sql.SQL(" LIMIT {}").format(sql.Literal(limit)) if limit is not None else sql.SQL(""),
    )
    rows = connection.execute(query, values).fetchall()
    return [cast("Row", table.decode(row)) for row in rows]


def _where(equal: Mapping[str, object]) -> tuple[sql.Composable, list[object]]:
    """Return the condition that columns equal values or one of several, and the values."""
    tests = [
        sql.SQL("{} = ANY(%s)" if isinstance(value, (list, tuple)) else "{} = %s").format(sql.Identifier(name))
        for name, value in equal.items()
    ]
    values = [list(value) if isinstance(value, tuple) else value for value in equal.values()]
    return sql.SQL(" WHERE ") + sql.SQL(" AND ").join(tests) if tests else sql.SQL(""), values


def _numbered(connection: Connection, table: Table, row: Any) -> object:
    if getattr(row, "number", None) != 0:
        return row
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [row.line])
    query = sql.SQL("SELECT coalesce(max(number), 0) + 1 FROM {} WHERE line = %s").format(sql.Identifier(table.name))
    found = connection.execute(query, [row.line]).fetchone()
    return cast("object", replace(row, number=found[0] if found else 1))
