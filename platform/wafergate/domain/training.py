"""Training sets, training jobs and the models that come of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, MinLen

from wafergate.domain.augmentation import ClassPlan
from wafergate.domain.evaluation import OperatingPoint
from wafergate.domain.parity import ExportParity
from wafergate.domain.samples import LabelledBox

__all__ = [
    "Candidate",
    "Channels",
    "Checkpoint",
    "Decoder",
    "EpochReport",
    "HardwareProfile",
    "MemoryStep",
    "ModelPolicy",
    "ModelVersion",
    "TrainedArtefact",
    "TrainingCheckpoint",
    "TrainingEpoch",
    "TrainingItem",
    "TrainingJob",
    "TrainingSet",
]


class Channels(StrEnum):
    """What the three input channels of the model hold."""

    IMAGE = "image"
    GOLDEN = "golden"  # image, golden reference, tolerant difference


class Decoder(StrEnum):
    """How the raw output of an exported model becomes boxes."""

    YOLOX = "yolox"  # (n, anchors, 5 + classes) on a grid: centre, size, objectness, class scores
    YOLO = "yolo"  # (n, 4 + classes, anchors): centre, size in input pixels, class scores
    END_TO_END = "end2end"  # (n, detections, 6): corners in input pixels, score, class; no suppression needed


@dataclass(frozen=True, slots=True)
class TrainingItem:
    """One image that training reads, with its lineage.

    Attributes:
        training_set_id: the set it belongs to.
        position: 0-based place in the set.
        origin: name of the sample it was made from.
        operations: what was done to it, in order, e.g. `("crop:10,20,106,116", "turn_90")`; empty for an original.
        image: SHA-256 of the file that is trained on (channels already composed).
        width: pixels.
        height: pixels.
        boxes: the defects in this file's pixels.
        side: `train` or `validation`.
        donor: for a composite, name of the sample whose defect was pasted onto `origin`; else empty.
    """

    training_set_id: str
    position: int
    origin: str
    operations: tuple[str, ...]
    image: str
    width: int
    height: int
    boxes: tuple[LabelledBox, ...]
    side: str
    donor: str = ""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What was really trained on: the originals of the training side and their augmentations.

    Attributes:
        id: from the plan and the channels.
        split_id: the split whose training side it holds.
        channels: what the files hold.
        originals: images of the training side.
        augmented: images made of them, composites included.
        validation: images of the validation side.
        plan: what the plan did for each class.
        created_at: when it became visible.
        plan_id: the plan it was made from.
        synthetic: how many of the augmented images are composites.
    """

    id: str
    split_id: str
    channels: Channels
    originals: int
    augmented: int
    validation: int
    plan: tuple[ClassPlan, ...]
    created_at: datetime
    plan_id: str | None = None
    synthetic: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that could be trained.

    Attributes:
        name: as in the catalogue, e.g. `yolox-nano`.
        backend: `libreyolo` or `ultralytics`.
        architecture: the backend's own name for it.
        parameters: in millions.
        code_licence: SPDX identifier of the code.
        weights_licence: SPDX identifier of the published weights; empty when it starts from random weights.
        licence_source: where the licences are written.
        weights: a file, relative to the line file; empty for the architecture alone.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: Annotated[str, MinLen(1)]
    backend: Annotated[str, MinLen(1)]
    architecture: Annotated[str, MinLen(1)]
    code_licence: Annotated[str, MinLen(1)]
    parameters: Annotated[float, Gt(0)] = 1.0
    weights_licence: str = ""
    licence_source: str = ""
    weights: str = ""


