"""The choice of a model with the real trainers and the real catalogue, on a few drawn dies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.contracts.test_trainers import TRAINERS
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import line_of, parts_in
from wafergate.adapters.catalogue import load_catalogue
from wafergate.adapters.machine import describe
from wafergate.adapters.onnx_detector import OnnxDetectorLoader, serving_loaders
from wafergate.domain.choice import ModelChoice
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob
from wafergate.domain.training_rows import ModelVersion
from wafergate.jobs.augment import augment
from wafergate.jobs.choose import choose, with_winner
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Parts
from wafergate.jobs.split import split
from wafergate.jobs.train import train
from wafergate.jobs.validate import validate
from wafergate.line import LineFile
from wafergate.ports import Trainer
from wafergate.sample.generate import Batch, write_sample

pytestmark = pytest.mark.training
NAMES = ("yolox-nano", "yolov9-t", "yolo11n")


@dataclass(frozen=True)
class Counted:
    """A real trainer that notes what it was asked for."""

    trainer: Trainer
    asked: list[TrainingJob]

    def __call__(
        self,
        job: TrainingJob,
        *,
        on_epoch: Callable[[EpochReport], None],
        on_checkpoint: Callable[[Checkpoint], None] | None = None,
    ) -> TrainedArtefact:
        self.asked.append(job)
        return self.trainer(job, on_epoch=on_epoch, on_checkpoint=on_checkpoint)


@dataclass(frozen=True)
class Drawn:
    parts: Parts
    training_set: str
    asked: list[TrainingJob]

    def since(self, seen: int) -> list[tuple[str, int]]:
        """Return candidate and number of epochs of each training after the first `seen`."""
        return [(job.candidate.name, job.epochs) for job in self.asked[seen:]]


def auto(folder: Path, *, choose_from: Sequence[str] = NAMES, limits: str = "") -> LineFile:
    listed = ", ".join(f'"{name}"' for name in choose_from)
    models = f'candidate = "auto"\nchoose_from = [{listed}]\nbatch = 2\nmosaic = 0.0'
    return line_of(folder, candidate=models, overkill=f"overkill = 1.0\n[hardware.train]\ndevice = 'cpu'\n{limits}")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """A training set of drawn dies, and trainers that count."""
    dies, folder = tmp_path_factory.mktemp("dies"), tmp_path_factory.mktemp("choice")
    classes = dict.fromkeys(("particle", "scratch", "bridge", "void"), 14)
    write_sample(dies, seed=3, batches=(Batch(images=classes, normal=12, lots=10),), size=96)
    files = {str(path.relative_to(dies)): path.read_bytes() for path in sorted(dies.rglob("*")) if path.is_file()}
    asked: list[TrainingJob] = []
    parts = parts_in(
        folder,
        trainers={name: Counted(make(), asked) for name, make in TRAINERS.items()},
        catalogue=load_catalogue(),
        load_detector=OnnxDetectorLoader(),
        runtimes=serving_loaders,
        machine=describe,
    )
    line = auto(folder)
    dataset = ingest(parts, line, MemorySource(files), "coco").id
    validate(parts, line, dataset)
    return Drawn(parts, augment(parts, line, split(parts, line, dataset).id).id, asked)


def test_a_line_whose_budget_only_one_candidate_meets_trains_exactly_that_one_and_shows_why(
    drawn: Drawn, tmp_path: Path
) -> None:
    parts = replace(drawn.parts, work=tmp_path)
    line = auto(tmp_path, limits="[hardware.serve]\nsize_mib = 5")
    row = parts.facts.get(ModelChoice, choose(parts, line, drawn.training_set).id)
    told = {one.candidate: one for one in row.standings}
    assert {name: one.dropped_by for name, one in told.items()} == {
        "yolox-nano": "",
        "yolov9-t": "size",
        "yolo11n": "licence",
    }
    assert row.winner == "yolox-nano"
    large = told["yolov9-t"]
    assert large.size_mib is not None
    assert 5 < large.size_mib < 20
    assert large.reason == (
        f"the exported model has {large.size_mib:.1f} MiB, the limit size_mib in [hardware.serve] is 5 MiB"
    )
    assert "AGPL-3.0-only" in told["yolo11n"].reason
    # memory of real training steps with 1 and 2 images at a time; nothing of a refused licence was started
    assert sorted(drawn.since(0)) == [("yolov9-t", 1)] * 2 + [("yolox-nano", 1)] * 2
    assert all(one.memory_mib and one.memory_mib > 100 for one in (told["yolox-nano"], large))
    seen = len(drawn.asked)
    model = parts.facts.get(ModelVersion, train(parts, with_winner(line, row.winner), drawn.training_set).id)
    assert drawn.since(seen) == [("yolox-nano", 2)]
    assert model.candidate.name == "yolox-nano"
    assert model.size_mib == pytest.approx(told["yolox-nano"].size_mib, rel=0.05)


def test_those_that_fit_train_briefly_and_the_winner_is_the_best_on_validation(drawn: Drawn, tmp_path: Path) -> None:
    parts, seen = replace(drawn.parts, work=tmp_path), len(drawn.asked)
    line = auto(tmp_path, choose_from=NAMES[:2])
    row = parts.facts.get(ModelChoice, choose(parts, line, drawn.training_set).id)
    # what was measured before is not measured again: one brief training each is all that is left
    assert sorted(drawn.since(seen)[-2:]) == [("yolov9-t", 1), ("yolox-nano", 1)]
    first, second = sorted(row.standings, key=lambda one: bool(one.dropped_by))
    assert (row.winner, second.dropped_by) == (first.candidate, "validation")
    keys = [(one.rungs[0].lowest_recall, one.rungs[0].map50, -(one.size_mib or 0)) for one in (first, second)]
    assert keys[0] > keys[1]
    assert second.reason.startswith("after 1 epoch recall of")
    assert len(parts.facts.find(ModelVersion)) <= 1  # a brief training leaves no model
    assert choose(parts, line, drawn.training_set).reused
