"""Learning curves: subsets grow inside each other, the law is found again, and test is never touched."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from scipy.optimize import curve_fit

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import ContrastTrainer, line_of, parts_in
from wafergate.adapters.postgres.tables import table_of
from wafergate.domain.evaluation import Rate
from wafergate.domain.geometry import Box
from wafergate.domain.learning_curve import ClassCurve, CurvePoint, CurveRun, LearningCurve, PowerLaw
from wafergate.domain.samples import LabelledBox, Sample
from wafergate.domain.splits import Side, SplitMember
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import ConfigError, NotFoundError
from wafergate.jobs.augment import samples_on
from wafergate.jobs.curve import CurvePlan, draw_curve
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Parts
from wafergate.jobs.split import split
from wafergate.line import LineFile
from wafergate.sample.generate import Batch, write_sample
from wafergate.stages.fit_curve import fit_curve
from wafergate.stages.nest import nested_subsets

pytestmark = pytest.mark.unit
SIZES = (5, 10, 20, 40)


# Subsets


def sample_of(place: int, classes: str) -> Sample:
    boxes = tuple(LabelledBox(name, name, Box(0, 0, 8, 8)) for name in classes)
    return Sample("d", place, f"{place}.png", f"{place:064x}", None, 64, 64, boxes, {})


@given(
    kinds=st.lists(st.text("abc", max_size=3), min_size=1, max_size=60),
    sizes=st.sets(st.integers(1, 30), min_size=1, max_size=5),
    seed=st.integers(0, 5),
)
def test_every_subset_holds_the_last_and_each_class_as_often_as_asked_or_there_is(
    kinds: list[str], sizes: set[int], seed: int
) -> None:
    samples = [sample_of(place, kind) for place, kind in enumerate(kinds)]
    there = Counter(name for kind in kinds for name in set(kind))
    before: set[str] = set()
    for size, subset in zip(sorted(sizes), nested_subsets(samples, "abc", sorted(sizes), seed=seed), strict=True):
        names = {sample.name for sample in subset}
        assert before <= names
        assert [sample.position for sample in subset] == sorted(sample.position for sample in subset)
        held = Counter(name for sample in subset for name in set(sample.classes))
        assert all(held[name] >= min(size, there[name]) for name in "abc")
        before = names
    assert nested_subsets(samples, "abc", sorted(sizes), seed=seed)[-1] == subset


def test_classes_are_even_and_normal_images_keep_their_share() -> None:
    samples = [sample_of(place, kind) for place, kind in enumerate(["a"] * 60 + ["b"] * 30 + [""] * 45)]
    for size, subset in zip((6, 12, 30), nested_subsets(samples, "ab", (6, 12, 30), seed=1), strict=True):
        shown = Counter(sample.classes for sample in subset)
        assert shown[("a",)] == shown[("b",)] == size
        assert shown[()] == size  # 45 normal to 90 defective images


# The fit


def measured(law: PowerLaw, *, instances: int, seed: int, sizes: tuple[int, ...] = SIZES) -> list[CurvePoint]:
    generator = np.random.default_rng(seed)
    return [
        CurvePoint(size, 1, size, Rate.exact(int(generator.binomial(instances, law(size))), instances, 0.95))
        for size in sizes
    ]


def fitted(points: list[CurvePoint], *, images: int = 40, more: int = 50, same_judges: bool = True) -> ClassCurve:
    return fit_curve("void", points, images=images, more=more, same_judges=same_judges, confidence=0.95, seed=7)


@pytest.mark.parametrize("law", [PowerLaw(0.95, 1.2, 0.6), PowerLaw(0.9, 0.8, 0.3), PowerLaw(0.6, 0.5, 0.9)])
def test_the_law_behind_the_points_is_found_again_and_is_that_of_scipys_least_squares(law: PowerLaw) -> None:
    sizes = (5, 10, 20, 40, 80, 160)
    points = measured(law, instances=10**7, seed=0, sizes=sizes)
    found = fitted(points, images=160, more=100)
    assert found.law is not None
    assert found.line[-1].images == 260
    assert found.line[-1].recall == pytest.approx(law(260), abs=0.01)
    recalls = [point.recall.hits / point.recall.trials for point in points]
    oracle, _ = curve_fit(lambda n, a, b, c: a - b * n**-c, sizes, recalls, p0=(0.8, 1.0, 0.5), bounds=(0, (1, 9, 2)))
    assert (found.law.a, found.law.b, found.law.c) == pytest.approx(tuple(oracle), abs=0.08)
    assert found.gain == pytest.approx(law(260) - law(160), abs=0.01)


@pytest.mark.parametrize("law", [PowerLaw(0.95, 1.2, 0.6), PowerLaw(0.8, 0.0, 0.5), PowerLaw(0.6, 0.5, 0.8)])
def test_most_intervals_hold_the_true_gain(law: PowerLaw) -> None:
    true = law(90) - law(40)
    held = 0
    for seed in range(60):
        found = fitted(measured(law, instances=60, seed=seed))
        assert found.gain_lower is not None
        assert found.gain_upper is not None
        held += found.gain_lower <= true <= found.gain_upper
    assert held >= 47, "of 60 intervals of about 0.9, fewer than 47 is a chance of one in a thousand"


def found_at(*hits: int, of: int = 20) -> list[CurvePoint]:
    return [CurvePoint(n, 1, n, Rate.exact(count, of, 0.95)) for n, count in zip(SIZES, hits, strict=True)]


@pytest.mark.parametrize("hits", [(13, 12, 11, 10), (0, 6, 12, 20), (1, 0, 2, 1), (20, 20, 20, 20)])
def test_no_fitted_curve_falls_or_leaves_zero_to_one(hits: tuple[int, ...]) -> None:
    line = fitted(found_at(*hits)).line
    assert line
    assert [value.recall for value in line] == sorted(value.recall for value in line)
    assert all(0 <= value.lower <= value.upper <= 1 for value in line)


def test_trainings_that_jump_or_find_nothing_carry_no_law() -> None:
    jumping, nothing = fitted(found_at(19, 1, 13, 2)), fitted(found_at(0, 0, 0, 0))
    assert (jumping.law, nothing.law) == (None, None)
    assert "jumps from size to size" in jumping.told
    assert "nothing was found" in nothing.told


def test_it_says_what_more_images_buy_that_they_buy_nothing_or_that_it_cannot_tell() -> None:
    sure = fitted(measured(PowerLaw(0.95, 1.5, 0.6), instances=5000, seed=1))
    level = fitted(measured(PowerLaw(0.8, 0.0, 0.5), instances=5000, seed=1))
    unsure = fitted(measured(PowerLaw(0.9, 0.8, 0.3), instances=12, seed=1))
    assert "50 more labelled images would raise recall from 0.7" in sure.told
    assert "hardly" in level.told
    assert "cannot tell" in unsure.told
    assert (
        "carried on from 40 images at most"
        in fitted(measured(sure.law or PowerLaw(1, 1, 1), instances=99, seed=0), images=200).told
    )


def test_without_three_sizes_or_an_instance_there_is_no_law() -> None:
    two = fitted(measured(PowerLaw(0.9, 1, 0.5), instances=30, seed=0, sizes=(5, 10)))
    none = fitted([CurvePoint(size, 1, size, Rate.exact(0, 0, 0.95)) for size in SIZES])
    for found, why in ((two, "2 different numbers"), (none, "no instance of it was judged")):
        assert (found.law, found.line, found.gain) == (None, (), None)
        assert why in found.told


def test_more_courses_over_the_same_images_make_no_more_instances() -> None:
    points = measured(PowerLaw(0.9, 1.0, 0.5), instances=30, seed=3)
    thrice = [replace(point, course=course) for course in (1, 2, 3) for point in points]

    def width(found: ClassCurve) -> float:
        return sum(value.upper - value.lower for value in found.line)

    same, own = fitted(thrice), fitted(thrice, same_judges=False)
    assert width(same) == pytest.approx(width(fitted(points)), rel=0.1)
    assert width(own) == pytest.approx(width(same) / 3**0.5, rel=0.15)


# The job


Files = dict[str, bytes]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("dies")
    classes = {"particle": 14, "scratch": 12, "bridge": 8, "void": 8}
    write_sample(folder, seed=5, batches=(Batch(images=classes, normal=10, lots=14),), size=96)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def small(files: Files, tmp_path: Path) -> tuple[Parts, LineFile, str]:
    line = line_of(test_per_class="test_per_class = 5", val_per_class="val_per_class = 4")
    parts = parts_in(tmp_path, trainer=ContrastTrainer())
    return parts, line, ingest(parts, line, MemorySource(files), "coco").id


def trainer_of(parts: Parts) -> ContrastTrainer:
    found = parts.trainers["contrast"]
    assert isinstance(found, ContrastTrainer)
    return found


def test_a_curve_trains_each_subset_once_for_as_long_and_stores_no_model(small: tuple[Parts, LineFile, str]) -> None:
    parts, line, dataset = small
    sides = split(parts, line, dataset).id
    plan = CurvePlan((1, 2, 4), repeats=2)
    epochs, sizes = set(), []

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "fetching the training set" and done == total:
            sizes.append(total)

    done = draw_curve(
        parts, line, dataset, plan, on_epoch=lambda _run, report: epochs.add(report.epochs), progress=tell
    )
    row = parts.facts.get(LearningCurve, done.id)
    runs = [parts.facts.get(CurveRun, run) for run in row.runs]
    validation = samples_on(parts, sides, Side.VALIDATION)
    trials = Counter(name for sample in validation for name in sample.classes)
    assert (row.split_id, row.folds, trainer_of(parts).runs, len(runs)) == (sides, 0, 6, 6)
    assert [run.taught for run in runs[:3]] == sorted(run.taught for run in runs[:3])
    assert {run.judged for run in runs} == {len(validation)}
    assert epochs == {line.models.epochs}
    assert sizes == [runs[2].taught] * 3 + [runs[5].taught] * 3, "each sees as many images as the largest"
    for item in row.classes:
        assert [(point.size, point.course) for point in item.points] == [(s, c) for s in (1, 2, 4) for c in (1, 2)]
        assert {point.recall.trials for point in item.points} == {trials[item.defect_class]}
        assert item.told.startswith(item.defect_class)
    assert draw_curve(parts, line, dataset, plan) == (done.id, True)
    assert trainer_of(parts).runs == 6
    wider = draw_curve(parts, line, dataset, replace(plan, sizes=(1, 2, 4), repeats=3))
    assert (wider.reused, trainer_of(parts).runs) == (False, 9)
    assert not parts.facts.find(ModelVersion), "a curve's model could be promoted"


def test_a_curve_reads_back_from_its_columns_as_it_was(small: tuple[Parts, LineFile, str]) -> None:
    parts, line, dataset = small
    split(parts, line, dataset)
    row = parts.facts.get(LearningCurve, draw_curve(parts, line, dataset, CurvePlan((1, 2, 4))).id)
    unknown = replace(row, classes=(fitted([]),))
    stored = table_of(LearningCurve)
    for curve in (row, unknown):
        values = [value.obj if isinstance(value, Jsonb) else value for value in stored.encode(curve)]
        assert (
            stored.decode(tuple(json.loads(json.dumps(v)) if isinstance(v, (list, dict)) else v for v in values))
            == curve
        )


def test_folds_judge_each_other_without_the_images_of_the_test(small: tuple[Parts, LineFile, str]) -> None:
    parts, line, dataset = small
    plan = CurvePlan((1, 2, 3), folds=2)
    with pytest.raises(NotFoundError, match="--folds 3"):
        draw_curve(parts, line, dataset, replace(plan, folds=0))
    images = len(parts.facts.find(Sample, dataset_id=dataset))
    assert judged_in_both_folds(parts, line, dataset, plan) == images
    sides = split(parts, line, dataset).id
    sealed = len(parts.facts.find(SplitMember, split_id=sides, side=Side.TEST.value))
    assert sealed > 0
    assert judged_in_both_folds(parts, line, dataset, plan) == images - sealed


def judged_in_both_folds(parts: Parts, line: LineFile, dataset: str, plan: CurvePlan) -> int:
    row = parts.facts.get(LearningCurve, draw_curve(parts, line, dataset, plan).id)
    assert (row.split_id, row.folds) == (None, 2)
    return sum(parts.facts.get(CurveRun, row.runs[at]).judged for at in (0, -1))


def test_a_killed_curve_goes_on_with_the_runs_still_open(small: tuple[Parts, LineFile, str]) -> None:
    parts, line, dataset = small
    split(parts, line, dataset)
    plan = CurvePlan((1, 2, 4))
    calls = 0

    def stop(_run: str, _report: object) -> None:
        nonlocal calls
        calls += 1
        if calls == line.models.epochs + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_curve(parts, line, dataset, plan, on_epoch=stop)
    assert len(parts.facts.find(CurveRun)) == 1
    assert not parts.facts.find(LearningCurve)
    row = parts.facts.get(LearningCurve, draw_curve(parts, line, dataset, plan).id)
    assert len(row.runs) == 3
    assert trainer_of(parts).runs == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sizes": (5, 10)}, "three or more growing numbers"),
        ({"sizes": (10, 5, 20)}, "found 10,5,20"),
        ({"sizes": (0, 5, 10)}, "from 1"),
        ({"folds": 1}, "folds 1"),
        ({"repeats": 2, "folds": 3}, "not both"),
        ({"more": 0}, "more 0"),
    ],
)
def test_a_plan_out_of_range_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        CurvePlan(**change)  # type: ignore[arg-type]


def at_folds(size: int, *found: tuple[int, int, int]) -> list[CurvePoint]:
    """Return a point for each fold from images taught, instances found and instances judged."""
    return [
        CurvePoint(size, fold, images, Rate.exact(hits, trials, 0.95))
        for fold, (images, hits, trials) in enumerate(found, start=1)
    ]


def test_a_fold_that_was_taught_nothing_of_a_class_or_judges_nothing_of_it_says_nothing() -> None:
    telling = [(5, 20, 60), (10, 32, 60), (20, 41, 60), (40, 48, 60)]
    points = [
        point
        for size, (images, hits, trials) in zip(SIZES, telling, strict=True)
        for point in at_folds(size, (images, hits, trials), (0, 0, 30), (images, 0, 0))
    ]
    alone = [point for point in points if point.course == 1]
    assert fitted(points, same_judges=False).law == fitted(alone, same_judges=False).law
    in_one_fold = [point for size in SIZES for point in at_folds(size, (0, 0, 30), (size, 0, 0))]
    assert "after a training that was taught it" in fitted(in_one_fold, same_judges=False).told


def test_a_size_that_few_instances_judged_is_known_less_well() -> None:
    every = [
        point
        for size, rate in zip(SIZES, (0.4, 0.55, 0.7, 0.8), strict=True)
        for point in at_folds(size, *[(size, round(rate * 40), 40)] * 3)
    ]
    once = [point for point in every if point.size < SIZES[-1] or point.course == 1]
    widths = [fitted(points, same_judges=False) for points in (every, once)]
    wide = [(row.gain_upper or 0) - (row.gain_lower or 0) for row in widths]
    assert wide[1] > 1.1 * wide[0]


def test_a_curve_of_one_training_a_size_says_that_it_does_not_know_how_they_differ() -> None:
    points = measured(PowerLaw(0.9, 1.0, 0.5), instances=300, seed=3)
    thrice = [replace(point, course=course) for course in (1, 2, 3) for point in points]
    assert "give --repeats 3" in fitted(points).told
    assert "--repeats" not in fitted(thrice).told
