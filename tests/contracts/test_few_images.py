"""How LibreYOLO really teaches with few images: frozen stages stay, thawed ones learn, the weakest class decides."""

import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import libreyolo
import numpy as np
import psutil
import pytest
import torch
from libreyolo.data.augment.yolox import MosaicMixupDataset, TrainTransform

from tests.contracts.test_trainers import CLASSES, SIZE, write_squares
from wafergate.adapters.libreyolo import LibreYoloTrainer, _recipe
from wafergate.adapters.libreyolo_few_images import TRAINERS, _Exam, _lessons, stages_of
from wafergate.adapters.training_data import FittedData, write_fitted_data
from wafergate.domain.few_images import Teaching
from wafergate.domain.models import Candidate, Channels
from wafergate.domain.training import Checkpoint, TrainedArtefact, TrainingJob

pytestmark = pytest.mark.training
TEACHING = Teaching(even_classes=True, frozen=0.25, thawed=0.75, backbone_rate=0.5, weakest_class=True)
EPOCHS = 4


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    """Four epochs: the backbone is frozen in the first, its last stage learns in the second, all in the fourth."""
    folder = tmp_path_factory.mktemp("few-images")
    torch.manual_seed(0)
    weights = folder / "weights.pt"
    torch.save(libreyolo.LibreYOLOX(None, size="n", nb_classes=2, device="cpu").model.state_dict(), weights)
    return TrainingJob(
        candidate=Candidate("yolox-nano", "libreyolo", "LibreYOLOXn", "MIT"),
        classes=CLASSES,
        data=write_squares(folder / "data", train=24, validation=8),
        folder=folder / "job",
        weights=weights,
        channels=Channels.GOLDEN,
        image_size=SIZE,
        epochs=EPOCHS,
        batch=8,
        learning_rate=0.003,
        mosaic=0.0,
        seed=3,
        device="cpu",
        threads=1,
        window=64,
        turns=True,
        iou=0.33,
        teaching=TEACHING,
    )


def train(job: TrainingJob, kept: Path) -> tuple[TrainedArtefact, dict[int, Checkpoint]]:
    """Train, and keep every checkpoint it tells."""
    kept.mkdir()
    states: dict[int, Checkpoint] = {}

    def keep(checkpoint: Checkpoint) -> None:
        last = Path(shutil.copyfile(checkpoint.last, kept / f"last-{checkpoint.epoch}.pt"))
        best = checkpoint.best and Path(shutil.copyfile(checkpoint.best, kept / f"best-{checkpoint.epoch}.pt"))
        states[checkpoint.epoch] = Checkpoint(checkpoint.epoch, last, best)

    return LibreYoloTrainer()(job, on_epoch=lambda _: None, on_checkpoint=keep), states


@pytest.fixture(scope="module")
def trained(
    job: TrainingJob, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainedArtefact, dict[int, Checkpoint]]:
    return train(job, tmp_path_factory.mktemp("kept") / "states")


def network_of(state: dict[str, Any]) -> Any:
    network = libreyolo.LibreYOLOX(None, size="n", nb_classes=2, device="cpu").model
    network.load_state_dict(state)
    return network


def moved(before: Any, after: Any) -> list[bool]:
    """Tell of each stage of the backbone whether any of its tensors differs, statistics included."""
    return [
        any(
            not torch.equal(mine, own)
            for mine, own in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
        )
        for a, b in zip(stages_of(before), stages_of(after), strict=True)
    ]


def test_the_backbone_thaws_from_its_end(
    job: TrainingJob, trained: tuple[TrainedArtefact, dict[int, Checkpoint]]
) -> None:
    _, states = trained
    assert job.weights is not None
    start = network_of(torch.load(job.weights, weights_only=True))
    after = [network_of(torch.load(states[epoch].last, weights_only=True)["train_model"]) for epoch in (1, 2, 3)]
    stages = len(stages_of(start))
    learning = [TEACHING.learning_stages(epoch, EPOCHS, stages) for epoch in range(EPOCHS)]
    assert learning[0] == 0 < learning[1] < learning[2] < learning[3] == stages
    for state, count in zip(after, learning, strict=False):
        assert moved(start, state) == [False] * (stages - count) + [True] * count
    heads = [each.head.state_dict()["cls_preds.0.weight"] for each in (start, after[0])]
    assert not torch.equal(*heads)


def test_the_state_that_is_kept_has_the_best_weakest_class(
    job: TrainingJob, trained: tuple[TrainedArtefact, dict[int, Checkpoint]], tmp_path: Path
) -> None:
    artefact, states = trained
    exam = _Exam(job, write_fitted_data(job, tmp_path / "data"))
    kept = torch.load(artefact.weights, weights_only=True)["model"]
    best = exam(network_of(kept))["best_metric"]
    ranks = [
        exam(network_of(torch.load(state.last, weights_only=True)["model"]))["best_metric"] for state in states.values()
    ]
    assert best >= max(ranks)
    assert torch.load(states[3].best or "", weights_only=True)["best_metric_value"] == pytest.approx(max(ranks))


