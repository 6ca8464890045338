"""One candidate of each further family: it trains for real, exports, and is read as its makers read it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.contracts.test_trainers import CLASSES, TRAINERS, draw, write_squares
from wafergate.adapters.catalogue import load_catalogue
from wafergate.adapters.libreyolo import _build
from wafergate.adapters.onnx.letterbox import letterbox
from wafergate.adapters.onnx_detector import OnnxDetector
from wafergate.domain.models import Candidate, Channels
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob

pytestmark = pytest.mark.training
OWN = {
    "libreyolo": """
import libreyolo
model = getattr(libreyolo, family)(weights, size=letter, nb_classes=2, device="cpu")
result = model.predict(image, conf=1e-9, iou=0.6, imgsz=size)
result = result[0] if isinstance(result, list) else result
""",
    "ultralytics": """
from ultralytics import RTDETR
result = RTDETR(weights).predict(image, conf=1e-9, imgsz=size, device="cpu")[0]
""",
}
SMALL = {"yolov9-t": 96, "rtdetr-r18": 128, "dfine-n": 256, "rfdetr-n": 288, "rtdetr-l": 128}
"""Candidate to the smallest input that it takes; the YOLO families beside them have their own suite."""


@dataclass(frozen=True)
class Trained:
    job: TrainingJob
    artefact: TrainedArtefact
    epochs: list[EpochReport]


@pytest.fixture(scope="module", params=SMALL)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One epoch of two steps from random weights, on images that are not square."""
    candidate, folder = load_catalogue()[request.param], tmp_path_factory.mktemp(request.param)
    size = SMALL[request.param]
    assert candidate.takes(size)
    job = TrainingJob(
        candidate, CLASSES, write_squares(folder / "data", train=8, validation=2), folder / "job", None,
        Channels.IMAGE, size, 1, 4, 0.0, 0.0, 0, "cpu", 2,
    )  # fmt: skip
    epochs: list[EpochReport] = []
    return Trained(job, TRAINERS[candidate.backend]()(job, on_epoch=epochs.append), epochs)


def detector(trained: Trained) -> OnnxDetector:
    artefact, size = trained.artefact, trained.job.image_size
    return OnnxDetector(artefact.onnx, decoder=artefact.decoder, image_size=size, classes=len(CLASSES), threads=2)


class Silent:
    """A parent that listens to nothing."""

    def epoch(self, report: EpochReport) -> None:
        pass

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def test_the_learning_rate_of_the_line_file_reaches_the_encoder_of_rfdetr(tmp_path: Path) -> None:
    candidate = Candidate("rfdetr-n", "libreyolo", "LibreRFDETRn", "Apache-2.0")
    job = TrainingJob(
        candidate, CLASSES, tmp_path, tmp_path, None, Channels.IMAGE, 288, 1, 1, 2e-5, 0.0, 0, "cpu",
    )  # fmt: skip
    rates = [_build(replace(job, learning_rate=rate), "cpu", Silent()).model.args.lr_encoder for rate in (0.0, 2e-5)]
    assert rates == pytest.approx([1.5e-4, 3e-5])


def test_a_step_is_trained_without_the_network_and_the_export_opens(trained: Trained) -> None:
    (epoch,) = trained.epochs
    assert 0 < epoch.loss < 1e4
    assert "network refused" not in (trained.job.folder / "training.log").read_text()
    assert detector(trained).classes == CLASSES
    assert trained.artefact.parity is not None
    assert (trained.artefact.parity.images, trained.artefact.parity.agreed) == (2, trained.artefact.parity.detections)


def test_a_batch_gives_what_each_image_gives_alone_and_boxes_lie_inside(trained: Trained) -> None:
    random = np.random.default_rng(4)
    images = [draw(random, width, 60, defects=True)[0] for width in (60, 90, 140)]
    together = detector(trained)(images, min_score=0.0)
    for image, found in zip(images, together, strict=True):
        (alone,) = detector(trained)([image], min_score=0.0)
        assert len(found) == len(alone) > 0
        assert np.sort(found.scores) == pytest.approx(np.sort(alone.scores), abs=1e-4)
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, 2:] <= (image.shape[1], image.shape[0])).all()
        assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()


# a family that suppresses neighbours is left out: after two steps its scores tie, and which of them stays is chance
@pytest.mark.parametrize("trained", [name for name in SMALL if name != "yolov9-t"], indirect=True)
def test_the_detector_reads_what_the_backends_own_predict_reads(trained: Trained, tmp_path: Path) -> None:
    """On a square of the model's size, where nothing is scaled: the strongest boxes, their scores and classes."""
    job, size = trained.job, trained.job.image_size
    picture, _ = draw(np.random.default_rng(5), 120, 90, defects=True)
    square = letterbox(picture, size, centred=True)[0]
    assert cv2.imwrite(str(tmp_path / "square.png"), square)
    architecture = job.candidate.architecture
    family, letter = next(
        (name, architecture.removeprefix(name))
        for name in ("LibreRTDETR", "LibreDFINE", "LibreRFDETR", "")
        if architecture.startswith(name)
    )
    given = (
        f"weights, image, size = {str(trained.artefact.weights)!r}, {str(tmp_path / 'square.png')!r}, {size}\n"
        f"family, letter = {family!r}, {letter!r}\n"
    )
    last = (
        "import json, pathlib\nboxes = result.boxes\n"
        "found = [boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist()]\n"
        f"pathlib.Path({str(tmp_path / 'found.json')!r}).write_text(json.dumps(found))\n"
    )
    switches = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(tmp_path)}
    command = [sys.executable, "-c", given + OWN[job.candidate.backend] + last]
    done = subprocess.run(command, check=False, cwd=tmp_path, env=os.environ | switches, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    boxes, scores, classes = (np.array(part) for part in json.loads((tmp_path / "found.json").read_text()))
    (ours,) = detector(trained)([square], min_score=0.0)
    taught = classes < len(CLASSES)  # RF-DETR's own predict also lists a last class that nobody teaches
    boxes, scores, classes = boxes[taught], scores[taught], classes[taught]
    order = np.argsort(-scores, kind="stable")
    # a transformer's predict also lists the second class of a box; here a box has one
    strongest = [i for n, i in enumerate(order) if not any(np.allclose(boxes[i], boxes[j]) for j in order[:n])][:20]
    assert len(strongest) >= 10
    for box, score, label in zip(boxes[strongest], scores[strongest], classes[strongest], strict=True):
        near = np.abs(ours.boxes - box).max(axis=1) < 1.0
        assert (near & (np.abs(ours.scores - score) < 1e-3) & (ours.classes == label)).any()
