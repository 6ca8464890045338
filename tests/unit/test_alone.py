"""One run at a time, whatever becomes of the database's own locks."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.small_line import parts_in
from wafergate.adapters.memory import MemoryFacts
from wafergate.errors import StorageError
from wafergate.jobs.alone import alone

pytestmark = pytest.mark.unit


class StartedAgain(MemoryFacts):
    """A database that was started again: nobody holds anything there any more."""

    @contextmanager
    def exclusive(self, name: str, *, waiting: Callable[[], None]) -> Iterator[None]:
        del name, waiting
        yield


def test_who_waits_begins_after_who_works_though_the_database_forgot_them(tmp_path: Path) -> None:
    parts = parts_in(tmp_path, facts=StartedAgain(clock=parts_in(tmp_path).clock))
    inside, waits = threading.Semaphore(), threading.Event()
    story: list[int] = []

    def work(number: int) -> None:
        with alone(parts, "model-1", waits.set):
            assert inside.acquire(blocking=False), "two at once"
            assert waits.wait(30), "nobody waits"
            story.append(number)
            inside.release()

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    with alone(parts, "model-2", lambda: pytest.fail("another name is free")):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sorted(story) == list(range(6))
    assert list(parts.work.iterdir()) == []


def test_a_failure_lets_go_and_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    parts = parts_in(tmp_path)
    for _ in range(2):
        with pytest.raises(KeyError), alone(parts, "model-1", lambda: pytest.fail("nobody holds it")):
            raise KeyError
    parts.work.rmdir()
    parts.work.write_text("in the way")
    with (
        pytest.raises(StorageError, match=r"cannot be held: .*; set WAFERGATE_WORK_DIR"),
        alone(parts, "x", lambda: None),
    ):
        pass


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_file: object, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("wafergate.jobs.alone.fcntl.flock", refused)
    with (
        pytest.raises(StorageError, match=r"No locks available; .* on a file system that knows locks"),
        alone(parts_in(tmp_path), "model-1", lambda: None),
    ):
        pytest.fail("nothing is held")
