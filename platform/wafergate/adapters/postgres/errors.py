"""What PostgreSQL says, in the platform's own errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import psycopg_pool
from psycopg.conninfo import conninfo_to_dict

from wafergate.errors import ServiceError, StorageError

__all__ = ["address", "translated"]


def address(conninfo: str) -> str:
    """Name a database for a person: host, port and database, never a password."""
    parts = conninfo_to_dict(conninfo)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


@contextmanager
def translated(conninfo: str) -> Iterator[None]:
    """Raise the platform's errors for psycopg's.

    Raises:
        StorageError: the disk is full, or a row is there that was to be new.
        ServiceError: the server does not answer, refuses the role, or has another schema.
    """
    try:
        yield
    except psycopg.errors.DiskFull as error:
        message = f"PostgreSQL at {address(conninfo)} has no disk space left: free some, then run again"
        raise StorageError(message) from error
    except psycopg.errors.UniqueViolation as error:
        which = error.diag.message_detail or str(error)
        message = f"PostgreSQL at {address(conninfo)} holds such a row already, nothing was written: {which}"
        raise StorageError(message) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        message = f"PostgreSQL at {address(conninfo)} lacks a table or column of this version: run `wafergate migrate`"
        raise ServiceError(message) from error
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
        message = f"PostgreSQL at {address(conninfo)} refuses: {str(error).splitlines()[0]}"
        raise ServiceError(message) from error
    except (psycopg.OperationalError, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        reason = first.rpartition("failed: ")[2]
        message = (
            f"PostgreSQL at {address(conninfo)} does not answer ({reason}): "
            "run `wafergate up`, or check WAFERGATE_DATABASE_URL"
        )
        raise ServiceError(message) from error
