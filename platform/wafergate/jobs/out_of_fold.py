"""A dataset version to an estimate of its recall by grouped k-fold, fold by fold (no gate accepts it)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from wafergate.domain.cost import ExpectedCost
from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.identity import identify
from wafergate.domain.out_of_fold import FoldRun, OutOfFold
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.training import EpochReport
from wafergate.domain.words import counted
from wafergate.formats.predictions import read_predictions, write_predictions
from wafergate.jobs.choose import as_chosen
from wafergate.jobs.detect import open_judge, run_detector
from wafergate.jobs.drafts import draft_model
from wafergate.jobs.near_duplicates import find_near_duplicates, known_pairs
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.past import sealed
from wafergate.jobs.short_training import originals
from wafergate.jobs.training import Told, train_items
from wafergate.jobs.training_folder import made_once
from wafergate.jobs.training_job import Start, choose_start
from wafergate.jobs.versions import on_version
from wafergate.line import LineFile
from wafergate.ports import Progress
from wafergate.stages.apart import without_copies
from wafergate.stages.evaluate import figures
from wafergate.stages.folds import assign_folds, cross_thresholds, judge_folds, tell_gaps
from wafergate.stages.group import assign_groups

__all__ = ["Folds", "cut_folds", "out_of_fold"]


@dataclass(frozen=True, slots=True)
class Folds:
    """The images of a version, the group and the fold (0-based) of each, and the names of those that judge instead."""

    samples: list[Sample]
    groups: list[str]
    fold_of: tuple[int, ...]
    sealed: tuple[str, ...]

    def of(self, fold: int) -> list[Sample]:
        """Return the samples of a fold."""
        return [sample for sample, own in zip(self.samples, self.fold_of, strict=True) if own == fold]

    def others(self, fold: int) -> list[Sample]:
        """Return the samples of all other folds."""
        return [sample for sample, own in zip(self.samples, self.fold_of, strict=True) if own != fold]


@dataclass(frozen=True, slots=True)
class _Work:
    """What every fold's training shares."""

    parts: Parts
    line: LineFile
    start: Start
    cut: Folds
    on_epoch: Callable[[int, EpochReport], None]
    progress: Progress


def out_of_fold(
    parts: Parts,
    line: LineFile,
    dataset_id: str,
    *,
    folds: int = 3,
    epochs: int = 0,
    weights: Path | None = None,
    on_epoch: Callable[[int, EpochReport], None] = lambda _fold, _report: None,
    progress: Progress = silent,
) -> Outcome:
    """Train a model for each fold on the other folds, let it judge its own fold, and estimate recall from all of them.

    Each model learns from the originals of the other folds alone, without the line's augmentation and without a
    validation side: its last state judges. Folds that are done are found again, and a training that was killed goes on
    from its last checkpoint. Images of a test set stay out: only the gate looks at them.

    Args:
        parts: the real parts.
        line: the line file.
        dataset_id: the version.
        folds: how many, at least 2.
        epochs: of each training; 0 takes the line's.
        weights: a file that takes the place of the candidate's own.
        on_epoch: told the fold (from 1) and the epoch.
        progress: told of images.

    Returns:
        The id of the `OutOfFold` row.

    Raises:
        SplitError: there are fewer groups than folds.
        ConfigError: see `choose_start`; or the backend is not installed.
        LicenceError: the policy refuses a part.
        TrainingError: a training or an export failed.
    """
    if epochs:
        line = line.model_copy(update={"models": replace(line.models, epochs=epochs)})
    line = as_chosen(parts, on_version(parts, line, dataset_id))
    start = choose_start(parts, line, weights=weights)
    cut = cut_folds(parts, line, dataset_id, folds=folds)
    samples = cut.samples
    ids = _fold_ids(line, start, dataset_id, cut, folds=folds)
    # the thresholds and figures rest on these, the trainings do not
    limits = (line.gate.iou, line.gate.target_recall, line.gate.overkill, line.gate.confidence)
    gate = (*limits, line.cost, line.prevalence)
    row_id = identify("estimate", ids, gate)
    if parts.facts.find(OutOfFold, id=row_id):
        return Outcome(row_id, reused=True)
    work = _Work(parts, line, start, cut, on_epoch, progress)
    said: dict[str, Detections] = {}
    for fold, fold_id in enumerate(ids):
        run = _run_fold(work, fold, fold_id)
        kept = read_predictions(parts.files.get(run.predictions))
        said |= dict(zip(kept.names, kept.detections, strict=True))
    row = _estimate(parts, line, start, cut, [said[sample.name] for sample in samples], row_id=row_id)
    return Outcome(row_id, not parts.facts.save(row))


