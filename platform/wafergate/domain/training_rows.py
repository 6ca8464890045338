"""What is stored of training: sets and their items, epochs, checkpoints, steps down the ladder, models."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wafergate.domain.augmentation import ClassPlan
from wafergate.domain.evaluation import OperatingPoint
from wafergate.domain.models import Candidate, Channels, Decoder
from wafergate.domain.parity import ExportParity
from wafergate.domain.samples import LabelledBox
from wafergate.domain.tiling import WHOLE, TilePolicy

__all__ = [
    "CheckpointRemoval",
    "MemoryStep",
    "ModelVersion",
    "TrainingCheckpoint",
    "TrainingEpoch",
    "TrainingItem",
    "TrainingSet",
]


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
class TrainingCheckpoint:
    """A checkpoint's row in the store: a killed training goes on from the newest one, on any machine.

    Attributes:
        id: from model, epoch and time.
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
class CheckpointRemoval:
    """A checkpoint that is no longer in the store; nobody goes on from it.

    Attributes:
        id: from the checkpoint.
        checkpoint_id: what was removed.
        model_id: the model it was of.
        epoch: how many epochs it had seen.
        bytes: freed in the store; 0 where its files are needed elsewhere.
        actor: who removed it; empty where the training itself did.
        reason: why.
        created_at: when.
    """

    id: str
    checkpoint_id: str
    model_id: str
    epoch: int
    bytes: int
    actor: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MemoryStep:
    """One step down the ladder: memory ran out, and training went on with fewer images at a time (rule M13).

    Attributes:
        id: from model, epoch, the two sizes, machine and budget.
        model_id: the model that is being trained.
        epoch: how many epochs were kept.
        batch: images behind one step of the optimiser, before and after.
        before: images in memory at a time when it ran out.
        after: images in memory at a time from here on.
        budget_mib: memory the training may take, MiB; 0 where nothing but the machine limits it.
        detail: the backend's own words.
        created_at: when it happened.
        machine: where, in words; empty where a version before this one stored it.
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
    machine: str = ""


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
        versions: libraries.
        created_at: when it became visible.
        operating: how each threshold came about on validation, with its warnings; the same scores as `thresholds`.
        micro_batch: images in memory at a time during training; `batch` unless memory ran out.
        peak_memory_mib: the most memory the training held, MiB; see `TrainedArtefact`.
        parity: the checkpoint and the exported file on the same images; None for models from before it was measured.
        run_id: the flow run that trained it; empty where no flow did.
        tile: how its training cut images, and how it is shown them wherever it judges or inspects.
        start_licence: of the weights it started from, as it was known then; empty where nobody named it, None where
            nobody kept it or it started from none.
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
    versions: Mapping[str, str]
    created_at: datetime
    operating: tuple[OperatingPoint, ...] = ()
    micro_batch: int = 0
    peak_memory_mib: float = 0.0
    parity: ExportParity | None = None
    run_id: str = ""
    tile: TilePolicy = WHOLE
    start_licence: str | None = None
