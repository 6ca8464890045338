"""The augmentation jobs: the plan is stored first, carried out as it stands, and gives the same bytes again."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import ContrastTrainer, line_of, parts_in
from wafergate.domain.ablation import Ablation, FactorRun
from wafergate.domain.augmentation import AugmentationPlan, OperationKind, PlannedImage
from wafergate.domain.identity import identify
from wafergate.domain.near_duplicates import LikenessPolicy, NearDuplicates, SamePart
from wafergate.domain.splits import LeakKind, Side, Split, SplitMember
from wafergate.domain.training_rows import ModelVersion, TrainingItem, TrainingSet
from wafergate.errors import AugmentError, ConfigError, NotFoundError
from wafergate.jobs.ablate import ablate
from wafergate.jobs.augment import augment, check_training_set, newest_split, plan_augmentation
from wafergate.jobs.ingest import ingest
from wafergate.jobs.near_duplicates import find_near_duplicates
from wafergate.jobs.parts import Parts
from wafergate.jobs.split import split
from wafergate.line import LineFile
from wafergate.sample.generate import Batch, write_sample

pytestmark = pytest.mark.unit
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Some forty drawn dies, each beside its golden reference."""
    folder = tmp_path_factory.mktemp("dies")
    classes = {"particle": 12, "scratch": 8, "bridge": 6, "void": 4}
    write_sample(folder, seed=3, batches=(Batch(images=classes, normal=10, lots=10),), size=96)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def split_of(parts: Parts, line: LineFile, files: Files) -> str:
    return split(parts, line, ingest(parts, line, MemorySource(files), "coco").id).id


def refuse(_pixels: object) -> bytes:
    message = "a plan made an image"
    raise AssertionError(message)


def small(**changes: str) -> LineFile:
    return line_of(test_per_class="test_per_class = 5", val_per_class="val_per_class = 2", **changes)


def test_the_plan_is_stored_before_a_pixel_is_made_and_is_what_is_carried_out(files: Files, tmp_path: Path) -> None:
    line, parts = small(per_original="per_original = 2"), parts_in(tmp_path)
    sides = split_of(parts, line, files)
    assert newest_split(parts, line).id == sides
    planned = plan_augmentation(replace(parts, encode=refuse), line, sides)
    row = parts.facts.get(AugmentationPlan, planned.id)
    variants = [image.variant for image in parts.facts.find(PlannedImage, plan_id=planned.id)]
    made = augment(parts, line, sides)
    training_set = parts.facts.get(TrainingSet, made.id)
    items = [item for item in parts.facts.find(TrainingItem, training_set_id=made.id) if item.operations]
    assert (training_set.plan_id, training_set.augmented, training_set.plan) == (row.id, row.images, row.classes)
    assert row.images > 0
    assert [(item.origin, item.operations, item.boxes) for item in items] == [
        (variant.origin, variant.operations, variant.boxes) for variant in variants
    ]
    assert plan_augmentation(parts, line, sides) == (planned.id, True)
    assert augment(parts, line, sides) == (made.id, True)


def test_near_duplicates_of_a_policy_that_was_only_tried_out_are_no_leak(files: Files, tmp_path: Path) -> None:
    line, parts = small(), parts_in(tmp_path)
    made = augment(parts, line, split_of(parts, line, files)).id
    members = parts.facts.find(SplitMember)
    pair = SamePart(*(next(m.name for m in members if m.side is side) for side in (Side.TRAIN, Side.TEST)), 0.5, 0.9)
    dataset, loose = parts.facts.find(Split)[0].dataset_id, LikenessPolicy(correlation=0.5, difference=0.9)
    row_id = identify("near-duplicates", dataset, loose)
    parts.facts.save(NearDuplicates(row_id, dataset, len(members), 1, (pair,), 1, 0, parts.clock()))
    assert find_near_duplicates(parts, loose, dataset) == (row_id, True)
    assert check_training_set(parts, line.near_duplicates, made).cross_edges == 0
    assert check_training_set(parts, loose, made).kinds[LeakKind.NEAR_DUPLICATE] == 1

    other = replace(loose, max_views=2)
    row_id, crowd = identify("near-duplicates", dataset, other), (pair.first, pair.second)
    parts.facts.save(NearDuplicates(row_id, dataset, len(members), 1, (), 0, 2, parts.clock(), (crowd,)))
    proofs = [check_training_set(parts, other, made, told_apart=apart) for apart in (False, True)]
    assert [(proof.cross_edges, proof.look_alikes > 0) for proof in proofs] == [(0, True), (0, False)]


def test_the_same_plan_gives_the_same_bytes_composites_and_golden_references_included(
    files: Files, tmp_path: Path
) -> None:
    made = []
    for name in ("a", "b"):
        line, parts = small(), parts_in(tmp_path / name)
        policy = replace(line.augment, target="max", per_class=10, per_original=5, total=3.0, product_key="lot")
        everything = replace(policy, operations=tuple(OperationKind))
        done = augment(parts, line, split_of(parts, line, files), policy=everything)
        assert check_training_set(parts, line.near_duplicates, done.id).cross_edges == 0
        made.append(parts.facts.find(TrainingItem, training_set_id=done.id))
        assert parts.facts.find(AugmentationPlan)[0].synthetic > 0
    assert made[0] == made[1]
    assert len({item.image for item in made[0]}) == len(made[0])


def test_a_plan_over_its_caps_is_refused_before_anything_is_stored(files: Files, tmp_path: Path) -> None:
    line, parts = small(), parts_in(tmp_path)
    sides = split_of(parts, line, files)
    with pytest.raises(AugmentError, match="100000 ask for"):
        augment(parts, line, sides, policy=replace(line.augment, target=100_000))
    assert not parts.facts.find(AugmentationPlan)
    assert not parts.facts.find(TrainingSet)


def test_a_line_without_a_split_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="has no split yet"):
        newest_split(parts_in(tmp_path), line_of())


def test_an_ablation_trains_each_factor_once_on_as_many_images_and_stores_no_model(
    files: Files, tmp_path: Path
) -> None:
    trainer = ContrastTrainer()
    line, parts = small(epochs="epochs = 6"), parts_in(tmp_path, trainer=trainer)
    sides = split_of(parts, line, files)
    done = ablate(parts, line, sides, [3, 0, 1])
    row = parts.facts.get(Ablation, done.id)
    runs = [parts.facts.get(FactorRun, run_id) for run_id in row.runs]
    assert [run.factor for run in runs] == [0, 1, 3]
    assert (trainer.runs, runs[0].augmented, runs[0].epochs) == (3, 0, 6)
    assert 0 < runs[1].augmented <= runs[2].augmented
    for run in runs:
        seen = run.epochs * (row.originals + run.augmented)
        assert abs(seen - 6 * row.originals) <= (row.originals + run.augmented) / 2
        assert [item.defect_class for item in run.classes] == list(line.classes)
        assert {item.recall.trials for item in run.classes} == {item.recall.trials for item in runs[0].classes}
    assert "validation instances" in row.finding
    assert ablate(parts, line, sides, [0, 1, 3]) == (done.id, True)
    assert trainer.runs == 3
    assert not parts.facts.find(ModelVersion), "an ablation's model could be promoted"


@pytest.mark.parametrize("factors", [[], [-1], [0, 21]])
def test_factors_out_of_range_are_refused(factors: list[int], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="whole numbers from 0 to 20"):
        ablate(parts_in(tmp_path), line_of(), "split-x", factors)