@pytest.mark.parametrize(
    ("images", "memory_mib", "micro_batch", "kept"),
    [
        (1000, 0, 0, "ram"),
        (1000, 0, 1, False),
        (1000, 300, 0, False),
        (25_000, 0, 0, False),
        (10**5, 0, 0, False),
    ],
)
def test_decoded_images_are_kept_only_where_they_leave_the_training_its_memory(
    job: TrainingJob,
    images: int,
    memory_mib: float,
    micro_batch: int,
    kept: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand images of 128 px are 47 MiB; no smaller batch would give them back."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=4 * 2**30))
    data = FittedData(tmp_path / "data.yaml", train=images - 100, validation=100, boxes=8)
    limited = replace(job, image_size=128, memory_mib=float(memory_mib), micro_batch=micro_batch)
    told = _recipe(limited, data, "cpu")
    assert told["cache"] == kept


def test_judging_in_a_training_holds_no_more_of_a_larger_validation(job: TrainingJob, tmp_path: Path) -> None:
    assert job.weights is not None
    network = network_of(torch.load(job.weights, weights_only=True))
    for layer in network.head.obj_preds:
        torch.nn.init.constant_(layer.bias, -20.0)  # says nothing: what it says is kept
    peaks = []
    for count in (7, 8, 64):  # the first time things are loaded that stay
        data = write_squares(tmp_path / str(count), train=4, validation=count)
        fitted = write_fitted_data(replace(job, data=data), tmp_path / f"fitted-{len(peaks)}")
        tracemalloc.start()
        _Exam(job, fitted)(network)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 56 * SIZE * SIZE * 3 / 4, "a quarter of the images that came"


class Crowd:
    """A stand-in for LibreYOLO's data set: one image with a hundred boxes among images with one."""

    def __len__(self) -> int:
        return 4

    def load_anno(self, index: int) -> Any:
        corners = np.arange(100 if index == 0 else 1)
        left, top = corners % 10 * 10, corners // 10 * 10
        return np.stack([left, top, left + 8, top + 8, corners % 2], axis=1).astype(np.float32)

    def pull_item(self, index: int) -> tuple[Any, ...]:
        return np.zeros((100, 100, 3), np.uint8), self.load_anno(index), (100, 100), index


def test_every_box_of_a_crowded_image_is_taught(job: TrainingJob) -> None:
    """YOLOX is handed fifty boxes by default, and what it finds of the others counts as wrong."""
    plain = replace(job, window=0, turns=False, teaching=Teaching())
    dataset = _lessons(
        MosaicMixupDataset, plain, dataset=Crowd(), img_size=(100, 100), preproc=TrainTransform(), mosaic=False
    )
    _, taught, *_ = dataset[0]
    assert np.count_nonzero(taught.sum(axis=1)) == len(taught) == 100, "and no row more: YOLOv9's loss pays for each"


def test_a_training_that_goes_on_ends_with_the_same_bytes(
    job: TrainingJob, trained: tuple[TrainedArtefact, dict[int, Checkpoint]], tmp_path: Path
) -> None:
    whole, states = trained
    went_on, _ = train(replace(job, folder=tmp_path / "job", resume=states[2]), tmp_path / "kept")
    assert went_on.onnx.read_bytes() == whole.onnx.read_bytes()


def test_libreyolo_has_the_trainers_that_are_exchanged() -> None:
    for module, name in TRAINERS.values():
        assert hasattr(__import__(module, fromlist=[name]), name)


def test_yolov9_is_taught_alike(job: TrainingJob, tmp_path: Path) -> None:
    """One epoch from random weights, whose score on validation is ours."""
    candidate = Candidate("yolov9-t", "libreyolo", "LibreYOLO9t", "MIT")
    artefact, _ = train(
        replace(job, candidate=candidate, folder=tmp_path / "job", weights=None, epochs=1), tmp_path / "kept"
    )
    kept = torch.load(artefact.weights, weights_only=True)
    assert artefact.epochs == 1
    assert any(key.startswith("head") for key in kept["model"])
    assert "Validation failed" not in (tmp_path / "job" / "training.log").read_text()


def test_a_training_whose_weakest_class_no_longer_improves_ends(job: TrainingJob, tmp_path: Path) -> None:
    stuck = replace(job, learning_rate=1e-9, epochs=6, teaching=replace(TEACHING, frozen=0, thawed=0, patience=1 / 6))
    artefact, states = train(replace(stuck, folder=tmp_path / "job"), tmp_path / "kept")
    assert (artefact.epochs, max(states)) == (2, 1)
    again, _ = train(replace(stuck, folder=tmp_path / "again", resume=states[1]), tmp_path / "kept again")
    assert again.epochs == 2, "killed after it ended, it ends there again"
