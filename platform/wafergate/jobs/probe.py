"""Measure what a candidate needs: memory of real training steps, and speed and size of its exported model."""

import shutil
import time
from pathlib import Path

import numpy as np

from wafergate.domain.choice import Latency, MemoryUse, Probe
from wafergate.domain.identity import identify
from wafergate.domain.models import Candidate, Channels
from wafergate.domain.training import TrainedArtefact, TrainingJob
from wafergate.errors import OutOfMemoryError
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.train import draft_model
from wafergate.line import LineFile
from wafergate.ports import Detector, Progress

__all__ = ["probe"]

STEPS = 2
"""Training steps for each number of images: the optimiser's own memory is there from the second on."""

_CALLS, _SECONDS, _WARM = 50, 5.0, 5


def probe(parts: Parts, line: LineFile, candidate: Candidate, *, progress: Progress = silent) -> Outcome:
    """Measure a candidate at the line's input size on this machine, once.

    Training runs for real, on generated images in a process of its own, with 1, 2, 4 … images at a time up to the
    line's batch, until memory runs out. Weights do not change what it takes, so it starts from random ones.

    Raises:
        ConfigError: the backend is not installed, or knows no such architecture.
        TrainingError: a training ended for another reason than memory.
    """
    models = line.models
    machine = parts.machine(line.hardware.train.device, candidate.backend)
    own = (candidate.backend, candidate.architecture, models.image_size, len(line.classes), models.batch, machine)
    row_id = identify("probe", *own)
    if parts.facts.find(Probe, id=row_id):
        return Outcome(row_id, reused=True)
    folder = parts.work / row_id
    shutil.rmtree(folder, ignore_errors=True)
    memory: list[MemoryUse] = []
    artefact: TrainedArtefact | None = None
    ended = ""
    sizes = _sizes(models.batch)
    for done, images in enumerate(sizes, start=1):
        job = _job(parts, line, candidate, folder / str(images), images=images)
        try:
            artefact = parts.trainers[candidate.backend](job, on_epoch=lambda _report: None)
        except OutOfMemoryError as error:
            ended = str(error)
            break
        memory.append(MemoryUse(images, artefact.peak_memory_mib))
        progress(f"measuring {candidate.name}", done, len(sizes))
    latency, size = _measure(parts, line, candidate, artefact) if artefact is not None else ((), 0.0)
    shutil.rmtree(folder, ignore_errors=True)
    row = Probe(
        id=row_id,
        candidate=candidate.name,
        image_size=models.image_size,
        machine=machine,
        memory=tuple(memory),
        latency=latency,
        size_mib=size,
        ended=ended,
        created_at=parts.clock(),
    )
    return Outcome(row_id, not parts.facts.save(row))


def _sizes(batch: int) -> list[int]:
    doubled = [2**power for power in range(batch.bit_length()) if 2**power < batch]
    return [*doubled, batch]


def _job(parts: Parts, line: LineFile, candidate: Candidate, folder: Path, *, images: int) -> TrainingJob:
    """Lay out noise with one box of every class in each image, and the job that trains on it."""
    models, hardware = line.models, line.hardware.train
    random = np.random.default_rng(models.seed)
    for kind in ("images", "labels"):
        (folder / "data" / kind / "train").mkdir(parents=True)
        (folder / "data" / kind / "val").mkdir()
    boxes = "".join(
        f"{index} {(place + 0.5) / len(line.classes):.6f} 0.5 {0.5 / len(line.classes):.6f} 0.2\n"
        for place, index in enumerate(range(len(line.classes)))
    )
    for number in range(STEPS * images):
        noise = random.integers(0, 256, (models.image_size, models.image_size, 3), dtype=np.uint8)
        (folder / "data" / "images" / "train" / f"{number:04d}.png").write_bytes(parts.encode(noise))
        (folder / "data" / "labels" / "train" / f"{number:04d}.txt").write_text(boxes, encoding="utf-8")
    return TrainingJob(
        candidate=candidate,
        classes=line.classes,
        data=folder / "data",
        folder=folder,
        weights=None,
        channels=Channels.GOLDEN,  # without colour augmentation, which takes no memory worth counting
        image_size=models.image_size,
        epochs=1,
        batch=images,
        learning_rate=models.learning_rate,
        mosaic=models.mosaic,
        seed=models.seed,
        device=hardware.device,
        threads=hardware.threads,
    )


def _measure(
    parts: Parts, line: LineFile, candidate: Candidate, artefact: TrainedArtefact
) -> tuple[tuple[Latency, ...], float]:
    model = draft_model(parts, line, candidate, artefact)
    detector = parts.load_detector(model, artefact.onnx)
    latencies = tuple(_time(detector, batch, line.models.image_size) for batch in (1, 2))
    return latencies, artefact.onnx.stat().st_size / 2**20


def _time(detector: Detector, batch: int, side: int) -> Latency:
    """Time calls on generated images after some that only warm up, as many as fit into a few seconds."""
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    times: list[float] = []
    begun = time.perf_counter()
    for call in range(_WARM + _CALLS):
        before = time.perf_counter()
        detector([image] * batch, min_score=0.5)
        if call >= _WARM:
            times.append(1000 * (time.perf_counter() - before))
        if len(times) >= 3 and time.perf_counter() - begun > _SECONDS:
            break
    median, p95, p99 = (float(np.percentile(times, share)) for share in (50, 95, 99))
    return Latency(batch, median, p95, p99)
