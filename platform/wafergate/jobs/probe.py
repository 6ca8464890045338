"""Measure what a candidate needs: memory of real training steps, and speed and size of its exported model."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from wafergate.domain.choice import MemoryUse, Probe
from wafergate.domain.identity import identify
from wafergate.domain.latency import Latency
from wafergate.domain.models import Candidate, Channels
from wafergate.domain.serving import Runtime
from wafergate.domain.training import TrainedArtefact, TrainingJob
from wafergate.errors import OutOfMemoryError
from wafergate.jobs.detect import by_tiles
from wafergate.jobs.latency import time_detector
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.serve import require_runtime
from wafergate.jobs.train import draft_model
from wafergate.line import LineFile
from wafergate.ports import DetectorLoader, Progress

__all__ = ["probe"]

STEPS = 2
"""Training steps for each number of images: the optimiser's own memory is there from the second on."""


def probe(parts: Parts, line: LineFile, candidate: Candidate, *, progress: Progress = silent) -> Outcome:
    """Measure a candidate at the line's input size on this machine, once.

    Training runs for real, on generated images in a process of its own, with 1, 2, 4 … images at a time up to the
    line's batch, until memory runs out: that of the machine, or `[hardware.train] memory_mib`, held to as in the
    training that follows. Weights do not change what it takes, so it starts from random ones.

    Raises:
        ConfigError: the backend or the runtime is not installed, or the backend knows no such architecture.
        TrainingError: a training ended for another reason than memory.
    """
    models = line.models
    machine = parts.machine(line.hardware.train.device, candidate.backend)
    serve = line.hardware.serve
    serving = (serve.runtime, serve.threads, parts.machine(serve.device, "openvino"))
    limit = line.hardware.train.memory_mib
    asked = (models.image_size, len(line.classes), models.batch, *((limit,) if limit else ()))
    trained = (candidate.backend, candidate.architecture, *asked, machine)
    row_id = identify("probe", *trained, *serving, *line.cuts)
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
    runtime, latency = _measure(parts, line, candidate, artefact) if artefact else (Runtime.ONNXRUNTIME, ())
    size = artefact.onnx.stat().st_size / 2**20 if artefact else 0.0
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
        runtime=runtime,
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
        memory_mib=hardware.memory_mib,
    )


def _measure(
    parts: Parts, line: LineFile, candidate: Candidate, artefact: TrainedArtefact
) -> tuple[Runtime, tuple[Latency, ...]]:
    """Time the exported model in the runtime that would serve it.

    The image is as large as the model's input, or as the tiles of it that the line cuts.
    Whether a runtime agrees is only known of a trained model, so `auto` counts on the fastest of those in float32.
    """
    model = draft_model(parts, line, candidate, artefact)
    shape = (line.tile.rows * line.models.image_size, line.tile.columns * line.models.image_size, 3)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    timed = {
        runtime: time_detector(by_tiles(load(model, artefact.onnx), line.cuts), [image])
        for runtime, load in _loaders(parts, line).items()
    }
    return min(timed.items(), key=lambda item: item[1][0].median_ms)


def _loaders(parts: Parts, line: LineFile) -> Mapping[Runtime, DetectorLoader]:
    wanted, loaders = line.hardware.serve.runtime, parts.runtimes(line.hardware.serve)
    if wanted is Runtime.AUTO:
        rounding = Runtime.OPENVINO_BF16
        able: dict[Runtime, DetectorLoader] = {name: load for name, load in loaders.items() if name is not rounding}
        return able or {Runtime.ONNXRUNTIME: parts.load_detector}
    require_runtime(loaders, wanted)
    return {wanted: loaders[wanted]}
