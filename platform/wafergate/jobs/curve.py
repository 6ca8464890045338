"""A dataset version to its learning curve: short trainings on growing subsets, judged by images none of them saw."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

from wafergate.domain.identity import identify
from wafergate.domain.learning_curve import ClassCurve, CurvePoint, CurveRun, LearningCurve
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Side, Split
from wafergate.domain.training import EpochReport
from wafergate.domain.training_rows import TrainingItem
from wafergate.errors import ConfigError, NotFoundError, TrainingError
from wafergate.jobs.augment import samples_on
from wafergate.jobs.choose import as_chosen
from wafergate.jobs.out_of_fold import cut_folds
from wafergate.jobs.parts import Outcome, Parts, silent
from wafergate.jobs.short_training import SCORE, judge_at_score, originals
from wafergate.jobs.training import Told, train_items
from wafergate.jobs.training_folder import made_once
from wafergate.jobs.training_job import Start, choose_start
from wafergate.jobs.versions import on_version
from wafergate.line import LineFile
from wafergate.ports import Progress
from wafergate.stages.fit_curve import fit_curve
from wafergate.stages.nest import nested_subsets

__all__ = ["CurvePlan", "draw_curve"]

OnEpoch = Callable[[str, EpochReport], None]


@dataclass(frozen=True, slots=True)
class CurvePlan:
    """What a curve is made of.

    Attributes:
        sizes: images a class, ascending.
        repeats: orders of the images; every one starts the subsets anew. 1 with folds.
        folds: folds that judge each other; 0 where validation judges.
        more: so many more images are asked about.

    Raises:
        ConfigError: a number is out of range, or repeats and folds are both asked for.
    """

    sizes: tuple[int, ...] = (5, 10, 20, 40)
    repeats: int = 1
    folds: int = 0
    more: int = 50

    def __post_init__(self) -> None:
        if list(self.sizes) != sorted({size for size in self.sizes if size >= 1}) or len(self.sizes) < 3:
            found = ",".join(map(str, self.sizes)) or "none"
            message = f"--sizes needs three or more growing numbers from 1, such as 5,10,20,40; found {found}"
            raise ConfigError(message)
        if self.folds == 1 or min(self.repeats, self.more) < 1 or (self.folds and self.repeats > 1):
            message = (
                "a curve takes --repeats of 1 or more or --folds of 2 or more, not both, and --more of 1 or more; "
                f"found repeats {self.repeats}, folds {self.folds}, more {self.more}"
            )
            raise ConfigError(message)


@dataclass(frozen=True, slots=True)
class _Course:
    """One series of growing subsets and the images that judge its trainings."""

    number: int
    subsets: tuple[tuple[int, tuple[Sample, ...]], ...]  # by size
    judged: tuple[Sample, ...]

    @property
    def largest(self) -> tuple[Sample, ...]:
        return self.subsets[-1][1]


@dataclass(frozen=True, slots=True)
class _Work:
    """What every run shares."""

    parts: Parts
    line: LineFile
    start: Start
    on_epoch: OnEpoch
    progress: Progress


def draw_curve(
    parts: Parts,
    line: LineFile,
    dataset_id: str,
    plan: CurvePlan,
    *,
    epochs: int = 0,
    weights: Path | None = None,
    on_epoch: OnEpoch = lambda _run, _report: None,
    progress: Progress = silent,
) -> Outcome:
    """Train the line's candidate on nested, class-even subsets, judge each, and fit a law to recall by images.

    The subsets are of the training side of the version's newest split, and its validation side judges; with folds they
    are of the other folds, and each fold judges, without the images of a test set where the version has one. Test is
    never touched. A subset is taught without the line's augmented images, repeated up to the size of the largest, so
    that all trainings see as many images and take as many steps. Runs that are done are found again.

    Args:
        parts: the real parts.
        line: the line file.
        dataset_id: the version.
        plan: sizes, repeats or folds, and how many more images are asked about.
        epochs: of each training; 0 takes the line's.
        weights: a file that takes the place of the candidate's own.
        on_epoch: told which run, in words, and the epoch.
        progress: told of images.

    Returns:
        The id of the `LearningCurve` row.

    Raises:
        ConfigError: see `choose_start`.
        LicenceError: the policy refuses a part.
        NotFoundError: the version has no split, and no folds are asked for.
        SplitError: there are fewer groups than folds.
        TrainingError: nothing can be taught or judged, or a training failed.
    """
    if epochs:
        line = line.model_copy(update={"models": replace(line.models, epochs=epochs)})
    split = next(iter(parts.facts.find(Split, dataset_id=dataset_id, limit=1)), None)
    line = as_chosen(parts, on_version(parts, line, dataset_id))
    courses, taught = _courses(parts, line, dataset_id, plan, split)
    work = _Work(parts, line, choose_start(parts, line, weights=weights), on_epoch, progress)
    runs = [(course.number, size, run) for course in courses for size, run in _runs(work, dataset_id, course)]
    there = _shown(taught, line.classes)
    row = LearningCurve(
        id=identify("curve", [run.id for *_, run in runs], plan, there, line.gate.confidence, line.split.seed),
        line=line.name,
        dataset_id=dataset_id,
        split_id=split.id if split and not plan.folds else None,
        folds=plan.folds,
        candidate=work.start.candidate.name,
        epochs=line.models.epochs,
        score=SCORE,
        confidence=line.gate.confidence,
        seed=line.split.seed,
        sizes=plan.sizes,
        more=plan.more,
        runs=tuple(run.id for *_, run in runs),
        classes=tuple(_class_curve(line, plan, runs, name, images=there[name]) for name in line.classes),
        created_at=parts.clock(),
    )
    return Outcome(row.id, not parts.facts.save(row))


def _class_curve(
    line: LineFile, plan: CurvePlan, runs: Sequence[tuple[int, int, CurveRun]], name: str, *, images: int
) -> ClassCurve:
    points = [
        CurvePoint(size, course, run.images[name], found.recall)
        for course, size, run in runs
        for found in run.classes
        if found.defect_class == name
    ]
    return fit_curve(
        name,
        points,
        images=images,
        more=plan.more,
        same_judges=not plan.folds,
        confidence=line.gate.confidence,
        seed=line.split.seed,
    )


def _courses(
    parts: Parts, line: LineFile, dataset_id: str, plan: CurvePlan, split: Split | None
) -> tuple[list[_Course], list[Sample]]:
    """Return the courses, and the images that a model of this version would be taught on."""
    if plan.folds:
        cut = cut_folds(parts, line, dataset_id, folds=plan.folds)
        sides = [(cut.others(fold), cut.of(fold)) for fold in range(plan.folds)]
        taught = cut.samples
    elif split is None:
        message = (
            "this version has no split, whose validation side would judge: `wafergate retrain` makes one, or give "
            "--folds 3 to let folds judge each other"
        )
        raise NotFoundError(message)
    else:
        taught, validation = (samples_on(parts, split.id, side) for side in (Side.TRAIN, Side.VALIDATION))
        sides = [(taught, validation)] * plan.repeats
    if not all(pool and judged for pool, judged in sides):
        message = "a curve needs images to teach and images to judge: this version has none of one kind (label more)"
        raise TrainingError(message)
    courses = []
    for number, (pool, judged) in enumerate(sides, start=1):
        subsets = nested_subsets(pool, line.classes, plan.sizes, seed=line.split.seed + number)
        grown = [
            (size, subset)
            for place, (size, subset) in enumerate(zip(plan.sizes, subsets, strict=True))
            if place == 0 or subset != subsets[place - 1]
        ]
        courses.append(_Course(number, tuple(grown), tuple(judged)))
    return courses, taught


def _runs(work: _Work, dataset_id: str, course: _Course) -> Iterator[tuple[int, CurveRun]]:
    """Yield size and run, found or made, for every subset of a course."""
    parts, line = work.parts, work.line
    settings = replace(line.models, candidate="", candidates=(), choose_from=(), random_start=False)
    candidate = work.start.candidate
    trained = (candidate.backend, candidate.architecture, work.start.digest, settings, *line.cuts)
    judged_by = (line.gate.iou, line.gate.confidence, SCORE, [sample.name for sample in course.judged])
    shown = (line.classes, line.augment.operations, len(course.largest))
    ids = [
        identify("curverun", dataset_id, [sample.name for sample in subset], trained, shown, judged_by)
        for _, subset in course.subsets
    ]
    known = {run.id: run for run in parts.facts.find(CurveRun, id=ids)}
    items: dict[str, TrainingItem] = {}
    for run_id, (size, subset) in zip(ids, course.subsets, strict=True):
        if run_id not in known and not items:
            made = originals(parts, course.largest, line.models.channels, progress=work.progress)
            items = {item.origin: item for item in made}
        yield size, known.get(run_id) or _run(work, course, size, [items[s.name] for s in subset], subset, run_id)


def _run(
    work: _Work, course: _Course, size: int, items: Sequence[TrainingItem], subset: Sequence[Sample], run_id: str
) -> CurveRun:
    """Train on a subset, repeated up to the size of the largest, and judge what was exported."""
    parts, line = work.parts, work.line
    called = f"{size} a class, course {course.number}"

    def make(folder: Path) -> CurveRun:
        artefact = train_items(
            parts,
            line,
            work.start,
            [replace(item, position=at) for at, item in enumerate(islice(cycle(items), len(course.largest)))],
            folder,
            channels=line.models.channels,
            told=Told(lambda report: work.on_epoch(called, report), work.progress),
        )
        return CurveRun(
            id=run_id,
            dataset_id=subset[0].dataset_id,
            taught=len(subset),
            judged=len(course.judged),
            images=_shown(subset, line.classes),
            score=SCORE,
            classes=judge_at_score(
                parts, line, work.start, artefact, course.judged, stage=f"judging {called}", progress=work.progress
            ),
            seconds=artefact.seconds,
            created_at=parts.clock(),
        )

    return made_once(parts, CurveRun, run_id, make, progress=work.progress)[0]


def _shown(samples: Sequence[Sample], classes: Sequence[str]) -> dict[str, int]:
    """Count the images that show each class."""
    counted = Counter(name for sample in samples for name in set(sample.classes))
    return {name: counted[name] for name in classes}
