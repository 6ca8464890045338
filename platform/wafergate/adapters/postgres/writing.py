"""Value objects into their tables, and the ledger's next entry."""

from collections.abc import Iterable
from datetime import datetime

from psycopg import sql

from wafergate.adapters.postgres.connections import Connection
from wafergate.adapters.postgres.tables import Table, table_of
from wafergate.domain.gate import FIRST_HASH, LedgerEntry
from wafergate.ports import LedgerDraft

__all__ = ["append", "columns_of", "copy", "insert", "insertion", "marks"]

_LEDGER_LOCK = 7_204_117_002


def columns_of(table: Table) -> sql.Composed:
    """Name a table's columns in the order in which they are written."""
    return sql.SQL(", ").join(map(sql.Identifier, table.columns))


def marks(table: Table) -> sql.Composed:
    """Return a placeholder for each column."""
    return sql.SQL(", ").join([sql.Placeholder()] * len(table.columns))


def insertion(table: Table) -> sql.Composed:
    """Return the statement that inserts a row, or nothing where its key is there."""
    return sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO NOTHING").format(
        sql.Identifier(table.name), columns_of(table), marks(table), sql.SQL(", ").join(map(sql.Identifier, table.key))
    )


def insert(connection: Connection, table: Table, row: object) -> bool:
    """Insert a row; return False where its key was there."""
    return connection.execute(insertion(table), table.encode(row)).rowcount == 1


def copy(connection: Connection, table: Table, rows: Iterable[object]) -> None:
    """Write many rows with COPY; none of them may be there."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns_of(table))
    with connection.cursor().copy(statement) as stream:
        for row in rows:
            stream.write_row(table.encode(row))


def append(connection: Connection, draft: LedgerDraft, now: datetime) -> LedgerEntry:
    """Write the ledger's next entry; nobody else writes one until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LEDGER_LOCK])
    last = connection.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous = last or (0, FIRST_HASH)
    entry = LedgerEntry(
        seq + 1, draft.line, draft.kind, draft.subject, draft.actor, draft.reason, draft.details, now, previous
    ).sealed()
    insert(connection, table_of(LedgerEntry), entry)
    return entry
