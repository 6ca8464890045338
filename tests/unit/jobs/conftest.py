"""Drawn dies and the thread run over them, for the tests of the jobs."""

from pathlib import Path

import pytest

from tests.unit.jobs.dies import Files
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import Thread, line_of, parts_in, run_thread
from wafergate.jobs.parts import Parts
from wafergate.sample.generate import Batch, write_sample


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Some seventy drawn dies, each beside its golden reference."""
    folder = tmp_path_factory.mktemp("dies")
    classes = dict.fromkeys(("particle", "scratch", "bridge", "void"), 14)
    write_sample(folder, seed=3, batches=(Batch(images=classes, normal=12, lots=10),), size=96)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="session")
def done(files: Files, tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, Thread]:
    """One run of the thread, for tests that only read it or repeat it."""
    parts = parts_in(tmp_path_factory.mktemp("done"))
    return parts, run_thread(parts, line_of(), MemorySource(files))


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return parts_in(tmp_path)