@dataclass(frozen=True, slots=True)
class ModelPolicy:
    """What is trained and for how long.

    Attributes:
        candidate: name in the catalogue or in `[[models.candidates]]`, or `auto` for the best of those that fit.
        choose_from: names that `auto` chooses between; empty for all.
        candidates: the team's own entries.
        channels: what the model sees.
        image_size: the longer side, pixels, a multiple of 32.
        epochs: at most this many.
        batch: effective batch size.
        learning_rate: peak; 0 leaves it to the backend.
        random_start: whether a candidate may start from random weights.
        mosaic: probability of pasting four training images into one during training, 0..1.
        seed: of everything random in training.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    candidate: str = "yolox-nano"
    candidates: tuple[Candidate, ...] = ()
    channels: Channels = Channels.IMAGE
    image_size: Annotated[int, Ge(32), Le(4096)] = 416
    epochs: Annotated[int, Ge(1), Le(2000)] = 30
    batch: Annotated[int, Ge(1), Le(1024)] = 8
    learning_rate: Annotated[float, Ge(0), Le(1)] = 0.0
    random_start: bool = False
    mosaic: Annotated[float, Ge(0), Le(1)] = 0.5
    seed: int = 0
    choose_from: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.image_size % 32:
            message = f"image_size must be a multiple of 32, found {self.image_size}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class HardwareProfile:
    """What a machine offers or a line demands; 0 means no limit.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        memory_mib: memory that may be used, MiB.
        latency_ms: median time for one image at batch 1, milliseconds.
        size_mib: size of the exported model, MiB.
        threads: CPU threads.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    device: Annotated[str, MinLen(1)] = "auto"
    memory_mib: Annotated[float, Ge(0)] = 0.0
    latency_ms: Annotated[float, Ge(0)] = 0.0
    size_mib: Annotated[float, Ge(0)] = 0.0
    threads: Annotated[int, Ge(0)] = 0


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
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; 0 for all.
        flip_horizontal: whether the product looks the same mirrored left to right, so that training may mirror it.
        flip_vertical: the same upside down.
        micro_batch: images in memory at a time; gradients of several are added up to `batch`. 0 for all of them.
        memory_mib: memory the training may take, MiB, enforced by the system; 0 for no limit.
        resume: where to go on; None begins with the first epoch.
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


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch as it ends: 1-based number, epochs planned, mean loss, seconds, mAP50 on validation if known."""

    epoch: int
    epochs: int
    loss: float
    seconds: float
    map50: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingEpoch:
    """An epoch's row in the store: progress of a training that may still run.

    Attributes:
        id: from the model, the epoch and the time.
        model_id: the model that is being trained; its row comes when the training has ended.
        epoch: 1, 2, 3 …
        epochs: how many there will be.
        loss: of the epoch.
        seconds: wall time of the epoch.
        map50: on validation; None where the backend does not tell.
        created_at: when it ended.
        actor: who asked for the run that trained it; a killed training may be finished by another run.
    """

    id: str
    model_id: str
    epoch: int
    epochs: int
    loss: float
    seconds: float
    map50: float | None
    created_at: datetime
    actor: str = ""


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


@dataclass(frozen=True, slots=True)
class TrainingCheckpoint:
    """A checkpoint's row in the store: a killed training goes on from the newest one, on any machine.

    Attributes:
        id: from model and epoch.
        model_id: the model that is being trained.
        epoch: how many epochs it has seen.
        last: SHA-256 of the state in S3.
        best: SHA-256 of the best state on validation so far, where there is one.
        created_at: when it was stored.
    """

    id: str
    model_id: str
    epoch: int
    last: str
    best: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MemoryStep:
    """One step down the ladder: memory ran out, and training went on with fewer images at a time (rule M13).

    Attributes:
        id: from model, epoch and the two sizes.
        model_id: the model that is being trained.
        epoch: how many epochs were kept.
        batch: images behind one step of the optimiser, before and after.
        before: images in memory at a time when it ran out.
        after: images in memory at a time from here on.
        budget_mib: memory the training may take, MiB; 0 where nothing but the machine limits it.
        detail: the backend's own words.
        created_at: when it happened.
    """

    id: str
    model_id: str
    epoch: int
    batch: int
    before: int
    after: int
    budget_mib: float
    detail: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A trained model with everything needed to run it and to explain it.

    Attributes:
        id: from training set, specification and weights it started from.
        line: the production line.
        number: 1, 2, 3 … in the order of arrival.
        training_set_id: what it was trained on.
        split_id: the split behind that.
        dataset_id: the dataset version behind that.
        candidate: the catalogue entry.
        classes: defect classes in the order of their indices.
        channels: what it sees.
        image_size: pixels.
        weights: SHA-256 of the native checkpoint in S3.
        onnx: SHA-256 of the exported model in S3: what is judged, promoted and run.
        decoder: how its raw output becomes boxes.
        thresholds: operating score per class, frozen on validation.
        start: SHA-256 of the weights it started from; None for random.
        epochs: how many were run.
        batch: batch size used.
        seed: of the training.
        seconds: training time.
        size_mib: size of the exported model.
        latency_ms: median time for one image at batch 1 on the machine that trained it.
        versions: libraries.
        created_at: when it became visible.
        operating: how each threshold came about on validation, with its warnings; the same scores as `thresholds`.
        micro_batch: images in memory at a time during training; `batch` unless memory ran out.
        peak_memory_mib: the most memory the training held, MiB; see `TrainedArtefact`.
        parity: the checkpoint and the exported file on the same images; None for models from before it was measured.
        run_id: the flow run that trained it; empty where no flow did.
    """

    id: str
    line: str
    number: int
    training_set_id: str
    split_id: str
    dataset_id: str
    candidate: Candidate
    classes: tuple[str, ...]
    channels: Channels
    image_size: int
    weights: str
    onnx: str
    decoder: Decoder
    thresholds: Mapping[str, float]
    start: str | None
    epochs: int
    batch: int
    seed: int
    seconds: float
    size_mib: float
    latency_ms: float
    versions: Mapping[str, str]
    created_at: datetime
    operating: tuple[OperatingPoint, ...] = ()
    micro_batch: int = 0
    peak_memory_mib: float = 0.0
    parity: ExportParity | None = None
    run_id: str = ""
