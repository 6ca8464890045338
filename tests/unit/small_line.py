"""A line small enough for unit tests: drawn dies, and a trainer, a detector and a meter that need no framework."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from wafergate.adapters.expectations import GreatExpectationsValidator
from wafergate.adapters.images import Examiner, decode, encode_png
from wafergate.adapters.memory import MemoryFacts, MemoryFiles, MemoryInspections
from wafergate.domain.drift import DriftPolicy
from wafergate.domain.evaluation import Detections
from wafergate.domain.models import Decoder
from wafergate.domain.parity import ExportParity
from wafergate.domain.training import Checkpoint, EpochReport, TrainedArtefact, TrainingJob
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import OutOfMemoryError, TrainingError
from wafergate.jobs.augment import augment
from wafergate.jobs.decide import decide
from wafergate.jobs.evaluate import evaluate
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Outcome, Parts
from wafergate.jobs.split import split
from wafergate.jobs.train import train
from wafergate.jobs.validate import validate
from wafergate.line import LineFile, parse_line
from wafergate.ports import Detector, Source, Trainer

LINE = """
[line]
name = "dies"
classes = ["excess", "missing"]

[intake]
reference = "{folder}/{stem}_golden{suffix}"
licence = "Apache-2.0"

[taxonomy]
map = [
    { raw = "particle", defect_class = "excess", rationale = "something lies where nothing should" },
    { raw = "bridge", defect_class = "excess", rationale = "something lies where nothing should" },
    { raw = "scratch", defect_class = "missing", rationale = "something is gone" },
    { raw = "void", defect_class = "missing", rationale = "something is gone" },
]
signed_by = "Lee"
signed_on = 2026-02-01

[split]
group_by = ["lot"]
test_per_class = 12
val_per_class = 6

[augment]
per_original = 1

[models]
candidate = "contrast"
channels = "golden"
image_size = 96
epochs = 2
random_start = true

[[models.candidates]]
name = "contrast"
backend = "contrast"
architecture = "contrast"
code_licence = "MIT"
weights_licence = "MIT"
weights = "contrast.json"

[gate]
recall = 0.5
critical_recall = 0.5
iou = 0.3
overkill = 1.0

