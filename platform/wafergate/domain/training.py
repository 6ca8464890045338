"""A training as it runs: the job a trainer is given and what it tells and hands back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wafergate.domain.few_images import PLAIN, Teaching
from wafergate.domain.models import Candidate, Channels, Decoder
from wafergate.domain.parity import ExportParity

__all__ = [
    "Checkpoint",
    "EpochReport",
    "TrainedArtefact",
    "TrainingJob",
]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a training after an epoch, as files that the same backend goes on from.

    Attributes:
        epoch: how many epochs it has seen.
        last: weights, optimiser, schedule and random state.
        best: the best state on validation so far, where there is one.
    """

    epoch: int
    last: Path
    best: Path | None


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """All a trainer needs, and nothing of the platform.

    Attributes:
        candidate: what to train.
        classes: defect classes in the order of their indices.
        data: folder in YOLO layout: `images/train`, `labels/train`, `images/val`, `labels/val`.
        folder: scratch folder of this job.
        weights: file to start from; None starts from random weights.
        channels: whether the three channels are colours or measurements: colour augmentation suits only the first.
        image_size: pixels, a multiple of 32.
        epochs: at most this many.
        batch: images behind one step of the optimiser.
        learning_rate: peak; 0 leaves it to the backend.
        mosaic: probability, 0..1.
        seed: of everything random.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, several cards as `cuda:0,1`, or `cuda:all`.
        threads: CPU threads; 0 for all.
        flip_horizontal: whether the product looks the same mirrored left to right, so that training may mirror it.
        flip_vertical: the same upside down.
        micro_batch: images in memory at a time; gradients of several are added up to `batch`. 0 for all of them.
        memory_mib: memory the training may take, MiB, enforced by the system; 0 for no limit.
        resume: where to go on; None begins with the first epoch.
        window: side of the windows that training cuts out of its images, pixels of the model's input; 0 for none.
        turns: whether the product looks the same turned by a right angle, so that training may turn it.
        iou: intersection over union from which a detection counts on the line.
        teaching: what it does differently for the sake of few images.
    """

    candidate: Candidate
    classes: tuple[str, ...]
    data: Path
    folder: Path
    weights: Path | None
    channels: Channels
    image_size: int
    epochs: int
    batch: int
    learning_rate: float
    mosaic: float
    seed: int
    device: str
    threads: int = 0
    flip_horizontal: bool = True
    flip_vertical: bool = True
    micro_batch: int = 0
    memory_mib: float = 0.0
    resume: Checkpoint | None = None
    window: int = 0
    turns: bool = False
    iou: float = 0.5
    teaching: Teaching = PLAIN


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch as it ends: 1-based number, epochs planned, mean loss, seconds, mAP50 on validation if known."""

    epoch: int
    epochs: int
    loss: float
    seconds: float
    map50: float | None = None


@dataclass(frozen=True, slots=True)
class TrainedArtefact:
    """What a trainer hands back.

    Attributes:
        weights: the native checkpoint.
        onnx: the exported model, fixed input size, batch axis free.
        decoder: how raw output becomes boxes.
        epochs: how many were run.
        batch: the batch size really used.
        seconds: wall time of the training.
        versions: versions of the libraries that made it.
        micro_batch: images in memory at a time; 0 where the backend does not tell.
        peak_memory_mib: the most memory the training held, MiB: resident memory of its process on a CPU, what
            PyTorch's allocator reserved on a GPU; 0 where the backend does not tell.
        parity: checkpoint and export on the same images; None where nobody compared them.
    """

    weights: Path
    onnx: Path
    decoder: Decoder
    epochs: int
    batch: int
    seconds: float
    versions: Mapping[str, str]
    micro_batch: int = 0
    peak_memory_mib: float = 0.0
    parity: ExportParity | None = None