def cut_folds(parts: Parts, line: LineFile, dataset_id: str, *, folds: int) -> Folds:
    """Cut a version into folds of whole groups, near-duplicates among them.

    Images of a test set stay out, and so does all but one of images with equal bytes.

    Args:
        parts: the real parts.
        line: the line file.
        dataset_id: the version.
        folds: how many, at least 2.

    Raises:
        SplitError: there are fewer groups than folds.
    """
    everything = parts.facts.find(Sample, dataset_id=dataset_id)
    find_near_duplicates(parts, line.near_duplicates, dataset_id)
    named = assign_groups(everything, line.split, same=known_pairs(parts, dataset_id, line.near_duplicates))
    judging = sealed(parts, parts.facts.get(DatasetVersion, dataset_id))
    out = {s.name for s in everything if s.image in judging or (s.part and s.part.image in judging)}
    kept = [place for place in without_copies(everything) if everything[place].name not in out]
    samples, groups = [everything[place] for place in kept], [named[place] for place in kept]
    fold_of = assign_folds(samples, groups, line.classes, folds=folds, seed=line.split.seed)
    return Folds(samples, groups, fold_of, tuple(sorted(out)))


def _fold_ids(line: LineFile, start: Start, dataset_id: str, cut: Folds, *, folds: int) -> list[str]:
    settings = replace(line.models, candidate="", candidates=(), random_start=False)
    begun = (start.candidate.backend, start.candidate.architecture, start.digest)
    trained = (*begun, settings, line.augment.operations, *line.cuts)
    return [
        identify("fold", dataset_id, cut.fold_of, line.classes, trained, fold, *cut.sealed) for fold in range(folds)
    ]


def _run_fold(work: _Work, fold: int, fold_id: str) -> FoldRun:
    """Train on the other folds, let the exported model judge this one, and store what it said."""
    parts, line, cut = work.parts, work.line, work.cut
    taught, judged = cut.others(fold), cut.of(fold)

    def make(folder: Path) -> FoldRun:
        artefact = train_items(
            parts,
            line,
            work.start,
            originals(parts, taught, line.models.channels, progress=work.progress),
            folder,
            channels=line.models.channels,
            told=Told(lambda report: work.on_epoch(fold + 1, report), work.progress),
        )
        detector = open_judge(parts, draft_model(parts, line, work.start.candidate, artefact), artefact.onnx)
        stage = f"judging fold {fold + 1}"
        detections = run_detector(parts, detector, judged, line.models.channels, stage=stage, progress=work.progress)
        return FoldRun(
            id=fold_id,
            dataset_id=cut.samples[0].dataset_id,
            fold=fold + 1,
            folds=max(cut.fold_of) + 1,
            taught=len(taught),
            judged=len(judged),
            predictions=parts.files.put(write_predictions([item.name for item in judged], detections, line.classes)),
            seconds=artefact.seconds,
            created_at=parts.clock(),
        )

    return made_once(parts, FoldRun, fold_id, make, progress=work.progress)[0]


def _estimate(
    parts: Parts, line: LineFile, start: Start, cut: Folds, detections: list[Detections], *, row_id: str
) -> OutOfFold:
    policy, folds = line.gate, max(cut.fold_of) + 1
    truth = [Truth.of(sample.boxes, line.classes) for sample in cut.samples]
    cost = ExpectedCost.at(line.cost, line.prevalence)
    thresholds = cross_thresholds(
        truth,
        detections,
        cut.fold_of,
        line.classes,
        target_recall=policy.target_recall,
        iou=policy.iou,
        cost=cost,
        overkill=policy.overkill,
    )
    judged = judge_folds(truth, detections, cut.fold_of, line.classes, thresholds=thresholds, iou=policy.iou)
    found = figures(judged, confidence=policy.confidence, groups=cut.groups, prevalence=line.prevalence or None)
    names = [sample.name for sample in cut.samples]
    out = f"{counted(len(cut.sealed), 'image')} of a test set stayed out: only the gate looks at them"
    gaps = tell_gaps(cut.samples, cut.fold_of, line.classes, folds=folds)
    return OutOfFold(
        id=row_id,
        line=line.name,
        dataset_id=cut.samples[0].dataset_id,
        candidate=start.candidate.name,
        folds=folds,
        epochs=line.models.epochs,
        seed=line.split.seed,
        iou=policy.iou,
        confidence=policy.confidence,
        images=found.images,
        groups=len(set(cut.groups)),
        classes=found.classes,
        thresholds=tuple(thresholds),
        escapes=found.escapes,
        overkill=found.overkill,
        baseline_accuracy=found.baseline_accuracy,
        confusion=found.confusion,
        predictions=parts.files.put(write_predictions(names, detections, line.classes)),
        warnings=(*gaps, out) if cut.sealed else tuple(gaps),
        created_at=parts.clock(),
    )
