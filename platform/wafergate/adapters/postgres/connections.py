"""A small pool of connections to one database, made when it is first needed."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from wafergate.adapters.postgres.errors import translated

__all__ = ["Connection", "Connections"]

Connection = psycopg.Connection[tuple[Any, ...]]


class Connections:
    """Transactions on a small pool; safe to share between threads."""

    def __init__(self, conninfo: str, *, most: int = 4) -> None:
        """Remember where the database is; it is first spoken to when it is first needed."""
        self._conninfo = conninfo
        self._pool: ConnectionPool[Connection] | None = None
        self._most = most

    def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Lend a connection; what was done on it is kept when the block ends and undone when it raises."""
        with translated(self._conninfo):
            if self._pool is None:
                # A plain connection first: it fails at once with the server's own words, where a pool would retry.
                psycopg.connect(self._conninfo, connect_timeout=5).close()
                logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
                self._pool = ConnectionPool(
                    self._conninfo,
                    configure=_tell_utc,
                    check=ConnectionPool.check_connection,  # a server that was started again is not one that is gone
                    min_size=1,
                    max_size=self._most,
                    timeout=15,
                    open=True,
                )
            with self._pool.connection() as connection:
                yield connection


def _tell_utc(connection: Connection) -> None:
    """Have times come back in UTC, whatever zone the server is set to: a day is the same day everywhere."""
    connection.execute("SET TIME ZONE 'UTC'")
    connection.commit()
