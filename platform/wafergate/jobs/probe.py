"""Measure what a candidate needs: memory of real training steps, and speed and size of its exported model."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from wafergate.domain.choice import CandidateStanding, MemoryUse, Probe
from wafergate.domain.identity import identify
from wafergate.domain.latency import Latency
from wafergate.domain.models import Candidate, Channels
from wafergate.domain.serving import Runtime
from wafergate.domain.training import TrainedArtefact, TrainingJob
from wafergate.errors import HardwareError, OutOfMemoryError
from wafergate.jobs.detect import by_tiles
from wafergate.jobs.drafts import draft_model
from wafergate.jobs.ladder import hold_devices, trainer_of
from wafergate.jobs.latency import time_detector
from wafergate.jobs.parts import Parts, silent
from wafergate.jobs.serve import require_runtime
from wafergate.jobs.training_folder import made_once
from wafergate.line import LineFile
from wafergate.ports import DetectorLoader, Progress
from wafergate.stages.choose import drop_misfits

__all__ = ["probe", "require_room", "room_for"]

STEPS = 2
"""Training steps for each number of images: the optimiser's own memory is there from the second on."""


def probe(parts: Parts, line: LineFile, candidate: Candidate, *, progress: Progress = silent) -> Probe:
    """Measure a candidate at the line's input size on this machine, once, while no other training runs there.

    Training runs for real, on generated images in a process of its own: with one image at a time, then with the line's
    batch and, where that does not fit, with 2, 4 … until memory runs out: that of the machine, or `[hardware.train]
    memory_mib`, held to as in the training that follows. Weights do not change what it takes, so it starts from random
    ones. Where not even one image fitted, nothing is stored: other work may have taken the memory.

    Raises:
        ConfigError: the backend or the runtime is not installed, or the backend knows no such architecture.
        HardwareError: a card that is asked for is not there.
        TrainingError: a training ended for another reason than memory.
    """
    trainer_of(parts, candidate)
    row_id = _identity(parts, line, candidate)

    def waiting() -> None:
        progress("waiting: another training runs on this machine", 0, 0)

    def make(folder: Path) -> Probe:
        with hold_devices(parts, line.hardware.train.device, waiting):
            return _measured(parts, line, candidate, folder, row_id, progress)

    return made_once(parts, Probe, row_id, make, keep=lambda row: bool(row.memory), progress=progress)[0]


def require_room(
    parts: Parts, line: LineFile, candidate: Candidate, *, progress: Progress = silent
) -> CandidateStanding:
    """Refuse a candidate that cannot train one image at a time here, before anything else is done (rule M13).

    Returns:
        What was measured; `dropped_by` names a limit of `[hardware.serve]` that the gate will hold against it.

    Raises:
        HardwareError: it cannot; names what it needs and what there is. Or see `probe`.
    """
    train, serve = line.hardware.train, line.hardware.serve
    found = probe(parts, line, candidate, progress=progress)
    standing = drop_misfits(CandidateStanding(candidate.name, {}), found, train=train, serve=serve)
    if standing.dropped_by == "memory":
        message = (
            f"{candidate.name} at {line.models.image_size} px cannot be trained here: {standing.reason}. Choose a "
            "smaller candidate or a smaller models.image_size"
        )
        raise HardwareError(message)
    return standing


def room_for(parts: Parts, line: LineFile, candidate: Candidate) -> int:
    """Return how many images at a time a training may begin with: the batch, or fewer where a probe found that."""
    batch = line.models.batch
    found = parts.facts.find(Probe, id=_identity(parts, line, candidate))
    return min(batch, found[0].largest(line.hardware.train.memory_mib) or batch) if found else batch


def _identity(parts: Parts, line: LineFile, candidate: Candidate) -> str:
    models, serve, limit = line.models, line.hardware.serve, line.hardware.train.memory_mib
    machine = parts.machine(line.hardware.train.device, candidate.backend)
    tail = ("tail",) if serve.latency_p99_ms else ()
    serving = (serve.runtime, serve.threads, parts.machine(serve.device, "openvino"), *tail)
    window = (f"windows of {models.window}",) if models.window else ()
    asked = (models.image_size, len(line.classes), models.batch, *((limit,) if limit else ()), *window)
    trained = (candidate.backend, candidate.architecture, *asked, machine)
    return identify("probe", *trained, *serving, *line.cuts)


def _measured(
    parts: Parts, line: LineFile, candidate: Candidate, folder: Path, row_id: str, progress: Progress
) -> Probe:
    memory: list[MemoryUse] = []
    artefact: TrainedArtefact | None = None
    ended = ""
    for done, images in enumerate(_sizes(line.models.batch), start=1):
        job = _job(parts, line, candidate, folder / str(images), images=images)
        try:
            artefact = trainer_of(parts, candidate)(job, on_epoch=lambda _report: None)
        except OutOfMemoryError as error:
            ended = str(error)
            if images < line.models.batch or images == 1:
                break
        else:
            memory.append(MemoryUse(images, artefact.peak_memory_mib))
            if images == line.models.batch:
                break
        progress(f"measuring {candidate.name}", done, 0)
    runtime, latency = _measure(parts, line, candidate, artefact) if artefact else (Runtime.ONNXRUNTIME, ())
    return Probe(
        id=row_id,
        candidate=candidate.name,
        image_size=line.models.image_size,
        machine=parts.machine(line.hardware.train.device, candidate.backend),
        memory=tuple(memory),
        latency=latency,
        size_mib=artefact.onnx.stat().st_size / 2**20 if artefact else 0.0,
        ended=ended,
        created_at=parts.clock(),
        runtime=runtime,
    )


def _sizes(batch: int) -> list[int]:
    """Return one image, all of them, and then what lies between, which is asked where all did not fit."""
    between = [2**power for power in range(1, batch.bit_length()) if 2**power < batch]
    return [1, *([batch, *between] if batch > 1 else [])]


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
        window=models.window,
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
    tail = bool(line.hardware.serve.latency_p99_ms)
    timed = {
        runtime: time_detector(by_tiles(load(model, artefact.onnx), line.cuts), [image], tail=tail)
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
