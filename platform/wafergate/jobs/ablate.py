"""A split to short trainings at several augmentation factors, so that the caps are a finding and not a belief."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wafergate.domain.ablation import Ablation, FactorRun
from wafergate.domain.identity import identify
from wafergate.domain.splits import Side, Split
from wafergate.domain.training import EpochReport
from wafergate.domain.training_rows import TrainingItem, TrainingSet
from wafergate.errors import ConfigError, TrainingError
from wafergate.jobs.augment import augment, samples_on
from wafergate.jobs.choose import as_chosen
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.short_training import SCORE, judge_at_score
from wafergate.jobs.training import Told, train_items
from wafergate.jobs.training_folder import made_once
from wafergate.jobs.training_job import Start, choose_start
from wafergate.jobs.versions import on_version
from wafergate.line import LineFile
from wafergate.ports import Progress

__all__ = ["ablate"]


@dataclass(frozen=True, slots=True)
class _Work:
    """What every run shares."""

    parts: Parts
    line: LineFile
    start: Start
    split_id: str
    on_epoch: Callable[[int, EpochReport], None]
    progress: Progress


def ablate(
    parts: Parts,
    line: LineFile,
    split_id: str,
    factors: Sequence[int],
    *,
    epochs: int = 0,
    weights: Path | None = None,
    on_epoch: Callable[[int, EpochReport], None] = lambda _factor, _report: None,
    progress: Progress = silent,
) -> Outcome:
    """Train at each factor and judge on validation; all runs see about the same number of images.

    A factor takes the place of the line's caps: at most so many augmented images of one original, boxes of a class
    per own box, and images per original in all. The target stays the line's. A run with more images gets fewer epochs
    in proportion, so that the runs differ by the variety of what they saw and not by the length of their training.
    Runs that are done are found again, and two factors whose plans add the same images share one run.

    Args:
        parts: the real parts.
        line: the line file.
        split_id: the split.
        factors: whole numbers from 0, at most 20.
        epochs: of the run without augmentation; 0 takes the line's.
        weights: a file that takes the place of the candidate's own.
        on_epoch: told the factor and the epoch.
        progress: told of images.

    Raises:
        ConfigError: no factor, or one out of range; see `choose_start`.
        AugmentError: the line's target is a number that a factor cannot reach.
        TrainingError: the split has no validation image, or a training failed.
    """
    chosen = sorted(set(factors))
    if not chosen or chosen[0] < 0 or chosen[-1] > 20:
        message = f"--factors needs whole numbers from 0 to 20, found {', '.join(map(str, factors)) or 'none'}"
        raise ConfigError(message)
    line = as_chosen(parts, on_version(parts, line, parts.facts.get(Split, split_id).dataset_id))
    start = choose_start(parts, line, weights=weights)
    work = _Work(parts, line, start, split_id, on_epoch, progress)
    runs = [_run(work, factor, epochs or line.models.epochs) for factor in chosen]
    row_id = identify("ablation", [run.id for run in runs])
    first = parts.facts.get(TrainingSet, runs[0].training_set_id)
    row = Ablation(
        id=row_id,
        line=line.name,
        split_id=split_id,
        candidate=start.candidate.name,
        originals=first.originals,
        runs=tuple(run.id for run in runs),
        finding=_finding(runs),
        created_at=parts.clock(),
    )
    return Outcome(row_id, not parts.facts.save(row))


def _run(work: _Work, factor: int, epochs: int) -> FactorRun:
    """Find or make one training and what it reached on validation."""
    parts = work.parts
    policy = replace(work.line.augment, per_original=factor, per_class=float(factor), total=float(factor))
    made = augment(parts, work.line, work.split_id, policy=policy, progress=work.progress)
    taught = parts.facts.get(TrainingSet, made.id)
    shorter = max(1, round(epochs * taught.originals / (taught.originals + taught.augmented)))
    line = work.line.model_copy(update={"models": replace(work.line.models, epochs=shorter)})
    settings = replace(line.models, candidate="", candidates=(), random_start=False)
    candidate = work.start.candidate
    begun = (candidate.backend, candidate.architecture, work.start.digest, *line.cuts)
    judged_by = (line.gate.iou, line.gate.confidence, SCORE)
    row_id = identify("factor", made.id, factor, begun, settings, line.classes, judged_by)
    validation = samples_on(parts, work.split_id, Side.VALIDATION)
    if not validation:
        message = "an ablation is judged on validation, which holds no image: lower [split] test_per_class"
        raise TrainingError(message)

    def make(folder: Path) -> FactorRun:
        artefact = train_items(
            parts,
            line,
            work.start,
            parts.facts.find(TrainingItem, training_set_id=taught.id),
            folder,
            channels=taught.channels,
            told=Told(lambda report: work.on_epoch(factor, report), work.progress),
        )
        stage = "judging on validation"
        classes = judge_at_score(parts, line, work.start, artefact, validation, stage=stage, progress=work.progress)
        return FactorRun(
            row_id, taught.id, factor, taught.augmented, shorter, SCORE, classes, artefact.seconds, parts.clock()
        )

    return made_once(parts, FactorRun, row_id, make, progress=work.progress)[0]


def _finding(runs: Sequence[FactorRun]) -> str:
    """Say where recall over all instances was highest, and whether the bounds tell it from the rest."""
    pooled = [(sum(c.recall.hits for c in run.classes), sum(c.recall.trials for c in run.classes)) for run in runs]
    most = max(hits for hits, _ in pooled)
    if not most:
        return f"no factor found any of {pooled[0][1]} validation instances: train longer before comparing factors"
    best = next(run for run, (hits, _) in zip(runs, pooled, strict=True) if hits == most)
    apart = [
        c.defect_class
        for first, c in zip(runs[0].classes, best.classes, strict=True)
        if c.recall.lower > first.recall.upper
    ]
    told = (
        f"proven better than factor {runs[0].factor} for {', '.join(apart)}"
        if apart
        else f"no class is proven better than at factor {runs[0].factor}: the bounds overlap"
    )
    return f"factor {best.factor} found most: {most} of {pooled[0][1]} validation instances; {told}"
