"""A training set to a model version: trained, exported, its thresholds frozen on validation."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from wafergate.domain.cost import ExpectedCost
from wafergate.domain.evaluation import OperatingPoint, Truth
from wafergate.domain.identity import identify
from wafergate.domain.operating import operating_points
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.splits import Side, Split
from wafergate.domain.training import EpochReport, TrainedArtefact
from wafergate.domain.training_rows import MemoryStep, ModelVersion, TrainingEpoch, TrainingItem, TrainingSet
from wafergate.errors import TrainingError
from wafergate.jobs.augment import groups_on, samples_on
from wafergate.jobs.detect import open_judge, run_detector
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.training import Told, train_items
from wafergate.jobs.training_folder import made_once
from wafergate.jobs.training_job import Start, choose_start
from wafergate.jobs.versions import on_version
from wafergate.line import LineFile
from wafergate.ports import Progress

__all__ = ["Asked", "freeze", "model_identity", "train"]


class Asked(NamedTuple):
    """Who asked for a training, and in which flow run.

    Attributes:
        actor: kept with every epoch, because another person's run may finish the training.
        run_id: kept with the model.
    """

    actor: str = ""
    run_id: str = ""


NOBODY = Asked()


def train(
    parts: Parts,
    line: LineFile,
    training_set_id: str,
    *,
    weights: Path | None = None,
    by: Asked = NOBODY,
    on_epoch: Callable[[EpochReport], None] = lambda _report: None,
    on_step: Callable[[MemoryStep], None] = lambda _step: None,
    progress: Progress = silent,
) -> Outcome:
    """Train the line's candidate and store the model; a killed training goes on from its last stored checkpoint.

    Args:
        parts: the real parts.
        line: the line file.
        training_set_id: what to learn from.
        weights: a file that takes the place of the candidate's own.
        by: who asked for it, in which flow run.
        on_epoch: told after every epoch.
        on_step: told when memory ran out and fewer images at a time are taken.
        progress: told how far the other steps are.

    Raises:
        ConfigError: see `choose_start`; or the backend is not installed.
        LicenceError: the policy refuses a part.
        HardwareError: memory ran out with one image at a time.
        TrainingError: training or export failed, or the exported model cannot be run.
        StorageError: the work folder or the file store's cache has no room.
    """
    training_set = parts.facts.get(TrainingSet, training_set_id)
    line = on_version(parts, line, parts.facts.get(Split, training_set.split_id).dataset_id)
    start = choose_start(parts, line, weights=weights)
    row_id = model_identity(line, start, training_set_id)

    def make(folder: Path) -> ModelVersion:
        artefact = train_items(
            parts,
            line,
            start,
            parts.facts.find(TrainingItem, training_set_id=training_set_id),
            folder,
            channels=training_set.channels,
            told=Told(_recorder(parts, row_id, by.actor, on_epoch), progress, on_step),
        )
        model = replace(_describe(parts, line, training_set, start, artefact, row_id=row_id), run_id=by.run_id)
        validation = samples_on(parts, training_set.split_id, Side.VALIDATION)
        groups = groups_on(parts, training_set.split_id, validation)
        points = freeze(parts, line, model, validation, groups, onnx=artefact.onnx, progress=progress)
        thresholds = {point.defect_class: point.threshold for point in points}
        return replace(model, thresholds=thresholds, operating=points)

    _, reused = made_once(parts, ModelVersion, row_id, make, progress=progress)
    return Outcome(row_id, reused)


def model_identity(line: LineFile, start: Start, training_set_id: str) -> str:
    """Return the id of the model that a line file, `on_version` for its dataset version, makes of a training set."""
    settings = replace(line.models, candidate="", candidates=(), choose_from=(), random_start=False)
    # the thresholds stored with the model rest on these
    frozen = (
        line.gate.target_recall,
        line.gate.iou,
        line.gate.overkill,
        *((line.cost, line.prevalence) if line.cost.known else ()),
    )
    candidate = start.candidate
    trained = (candidate.backend, candidate.architecture, start.digest, settings, frozen)
    return identify("model", training_set_id, *trained, *line.cuts)


def _recorder(
    parts: Parts, row_id: str, actor: str, on_epoch: Callable[[EpochReport], None]
) -> Callable[[EpochReport], None]:
    """Store every epoch as it is told."""

    def tell(report: EpochReport) -> None:
        epoch = TrainingEpoch(
            id=identify("epoch", row_id, report.epoch, parts.clock()),
            model_id=row_id,
            epoch=report.epoch,
            epochs=report.epochs,
            loss=report.loss,
            seconds=report.seconds,
            map50=report.map50,
            created_at=parts.clock(),
            actor=actor,
        )
        parts.facts.save(epoch)
        on_epoch(report)

    return tell


def _describe(
    parts: Parts,
    line: LineFile,
    training_set: TrainingSet,
    start: Start,
    artefact: TrainedArtefact,
    *,
    row_id: str,
) -> ModelVersion:
    onnx = artefact.onnx.read_bytes()
    split = parts.facts.get(Split, training_set.split_id)
    return ModelVersion(
        id=row_id,
        line=parts.facts.get(DatasetVersion, split.dataset_id).line,
        number=0,
        training_set_id=training_set.id,
        split_id=split.id,
        dataset_id=split.dataset_id,
        candidate=start.candidate,
        classes=line.classes,
        channels=training_set.channels,
        image_size=line.models.image_size,
        weights=parts.files.put(artefact.weights.read_bytes()),
        onnx=parts.files.put(onnx),
        decoder=artefact.decoder,
        thresholds={},
        start=start.digest,
        start_licence=start.licence,
        epochs=artefact.epochs,
        batch=artefact.batch,
        seed=line.models.seed,
        seconds=artefact.seconds,
        size_mib=len(onnx) / 2**20,
        versions=artefact.versions,
        parity=artefact.parity,
        created_at=parts.clock(),
        micro_batch=artefact.micro_batch or artefact.batch,
        peak_memory_mib=artefact.peak_memory_mib,
        tile=line.tile,
    )


def freeze(
    parts: Parts,
    line: LineFile,
    model: ModelVersion,
    validation: Sequence[Sample],
    groups: Sequence[str] = (),
    *,
    onnx: Path | None = None,
    progress: Progress,
) -> tuple[OperatingPoint, ...]:
    """Set the thresholds of an exported file on whole validation images, as it will be judged on test.

    Args:
        parts: the real parts.
        line: the line file.
        model: what the file is; it need not be stored yet.
        validation: the validation side.
        groups: group of each of its images, which tells thresholds that rest on few; empty where nobody asks.
        onnx: the file; None fetches the model's own.
        progress: told of images.

    Raises:
        TrainingError: the side holds no image.
    """
    if not validation:
        message = "thresholds are set on validation, which holds no image: lower [split] test_per_class"
        raise TrainingError(message)
    stage = "setting thresholds on validation"
    detector = open_judge(parts, model, onnx)
    detections = run_detector(parts, detector, validation, model.channels, stage=stage, progress=progress)
    return operating_points(
        [Truth.of(sample.boxes, line.classes) for sample in validation],
        detections,
        line.classes,
        target_recall=line.gate.target_recall,
        iou=line.gate.iou,
        cost=ExpectedCost.at(line.cost, line.prevalence),
        overkill=line.gate.overkill,
        groups=groups,
    )
