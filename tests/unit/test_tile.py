"""Tiling: tiles cover the image, labels fit what they show, nothing is lost uncounted, and no tile leaks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import line_of, parts_in
from wafergate.domain.geometry import Box
from wafergate.domain.samples import DatasetVersion, LabelledBox, Part, Sample
from wafergate.domain.splits import Assignment, LeakKind, Side, Split, SplitMember, SplitMode, SplitPolicy
from wafergate.domain.tiling import Fate, TilePolicy, Tiling, clip_polygon, place_label, tile_windows
from wafergate.domain.training_rows import TrainingItem
from wafergate.errors import ConfigError, NotFoundError, SplitError
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Outcome, Parts
from wafergate.jobs.split import split
from wafergate.jobs.tile import _cut, tile
from wafergate.jobs.versions import find_version
from wafergate.line import LineFile
from wafergate.sample.generate import Batch, write_sample
from wafergate.stages.apart import leave_overlaps_out
from wafergate.stages.compose import registered
from wafergate.stages.group import assign_groups
from wafergate.stages.leaks import check_leaks, item_of_sample, item_of_training
from wafergate.stages.tile import count_fates, plan_tiles

pytestmark = pytest.mark.unit

sides = st.integers(1, 90)
policies = st.builds(
    TilePolicy,
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    overlap=st.one_of(st.integers(0, 12).map(float), st.floats(0, 0.5)),
    min_visible=st.floats(0.01, 1),
)


@st.composite
def cuts(draw: st.DrawFn) -> tuple[TilePolicy, int, int]:
    """A policy and an image size that it fits."""
    policy, width, height = draw(policies), draw(sides), draw(sides)
    try:
        tile_windows(policy, width, height)
    except ConfigError:
        assume(False)
    return policy, width, height


@st.composite
def boxes(draw: st.DrawFn, width: int, height: int) -> Box:
    x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return Box(x1, y1, draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height)))


def shows(box: Box, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = True
    return mask


def sample_of(width: int, height: int, *labels: LabelledBox, name: str = "a.png") -> Sample:
    return Sample("d", 0, name, "f" * 64, None, width, height, labels, {})


# Geometry


@given(cuts())
def test_tiles_cover_the_image_and_share_the_overlap_with_their_neighbours_alone(cut):
    policy, width, height = cut
    windows = tile_windows(policy, width, height)
    seen = sum(shows(window, height, width).astype(int) for _, _, window in windows)
    assert seen.min() == 1
    assert (seen.max() == 1) == (seen.sum() == width * height)
    assert seen.max() <= 4, "no pixel lies in more than two rows and two columns"
    by_place = {(row, column): window for row, column, window in windows}
    shared = {by_place[1, c].x2 - by_place[1, c + 1].x1 for c in range(1, policy.columns)}
    assert len(shared) <= 1
    if policy.overlap >= 1 or not policy.overlap:
        assert shared <= {policy.overlap}
    assert max(w.width for w in by_place.values()) - min(w.width for w in by_place.values()) <= 1


@given(st.data(), cuts())
def test_a_painted_box_fits_its_paint_on_every_tile_and_every_pixel_of_it_is_on_some_tile(data, cut):
    policy, width, height = cut
    box = data.draw(boxes(width, height))
    paint = shows(box, height, width)
    covered = np.zeros_like(paint)
    for _, _, window in tile_windows(policy, width, height):
        rows, columns = slice(int(window.y1), int(window.y2)), slice(int(window.x1), int(window.x2))
        placed = place_label(LabelledBox("a", "a", box), window, width, height, min_visible=policy.min_visible)
        seen = paint[rows, columns]
        assert (placed is None) == (not seen.any())
        if placed is not None:
            fate, label = placed
            assert np.array_equal(shows(label.box, *seen.shape), seen)
            share = seen.sum() / paint.sum()
            assert (fate is Fate.WHOLE) == (share == 1)
            assert (fate is Fate.DROPPED) == (share < policy.min_visible and share < 1)
            covered[rows, columns] |= seen
    assert np.array_equal(covered, paint)


@given(st.data(), cuts())
def test_every_box_is_carried_or_counted_as_lost_and_no_defect_passes_for_a_normal_image(data, cut):
    policy, width, height = cut
    labels = [LabelledBox("a", "a", box) for box in data.draw(st.lists(boxes(width, height), min_size=1, max_size=4))]
    plan = plan_tiles(sample_of(width, height, *labels), policy)
    (count,) = count_fates([plan], ["a"])
    assert count.boxes == len(labels)
    assert count.whole + count.clipped == sum(len(item.boxes) for item in plan.tiles)
    assert count.lost == 0 or count.dropped > 0
    assert len(plan.tiles) + plan.left_out == policy.rows * policy.columns
    paint = np.any([shows(label.box, height, width) for label in labels], axis=0)
    for item in plan.tiles:
        window = item.window
        unlabelled = not item.boxes
        rows, columns = slice(int(window.y1), int(window.y2)), slice(int(window.x1), int(window.x2))
        assert not (unlabelled and paint[rows, columns].any())


def test_a_box_reaching_out_of_its_image_or_without_area_stays_wrong_on_exactly_one_tile():
    wrong = [Box(-4, 3, 10, 9), Box(30, 30, 30, 40), Box(200, 5, 220, 9), Box(12, 8, 6, 4)]
    plan = plan_tiles(sample_of(100, 80, *(LabelledBox("a", "a", box) for box in wrong)), TilePolicy(2, 2))
    kept = [(label.box, item.window) for item in plan.tiles for label in item.boxes]
    assert len(kept) == len(wrong)
    back = [Box(b.x1 + w.x1, b.y1 + w.y1, b.x2 + w.x1, b.y2 + w.y1) for b, w in kept]
    assert sorted(map(Box.as_tuple, back)) == sorted(map(Box.as_tuple, wrong))


def test_an_outline_is_cut_with_its_box():
    triangle = ((0.0, 0.0), (40.0, 0.0), (0.0, 40.0))
    label = LabelledBox("a", "a", Box(0, 0, 40, 40), triangle)
    placed = place_label(label, Box(0, 0, 20, 100), 100, 100, min_visible=0.5)
    assert placed is not None
    assert placed[0] is Fate.CLIPPED
    assert set(placed[1].polygon) == {(0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 40.0)}
    assert clip_polygon(triangle, Box(50, 50, 60, 60)) == ()


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (TilePolicy(1, 50), r"columns = 50 with an overlap of 0 pixels does not fit into 40 pixels"),
        (TilePolicy(2, 1, overlap=20), r"rows = 2 with an overlap of 20 pixels does not fit into 30 pixels"),
    ],
)
def test_an_image_without_room_for_the_tiles_is_named(policy, told):
    with pytest.raises(ConfigError, match=told):
        tile_windows(policy, 40, 30)


@pytest.mark.parametrize("overlap", [0.7, 12.5])
def test_an_overlap_is_whole_pixels_or_a_share_up_to_a_half(overlap):
    with pytest.raises(ValueError, match="whole pixels"):
        TilePolicy(2, 2, overlap=overlap)


# Leaks: the mentor's two examples, and tiles on two sides


def tiles_of(policy: TilePolicy, name: str = "a.png", image: str = "f" * 64) -> list[Sample]:
    original = replace(sample_of(100, 80, name=name), image=image)
    return [
        replace(original, name=item.name, image=f"{item.name:>64}", part=item.part)
        for item in plan_tiles(original, policy).tiles
    ]


def test_one_image_cut_into_four_tiles_may_judge_and_the_original_beside_them_may_not():
    four = [item_of_sample(item, "g") for item in tiles_of(TilePolicy(2, 2))]
    assert check_leaks([], [], four).cross_edges == 0
    proof = check_leaks([], [], [item_of_sample(sample_of(100, 80), "g"), *four])
    assert proof.kinds[LeakKind.PARENT] == proof.cross_edges == 4


def test_overlapping_tiles_may_neither_judge_together_nor_stand_on_two_sides():
    first, second = (item_of_sample(item, "") for item in tiles_of(TilePolicy(1, 2, overlap=10)))
    assert check_leaks([], [], [first, second]).kinds[LeakKind.OVERLAP] == 1
    assert check_leaks([first], [], [second]).kinds[LeakKind.OVERLAP] == 1
    apart = [item_of_sample(item, "") for item in tiles_of(TilePolicy(1, 2))]
    assert check_leaks([apart[0]], [], [apart[1]]).cross_edges == 0, "without a group nothing else ties them"


def test_what_is_made_of_a_tile_shows_pixels_of_the_image_it_was_cut_from():
    left, right = tiles_of(TilePolicy(1, 2, overlap=10))
    made = TrainingItem("t", 0, right.name, ("crop:0,0,8,8", "turn_90"), "m", 8, 8, (), "train")
    item = item_of_training(made, replace(right, width=55), "")
    assert item.region == Box(45, 0, 53, 8)
    assert check_leaks([item], [], [item_of_sample(left, "")]).kinds[LeakKind.OVERLAP] == 1
    assert check_leaks([item], [], [item_of_sample(sample_of(100, 80), "")]).kinds[LeakKind.CHILD] == 1


def test_all_tiles_of_an_image_and_the_image_itself_are_one_group():
    samples = [*tiles_of(TilePolicy(2, 2)), sample_of(100, 80, name="copied/elsewhere.png"), *tiles_of(
        TilePolicy(2, 1), "b.png", "e" * 64
    )]  # fmt: skip
    groups = assign_groups(samples, SplitPolicy())
    assert len(set(groups[:5])) == 1
    assert len(set(groups[5:])) == 1
    assert groups[0] != groups[5]


def test_a_tile_of_a_tile_goes_back_to_the_first_original():
    (first, *_) = [item for item in tiles_of(TilePolicy(2, 2)) if item.name.endswith("r2c2.png")]
    again = plan_tiles(replace(first, width=50, height=40), TilePolicy(2, 2)).tiles[-1]
    assert again.part == Part("a.png", "f" * 64, Box(75, 60, 100, 80))


# The job


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("dies")
    batch = Batch(images=dict.fromkeys(("particle", "scratch", "bridge", "void"), 12), normal=6, lots=8)
    write_sample(folder, seed=5, batches=(batch,), size=96)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def cut(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, LineFile, Outcome, Outcome]:
    parts, line = parts_in(tmp_path_factory.mktemp("cut")), line_of()
    whole = ingest(parts, line, MemorySource(files), "coco")
    return parts, line, whole, tile(parts, line, whole.id, policy=TilePolicy(2, 2))


def test_a_version_of_tiles_holds_the_pixels_of_image_and_reference(cut):
    parts, _, whole, tiles = cut
    originals = {item.name: item for item in parts.facts.find(Sample, dataset_id=whole.id)}
    samples = parts.facts.find(Sample, dataset_id=tiles.id)
    row = parts.facts.find(Tiling, dataset_id=tiles.id)[0]
    assert (row.parent_id, row.images, row.tiles) == (whole.id, len(originals), len(samples))
    assert row.tiles + row.left_out == 4 * len(originals)
    for item in samples[::7]:
        original, region = originals[item.part.name], item.part.region
        assert item.part.image == original.image
        assert item.metadata == original.metadata
        rows, columns = slice(int(region.y1), int(region.y2)), slice(int(region.x1), int(region.x2))
        for one, other in ((item.image, original.image), (item.reference, original.reference)):
            pixels, source = (parts.decode(parts.files.get(digest)) for digest in (one, other))
            assert np.array_equal(pixels, source[rows, columns])


def test_a_reference_is_laid_over_its_whole_image_before_it_is_cut(cut):
    """As inspection does: a tile may show too little to find the shift by."""
    parts, line, whole, _ = cut
    sample = parts.facts.find(Sample, dataset_id=whole.id)[0]
    image, reference = (parts.decode(parts.files.get(digest)) for digest in (sample.image, sample.reference))
    shifted = np.roll(reference, (9, -7), axis=(0, 1))
    laid = registered(image, shifted)
    assert not np.array_equal(laid, shifted)
    off = replace(sample, reference=parts.files.put(parts.encode(shifted)))
    tiles, _ = _cut(parts, parts.examiner(line.intake.max_pixels), off, plan_tiles(off, TilePolicy(2, 2)))
    for item in tiles:
        region = item.part.region
        window = laid[int(region.y1) : int(region.y2), int(region.x1) : int(region.x2)]
        assert np.array_equal(parts.decode(parts.files.get(item.reference)), window)


def test_a_version_of_tiles_counts_its_boxes_and_the_original_keeps_its_own(cut):
    parts, _, whole, tiles = cut
    before, after = (parts.facts.get(DatasetVersion, outcome.id) for outcome in (whole, tiles))
    row = parts.facts.find(Tiling, dataset_id=tiles.id)[0]
    assert (before.number, after.number) == (1, 2)
    assert {item.defect_class: item.boxes for item in row.classes} == before.instances
    assert {item.defect_class: item.whole + item.clipped for item in row.classes} == after.instances


def test_the_same_cut_twice_is_one_version_and_elsewhere_the_same_bytes(cut, files, tmp_path: Path):
    parts, line, whole, tiles = cut
    assert tile(parts, line, whole.id, policy=TilePolicy(2, 2)) == Outcome(tiles.id, reused=True)
    other = parts_in(tmp_path)
    again = tile(other, line, ingest(other, line, MemorySource(files), "coco").id, policy=TilePolicy(2, 2))
    assert again == Outcome(tiles.id, reused=False)
    assert len(other.facts.find(DatasetVersion)) == 2


def test_a_version_of_tiles_splits_with_every_image_on_one_side(cut):
    parts, line, _, tiles = cut
    row = parts.facts.get(Split, split(parts, line, tiles.id).id)
    assert row.leak.cross_edges == 0
    members = {item.name: item for item in parts.facts.find(SplitMember, split_id=row.id)}
    sides_of: dict[str, set[str]] = {}
    for item in parts.facts.find(Sample, dataset_id=tiles.id):
        sides_of.setdefault(item.part.name, set()).add(members[item.name].side)
    assert all(len(found - {"unused"}) == 1 for found in sides_of.values())


def test_overlapping_tiles_split_too_and_those_that_judge_share_no_pixel(cut):
    parts, line, whole, _ = cut
    tiles = tile(parts, line, whole.id, policy=TilePolicy(1, 3, overlap=16))
    line = line_of(test_per_class="test_per_class = 8", val_per_class="val_per_class = 4\nmin_test_per_class = 3")
    row = parts.facts.get(Split, split(parts, line, tiles.id).id)
    assert row.leak.cross_edges == 0
    assert any("no pixel judges twice" in warning for warning in row.warnings)
    assert row.evenness["test"] <= 1 + line.split.tolerance
    names = {m.name for m in parts.facts.find(SplitMember, split_id=row.id) if m.side == "test"}
    test = [item for item in parts.facts.find(Sample, dataset_id=tiles.id) if item.name in names]
    assert len(test) == row.images["test"]
    assert {n: sum(item.classes.count(n) for item in test) for n in line.classes} == row.counts["test"]


def test_a_test_that_is_not_even_without_its_overlapping_tiles_is_refused():
    tiles = [replace(item, boxes=()) for item in tiles_of(TilePolicy(1, 2, overlap=10))]
    labels = [LabelledBox(name, name, Box(1, 1, 9, 9)) for name in "ab"]
    samples = [replace(item, boxes=(label,)) for item, label in zip(tiles, labels, strict=True)]
    zero = {side.value: {"a": 0, "b": 0} for side in Side}
    given_out = Assignment(
        (Side.TEST,) * 2, ("g",) * 2, SplitMode.TEST_EVEN, zero, {}, {}, {}, optimal=True, gap=0.0, warnings=()
    )
    with pytest.raises(SplitError, match="1 of its tiles overlap others, and without them it holds a 1, b 0: cut"):
        leave_overlaps_out(samples, given_out, "ab", SplitPolicy())


def test_nothing_to_cut_and_images_too_small_are_refused(cut):
    parts, line, whole, _ = cut
    with pytest.raises(ConfigError, match="cut nothing"):
        tile(parts, line, whole.id)
    with pytest.raises(ConfigError, match=r"\(96 x 96\): \[tile\] columns = 2 with an overlap of 60"):
        tile(parts, line, whole.id, policy=TilePolicy(2, 2, overlap=60))


def test_a_version_is_found_by_number_by_id_or_as_the_newest(cut):
    parts, _, whole, _ = cut
    found = [find_version(parts.facts, "dies", named).id for named in ("", "1", whole.id)]
    assert found[1:] == [whole.id, whole.id]
    assert parts.facts.get(DatasetVersion, found[0]).number == len(parts.facts.find(DatasetVersion)) > 1
    assert find_version(parts.facts, "dies", whole=True).id == whole.id
    with pytest.raises(NotFoundError, match="it has 1 to"):
        find_version(parts.facts, "dies", "9")
    with pytest.raises(NotFoundError, match="wafergate intake"):
        find_version(parts.facts, "other")
