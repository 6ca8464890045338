"""A stored training set, and a line that lets three candidates compete for it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.choosing.weighed import NEEDS, Weighed, candidate
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import BlindTrainer, ContrastTrainer, line_of, parts_in, run_thread
from wafergate.domain.training_rows import TrainingSet
from wafergate.jobs.choose import AUTO
from wafergate.jobs.parts import Parts
from wafergate.line import LineFile
from wafergate.sample.generate import Batch, write_sample


@pytest.fixture(scope="module")
def thread(tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, str]:
    """Stores that hold a training set, and its id."""
    folder = tmp_path_factory.mktemp("dies")
    classes = dict.fromkeys(("particle", "scratch", "bridge", "void"), 14)
    write_sample(folder, seed=3, batches=(Batch(images=classes, normal=12, lots=10),), size=96)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    parts = parts_in(tmp_path_factory.mktemp("stores"), trainer=ContrastTrainer(dies_after=0))
    with pytest.raises(OSError, match="power"):
        run_thread(parts, line_of(), MemorySource(files))
    (training_set,) = parts.facts.find(TrainingSet)
    return parts, training_set.id


@pytest.fixture
def trainers() -> dict[str, ContrastTrainer]:
    return {"contrast": ContrastTrainer(), "blind": BlindTrainer(), "heavy": ContrastTrainer()}


@pytest.fixture
def parts(thread: tuple[Parts, str], trainers: dict[str, ContrastTrainer], tmp_path: Path) -> Parts:
    weighed = {name: Weighed(trainer, NEEDS[name]) for name, trainer in trainers.items()}
    return replace(thread[0], trainers=weighed, work=tmp_path, machine=lambda *_: str(tmp_path))


@pytest.fixture
def line(tmp_path: Path) -> Callable[..., LineFile]:
    def of(more: str = "", licence: str = "MIT") -> LineFile:
        extra = candidate("blind") + candidate("heavy", licence) + more
        return line_of(tmp_path, candidate=f'candidate = "{AUTO}"', overkill=f"overkill = 1.0\n{extra}")

    return of