[drift]
min_images = 20
"""
NO_DIFFERENCE = 128
PARITY = ExportParity(6, 24, 24, 0.0, {"excess": (1.0, 1.0), "missing": (1.0, 1.0)})
"""The stand-in writes one file twice, so the two agree."""


def line_of(folder: Path = Path(), /, **changes: str) -> LineFile:
    """Return the line with texts of its file replaced: `recall="recall = 0.9"` replaces the line of that key."""
    lines = LINE.splitlines()
    for key, text in changes.items():
        place = next(number for number, line in enumerate(lines) if line.startswith(f"{key} = "))
        lines[place] = text
    return parse_line("\n".join(lines), folder / "line.toml")


def ticking() -> Callable[[], datetime]:
    """Return a clock that is one second on each time it is asked."""
    seconds = count()
    return lambda: datetime(2026, 3, 1, 8, tzinfo=UTC) + timedelta(seconds=next(seconds))


class ContrastTrainer:
    """Learns per class the sign and the strength of the difference from the golden reference inside its boxes."""

    def __init__(self, *, dies_after: int | None = None, fits: int = 10**6) -> None:
        self.dies_after = dies_after
        self.fits = fits  # images in memory at a time
        self.runs = 0
        self.jobs: list[TrainingJob] = []

    def __call__(
        self,
        job: TrainingJob,
        *,
        on_epoch: Callable[[EpochReport], None],
        on_checkpoint: Callable[[Checkpoint], None] | None = None,
    ) -> TrainedArtefact:
        self.runs += 1
        self.jobs.append(job)
        seen: dict[int, list[int]] = defaultdict(list)
        for label in sorted((job.data / "labels" / "train").glob("*.txt")):
            difference = _difference(decode((job.data / "images" / "train" / f"{label.stem}.png").read_bytes()))
            for row in label.read_text().splitlines():
                index, *place = row.split()
                seen[int(index)].append(_strongest(difference, *map(float, place)))
        for epoch in range(job.resume.epoch + 1 if job.resume else 1, job.epochs + 1):
            if epoch == 2 and job.micro_batch > self.fits:
                message = f"{self.fits} images fit, {job.micro_batch} were asked for"
                raise OutOfMemoryError(message)
            if epoch - 1 == self.dies_after:
                message = "the power went off"
                raise OSError(message)
            on_epoch(EpochReport(epoch, job.epochs, 1.0 / epoch, 0.5))
            if on_checkpoint is not None:
                state = job.folder / f"state-{epoch}"
                state.write_text(str(epoch))
                on_checkpoint(Checkpoint(epoch, state, None))
        rules = [0.4 * median(seen[index]) for index in range(len(job.classes))]
        weights, onnx = job.folder / "weights.json", job.folder / "model.json"
        weights.write_text(json.dumps(rules))
        onnx.write_text(json.dumps(rules))
        return TrainedArtefact(
            weights, onnx, Decoder.YOLO, job.epochs, job.batch, 1.0, {"contrast": "1"}, parity=PARITY
        )


class BlindTrainer(ContrastTrainer):
    """Learns nothing: no difference is large enough for its model."""

    def __call__(
        self,
        job: TrainingJob,
        *,
        on_epoch: Callable[[EpochReport], None],
        on_checkpoint: Callable[[Checkpoint], None] | None = None,
    ) -> TrainedArtefact:
        artefact = super().__call__(job, on_epoch=on_epoch, on_checkpoint=on_checkpoint)
        artefact.onnx.write_text(json.dumps([1000.0] * len(job.classes)))
        return artefact


def _difference(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    return pixels[:, :, 2].astype(np.int64) - NO_DIFFERENCE


def _strongest(difference: NDArray[np.int64], x: float, y: float, width: float, height: float) -> int:
    rows, columns = difference.shape
    top, bottom = int((y - height / 2) * rows), int((y + height / 2) * rows)
    inside = difference[top:bottom, int((x - width / 2) * columns) : int((x + width / 2) * columns)]
    return int(inside.flat[np.abs(inside).argmax()])


def open_contrast(model: ModelVersion, onnx: Path) -> Detector:
    """Open what `ContrastTrainer` exported: blobs whose difference passes a class's level, with its sign."""
    try:
        rules = json.loads(onnx.read_text())
    except ValueError as error:
        message = f"{onnx.name} is no contrast model"
        raise TrainingError(message) from error

    def detect(images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
        return [_seen(_difference(item), rules, min_score=min_score) for item in images]

    return detect


def _seen(difference: NDArray[np.int64], rules: Sequence[float], *, min_score: float) -> Detections:
    embedding = np.array([[difference.mean(), difference.std()]], np.float32)
    return replace(_blobs(difference, rules, min_score=min_score), embedding=embedding)


def _blobs(difference: NDArray[np.int64], rules: Sequence[float], *, min_score: float) -> Detections:
    found = []
    for index, level in enumerate(rules):
        signed = difference * (1 if level > 0 else -1)
        mask = cv2.morphologyEx((signed > abs(level)).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        parts, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for part in range(1, parts):
            x, y, width, height, area = stats[part]
            score = float(np.clip(signed[labels == part].mean() * area, 0, 10_000)) / 10_000
            if area >= 6 and score >= min_score:
                found.append((score, (x - 1, y - 1, x + width + 1, y + height + 1), index))
    if not found:
        return Detections.empty()
    scores, boxes, classes = zip(*sorted(found, reverse=True), strict=True)
    return Detections(np.array(boxes, np.float32), np.array(scores, np.float32), np.array(classes, np.int64))


class KsMeter:
    """Measures drift with SciPy's two-sample Kolmogorov-Smirnov test."""

    def __call__(self, reference: pd.DataFrame, current: pd.DataFrame, policy: DriftPolicy) -> dict[str, float]:
        assert policy.method == "ks"
        return {
            str(name): float(ks_2samp(reference[name].dropna(), current[name].dropna()).pvalue)
            for name in reference.columns
        }

    def page(self, reference: pd.DataFrame, current: pd.DataFrame, policy: DriftPolicy, *, threshold: float) -> bytes:
        return f"<html>{policy.method} {len(reference)} {len(current)} {threshold}</html>".encode()


def parts_in(folder: Path, *, trainer: Trainer | None = None, **changes: Any) -> Parts:
    """Return stores in memory and real parts around the stand-ins."""
    cache = folder / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    clock = ticking()
    facts = changes.pop("facts", None) or MemoryFacts(clock=clock)
    parts = Parts(
        facts=facts,
        files=MemoryFiles(cache),
        inspections=MemoryInspections(facts),
        examiner=lambda max_pixels: Examiner(max_pixels=max_pixels),
        decode=decode,
        encode=encode_png,
        validate=GreatExpectationsValidator(),
        trainers={"contrast": trainer or ContrastTrainer()},
        load_detector=open_contrast,
        meter=KsMeter(),
        catalogue={},
        clock=clock,
        work=folder / "work",
    )
    return replace(parts, **changes)


class Thread(NamedTuple):
    """What each stage of a run made."""

    dataset: Outcome
    validation: Outcome
    split: Outcome
    training_set: Outcome
    model: Outcome
    evaluation: Outcome
    decision: Outcome

    @property
    def ids(self) -> Mapping[str, str]:
        return {stage: outcome.id for stage, outcome in self._asdict().items()}

    @property
    def reused(self) -> list[str]:
        return [stage for stage, outcome in self._asdict().items() if outcome.reused]


def run_thread(parts: Parts, line: LineFile, source: Source) -> Thread:
    """Run every job from images to a verdict."""
    dataset = ingest(parts, line, source, "coco")
    validation = validate(parts, line, dataset.id)
    sides = split(parts, line, dataset.id)
    training_set = augment(parts, line, sides.id)
    model = train(parts, line, training_set.id)
    evaluation = evaluate(parts, line, model.id)
    return Thread(
        dataset, validation, sides, training_set, model, evaluation, decide(parts, line, evaluation.id, actor="kim")
    )
