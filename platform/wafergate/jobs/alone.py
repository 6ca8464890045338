"""Work that one run at a time does, also while PostgreSQL is started again."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from wafergate.domain.identity import digest_bytes
from wafergate.errors import StorageError
from wafergate.jobs.parts import Parts

__all__ = ["alone", "if_free"]


@contextmanager
def alone(parts: Parts, name: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a name among all runs anywhere, and on this machine for as long as this process lives.

    The store's lock ends with its connection, so a run that waited would begin beside this one once the server was
    started again; a lock on a file ends with its process.

    Args:
        parts: the real parts.
        name: what is held.
        waiting: told when another run holds it.

    Raises:
        StorageError: the work folder cannot be written, or its file system knows no locks.
    """
    with parts.facts.exclusive(name, waiting=waiting), _held(_lock_of(parts, name), waiting):
        yield


@contextmanager
def if_free(parts: Parts, name: str) -> Iterator[bool]:
    """Hold a name on this machine if no run here holds it, and tell whether; raises as `alone`."""
    with ExitStack() as held:
        try:
            held.enter_context(_held(_lock_of(parts, name), _refuse))
        except _HeldError:
            yield False
        else:
            yield True


class _HeldError(Exception):
    """Another run holds it."""


def _refuse() -> None:
    raise _HeldError


def _lock_of(parts: Parts, name: str) -> Path:
    return parts.work / f"{digest_bytes(name.encode())}.lock"


@contextmanager
def _held(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    while True:
        with _locked(path, waiting) as file:
            if not _is(path, file.fileno()):
                continue  # who held it has removed it
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


@contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[IO[str]]:
    with ExitStack() as opened:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = opened.enter_context(path.open("a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            message = (
                f"the lock {path} cannot be held: {error.strerror}; set WAFERGATE_WORK_DIR to a folder that can be "
                "written, on a file system that knows locks"
            )
            raise StorageError(message) from error
        yield file


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
