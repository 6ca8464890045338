"""Out-of-fold estimates: groups stay whole, no image is judged by what learnt from it, and no gate accepts one."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import ContrastTrainer, line_of, parts_in
from wafergate.adapters.cleanlab import CleanlabScorer
from wafergate.domain.evaluation import Detections, Evaluation, Truth
from wafergate.domain.evidence import Evidence
from wafergate.domain.geometry import Box
from wafergate.domain.judging import judge
from wafergate.domain.out_of_fold import FoldRun, OutOfFold
from wafergate.domain.samples import LabelledBox, Sample
from wafergate.domain.splits import Side, SplitMember
from wafergate.domain.tiling import TilePolicy
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import NotFoundError, SplitError
from wafergate.formats.predictions import read_predictions
from wafergate.jobs.decide import decide
from wafergate.jobs.doubt import doubt
from wafergate.jobs.ingest import ingest
from wafergate.jobs.out_of_fold import cut_folds, out_of_fold
from wafergate.jobs.parts import Outcome, Parts
from wafergate.jobs.split import split
from wafergate.jobs.tile import tile
from wafergate.line import LineFile
from wafergate.sample.generate import Batch, write_sample
from wafergate.stages.folds import assign_folds, cross_thresholds, judge_folds, tell_gaps
from wafergate.stages.group import assign_groups

pytestmark = pytest.mark.unit


def sample_of(place: int, classes: str) -> Sample:
    boxes = tuple(LabelledBox(name, name, Box(0, 0, 8, 8)) for name in classes)
    return Sample("d", place, f"{place}.png", f"{place:064x}", None, 64, 64, boxes, {})


@st.composite
def sets(draw: st.DrawFn) -> tuple[list[Sample], list[str], int]:
    kinds = draw(st.lists(st.text("abc", max_size=3), min_size=4, max_size=40))
    names = draw(st.lists(st.integers(0, 12), min_size=len(kinds), max_size=len(kinds)))
    groups = [f"g{name}" for name in names]
    samples = [sample_of(place, kind) for place, kind in enumerate(kinds)]
    return samples, groups, draw(st.integers(2, 5))


# Folds


@given(sets(), st.integers(0, 3))
def test_no_group_crosses_folds_and_the_same_seed_gives_the_same_folds(given_set, seed):
    samples, groups, folds = given_set
    if folds > len(set(groups)):
        with pytest.raises(
            SplitError, match=f"at most the {len(set(groups))} groups outside a test set; found {folds}"
        ):
            assign_folds(samples, groups, "abc", folds=folds, seed=seed)
        return
    found = assign_folds(samples, groups, "abc", folds=folds, seed=seed)
    assert len({*zip(groups, found, strict=True)}) == len(set(groups))
    assert set(found) == set(range(folds)), "every fold judges something"
    assert found == assign_folds(samples, groups, "abc", folds=folds, seed=seed)


def test_classes_and_normal_images_spread_evenly_though_groups_and_classes_are_uneven():
    generator = np.random.default_rng(5)
    groups = [f"lot {place}" for place in generator.integers(0, 40, 300)]
    kinds = generator.choice(["", "a", "b", "c", "ab"], 300, p=[0.5, 0.3, 0.1, 0.05, 0.05])
    samples = [sample_of(place, str(kind)) for place, kind in enumerate(kinds)]
    found = assign_folds(samples, groups, "abc", folds=3, seed=0)
    counts: list[Counter[str]] = [Counter() for _ in range(3)]
    for sample, fold in zip(samples, found, strict=True):
        counts[fold].update([*sample.classes, "image", *([] if sample.boxes else ["normal"])])
    for name in ("a", "b", "c", "image", "normal"):
        held = [count[name] for count in counts]
        assert max(held) - min(held) <= max(3, 0.15 * sum(held)), (name, held)


def test_a_class_that_no_other_fold_holds_is_told():
    samples = [sample_of(0, "a"), sample_of(1, "ab"), sample_of(2, "a"), sample_of(3, "")]
    told = tell_gaps(samples, (0, 1, 2, 0), "abc", folds=3)
    assert told == [
        "b: all its groups lie in one fold, so no model that is asked for it has ever seen it",
        "c: the version has no instance of it",
    ]


# Thresholds and figures


def said(*scores: float) -> Detections:
    boxes = np.array([[20 * place, 0, 20 * place + 8, 8] for place in range(len(scores))], np.float32)
    return Detections(boxes.reshape(-1, 4), np.array(scores, np.float32), np.zeros(len(scores), np.int64))


def truth_of(count: int) -> Truth:
    return Truth(np.array([[20 * place, 0, 20 * place + 8, 8] for place in range(count)], float), np.zeros(count, int))


def test_an_image_has_no_part_in_its_own_threshold():
    truth = [truth_of(3)] * 4
    detections = [said(0.9, 0.8, 0.7), said(0.9, 0.8, 0.7), said(0.3, 0.2, 0.1), said(0.3, 0.2, 0.1)]
    settings: dict[str, Any] = {"target_recall": 1.0, "iou": 0.5}
    limits = cross_thresholds(truth, detections, (0, 0, 1, 1), ["a"], **settings)
    assert limits[0]["a"] < 0.2, "set on the second fold, whose scores are low"
    assert limits[1]["a"] > 0.3, "set on the first fold, whose scores are high"
    judged = judge_folds(truth, detections, (0, 0, 1, 1), ["a"], thresholds=limits, iou=0.5)
    assert judged.found.tolist() == [True] * 6 + [False] * 6


@given(st.lists(st.lists(st.floats(0.015625, 1, width=32), min_size=2, max_size=2), min_size=4, max_size=8))
def test_folds_with_one_threshold_are_judged_as_any_set_is(scores):
    truth, detections = [truth_of(2)] * len(scores), [said(*sorted(pair, reverse=True)) for pair in scores]
    fold_of = [place % 2 for place in range(len(scores))]
    pooled = judge_folds(truth, detections, fold_of, ["a"], thresholds=[{"a": 0.5}] * 2, iou=0.5)
    plain = judge(truth, detections, ["a"], thresholds={"a": 0.5}, iou=0.5)
    assert np.array_equal(pooled.found, plain.found)
    assert np.array_equal(pooled.kept, plain.kept)


# The job


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("dies")
    batch = Batch(images=dict.fromkeys(("particle", "scratch", "bridge", "void"), 6), normal=6, lots=6)
    write_sample(folder, seed=5, batches=(batch,), size=96)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def ready(files: dict[str, bytes], folder: Path, trainer: Any = None) -> tuple[Parts, LineFile, str]:
    parts, line = parts_in(folder, trainer=trainer), line_of()
    return parts, line, ingest(parts, line, MemorySource(files), "coco").id


class Watched(ContrastTrainer):
    """Notes how many images each training was given."""

    def __init__(self, *, dies_after: int | None = None) -> None:
        super().__init__(dies_after=dies_after)
        self.taught: list[int] = []

    def __call__(self, job: Any, **told: Any) -> Any:
        self.taught.append(len(list((job.data / "images" / "train").iterdir())))
        assert not list((job.data / "images" / "val").iterdir()), "what judges must not choose the state that is kept"
        return super().__call__(job, **told)


@pytest.fixture(scope="module")
def done(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, LineFile, OutOfFold]:
    trainer = Watched()
    parts, line, dataset = ready(files, tmp_path_factory.mktemp("done"), trainer)
    outcome = out_of_fold(parts, line, dataset, folds=3)
    row = parts.facts.get(OutOfFold, outcome.id)
    runs = parts.facts.find(FoldRun)
    assert sorted(trainer.taught) == sorted(run.taught for run in runs)
    assert out_of_fold(parts, line, dataset, folds=3) == Outcome(row.id, reused=True)
    assert trainer.runs == 3
    return parts, line, row


def test_every_image_is_judged_once_by_a_model_that_learnt_from_other_groups(done):
    parts, line, row = done
    samples = parts.facts.find(Sample, dataset_id=row.dataset_id)
    group = dict(zip([item.name for item in samples], assign_groups(samples, line.split), strict=True))
    judged = [set(read_predictions(parts.files.get(run.predictions)).names) for run in parts.facts.find(FoldRun)]
    assert sum(map(len, judged)) == len(samples) == len(set.union(*judged))
    groups = [{group[name] for name in names} for names in judged]
    assert sum(map(len, groups)) == len(set.union(*groups)) == row.groups
    assert read_predictions(parts.files.get(row.predictions)).names == tuple(item.name for item in samples)


def test_an_estimate_tells_recall_with_bounds_for_every_instance_of_the_version(done):
    parts, _, row = done
    samples = parts.facts.find(Sample, dataset_id=row.dataset_id)
    counts = Counter(name for sample in samples for name in sample.classes)
    assert {item.defect_class: item.recall.trials for item in row.classes} == counts
    for item in row.classes:
        assert item.recall.lower < item.recall.hits / item.recall.trials <= item.recall.upper
        assert item.recall.hits >= 0.5 * item.recall.trials


def test_no_gate_accepts_an_estimate_and_no_fold_model_is_stored(done):
    parts, line, row = done
    with pytest.raises(NotFoundError, match="no evaluation 'estimate-"):
        decide(parts, line, row.id, actor="kim")
    assert get_type_hints(Evidence)["evaluation"] is Evaluation
    assert not issubclass(OutOfFold, Evaluation)
    assert not parts.facts.find(ModelVersion)


def test_another_recall_target_is_told_without_training_again(done):
    parts, _, row = done
    line = line_of(overkill="overkill = 1.0\ntarget_recall = 0.6")
    trainer = DiesInFold(1)
    again = out_of_fold(replace(parts, trainers={"contrast": trainer}), line, row.dataset_id, folds=3)
    assert (again.reused, trainer.runs) == (False, 0)
    assert again.id != row.id


def test_a_killed_run_goes_on_with_the_folds_still_open_and_ends_the_same(done, files, tmp_path: Path):
    trainer = DiesInFold(2)
    parts, line, dataset = ready(files, tmp_path, trainer)
    with pytest.raises(OSError, match="power"):
        out_of_fold(parts, line, dataset, folds=3)
    assert len(parts.facts.find(FoldRun)) == 1
    assert not parts.facts.find(OutOfFold)
    second = Watched()
    outcome = out_of_fold(replace(parts, trainers={"contrast": second}), line, dataset, folds=3)
    assert second.runs == 2
    undisturbed = done[2]
    assert outcome.id == undisturbed.id
    row = parts.facts.get(OutOfFold, outcome.id)
    assert (row.classes, row.predictions) == (undisturbed.classes, undisturbed.predictions)


class DiesInFold(ContrastTrainer):
    def __init__(self, fold: int) -> None:
        super().__init__()
        self.fold = fold

    def __call__(self, job: Any, **told: Any) -> Any:
        if self.runs + 1 == self.fold:
            message = "the power went off"
            raise OSError(message)
        return super().__call__(job, **told)


def test_images_that_judge_are_in_no_fold_and_their_labels_are_not_doubted(done, files, tmp_path: Path):
    parts, _, dataset = ready(files, tmp_path)
    line = line_of(test_per_class="test_per_class = 5", val_per_class="val_per_class = 2")
    sides = split(parts, line, dataset).id
    judging = {member.name for member in parts.facts.find(SplitMember, split_id=sides, side=Side.TEST.value)}
    row = parts.facts.get(OutOfFold, out_of_fold(parts, line, dataset, folds=2).id)
    names = {sample.name for sample in parts.facts.find(Sample, dataset_id=dataset)}
    assert judging
    assert set(read_predictions(parts.files.get(row.predictions)).names) == names - judging
    assert row.images == len(names) - len(judging)
    assert row.warnings[-1] == f"{len(judging)} images of a test set stayed out: only the gate looks at them"
    found = doubt(parts, CleanlabScorer(), row.id)
    assert not {item.sample for item in found.suspected} & judging
    assert not any("stayed out" in warning for warning in done[2].warnings)


def test_an_image_whose_tiles_judge_is_in_no_fold_whole_or_cut_otherwise(files, tmp_path: Path):
    parts, _, dataset = ready(files, tmp_path)
    line = line_of(test_per_class="test_per_class = 5", val_per_class="val_per_class = 2")
    tiles, others = (tile(parts, line, dataset, policy=TilePolicy(1, columns)).id for columns in (2, 3))
    sides = split(parts, line, tiles).id
    judging = {member.name for member in parts.facts.find(SplitMember, split_id=sides, side=Side.TEST.value)}
    cut = [item for item in parts.facts.find(Sample, dataset_id=tiles) if item.name in judging]
    whole = {item.part.image for item in cut if item.part}
    assert whole
    for version in (dataset, others):
        kept = cut_folds(parts, line, version, folds=2).samples
        assert kept
        assert not {item.part.image if item.part else item.image for item in kept} & whole


def test_a_set_of_one_group_is_refused(files, tmp_path: Path):
    parts, line, dataset = ready(files, tmp_path)
    with pytest.raises(SplitError, match="at most the 6 groups outside a test set; found 7"):
        out_of_fold(parts, line, dataset, folds=7)
