"""Augmentation: boxes fit the paint to the pixel, caps are never passed, rare classes come first, one plan per seed."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wafergate.domain.augmentation import EXACT, AugmentPolicy, Bound, OperationKind
from wafergate.domain.geometry import Box
from wafergate.domain.moves import result_size, source_region, spoils, transform_box, transform_labels
from wafergate.domain.operations import parse_operations
from wafergate.domain.samples import LabelledBox, Sample
from wafergate.errors import AugmentError
from wafergate.line import parse_line
from wafergate.stages.augment import plan
from wafergate.stages.pixels import apply_operations

pytestmark = pytest.mark.unit
TURNS_AND_FLIPS = [kind for kind in OperationKind if kind.startswith(("flip", "turn"))]


def label(name: str, box: Box) -> LabelledBox:
    return LabelledBox(name, name, box)


def make_sample(place: int, *boxes: LabelledBox, width: int = 120, height: int = 90) -> Sample:
    return Sample("d", place, f"i{place:04d}.png", f"{place:064x}", None, width, height, boxes, {})


@st.composite
def painted(draw: st.DrawFn) -> tuple[np.ndarray, Box]:
    """An image with one painted rectangle, and its box."""
    width, height = draw(st.integers(2, 30)), draw(st.integers(2, 30))
    x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    x2, y2 = draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))
    image = np.zeros((height, width, 3), np.uint8)
    image[y1:y2, x1:x2] = 255
    return image, Box(x1, y1, x2, y2)


@st.composite
def operations_on(draw: st.DrawFn, width: int, height: int, box: Box) -> list[str]:
    """Up to five exact operations in any order, crops, cuts and shifts that leave the box whole among them."""
    found: list[str] = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(sorted(EXACT)))
        text = str(kind)
        at = transform_box(parse_operations(found), box, width, height)
        now = result_size(parse_operations(found), width, height)
        if kind is OperationKind.CROP:
            low = draw(st.integers(0, int(at.x1))), draw(st.integers(0, int(at.y1)))
            high = draw(st.integers(int(at.x2), now[0])), draw(st.integers(int(at.y2), now[1]))
            text = f"crop:{low[0]},{low[1]},{high[0]},{high[1]}"
        elif kind is OperationKind.CUT:
            text = f"cut:{draw(st.integers(0, 1))},{draw(st.integers(0, 1))}"
        elif kind is OperationKind.SHIFT:
            text = f"shift:{draw(st.integers(-6, 6))},{draw(st.integers(-6, 6))}"
        if kind in {OperationKind.CUT, OperationKind.SHIFT}:
            (operation,) = parse_operations([text])
            if spoils(operation, at, *now) or not transform_labels([operation], [label("a", at)], *now):
                continue
        found.append(text)
    return found


def paint_box(image: np.ndarray) -> Box:
    rows, columns = np.nonzero(image[:, :, 0])
    return Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


@settings(max_examples=300)
@given(st.data())
def test_the_box_fits_the_paint_to_the_pixel_after_any_composition(data):
    image, box = data.draw(painted())
    height, width = image.shape[:2]
    texts = data.draw(operations_on(width, height, box))
    operations = parse_operations(texts)
    result = apply_operations(parse_operations(texts), image)
    assert result.shape[1::-1] == result_size(operations, width, height)
    moved = transform_box(operations, box, width, height)
    assert moved == paint_box(result)
    assert int(result[:, :, 0].astype(bool).sum()) == moved.area
    (kept,) = transform_labels(operations, [label("a", box)], width, height)
    assert kept.box == moved
    assert [str(operation) for operation in operations] == texts


@given(st.data())
def test_the_source_region_is_the_part_of_the_original_that_is_shown(data):
    image, box = data.draw(painted())
    height, width = image.shape[:2]
    texts = data.draw(operations_on(width, height, box))
    numbered = np.arange(width * height).reshape(height, width)
    region = source_region(parse_operations(texts), width, height)
    x1, y1, x2, y2 = (int(edge) for edge in region.as_tuple())
    assert set(apply_operations(parse_operations(texts), numbered).ravel()) == set(numbered[y1:y2, x1:x2].ravel())


def test_a_quarter_turn_is_clockwise():
    image = np.array([[1, 2, 3], [4, 5, 6]])
    assert apply_operations(parse_operations(["turn_90"]), image).tolist() == [[4, 1], [5, 2], [6, 3]]
    assert apply_operations(parse_operations(["turn_270"]), image).tolist() == [[3, 6], [2, 5], [1, 4]]


@pytest.mark.parametrize("kind", TURNS_AND_FLIPS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.int64, np.bool_])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_every_type_and_number_of_channels_is_moved_alike(kind, dtype, shape):
    numbered = np.arange(np.prod(shape)).reshape(shape)
    given_image = numbered.astype(dtype)
    before = given_image.copy()
    made = apply_operations(parse_operations(["crop:1,0,7,5", str(kind)]), given_image)
    plain = {
        "flip_horizontal": lambda image: image[:, ::-1],
        "flip_vertical": lambda image: image[::-1],
        "turn_90": lambda image: np.rot90(image, -1),
        "turn_180": lambda image: np.rot90(image, 2),
        "turn_270": np.rot90,
    }
    assert np.array_equal(made, plain[kind](before[:, 1:]))
    assert (made.dtype, made.flags.c_contiguous) == (np.dtype(dtype), True)
    made[:] = 0
    assert np.array_equal(given_image, before), "the image given was changed"


def test_the_outline_moves_with_its_box():
    drawn = replace(label("a", Box(2, 1, 5, 3)), polygon=((2.0, 1.0), (5.0, 3.0)))
    (moved,) = transform_labels(parse_operations(["turn_90"]), [drawn], 10, 8)
    assert moved.polygon == ((7.0, 2.0), (5.0, 5.0))
    assert moved.box == Box(5, 2, 7, 5)


def test_a_crop_drops_what_lies_outside_and_refuses_to_cut():
    inside, outside, across = Box(10, 10, 20, 20), Box(60, 10, 70, 20), Box(40, 10, 60, 20)
    crop = parse_operations(["crop:0,0,50,50"])
    assert [kept.box for kept in transform_labels(crop, [label("a", inside), label("b", outside)], 100, 100)] == [
        inside
    ]
    with pytest.raises(AugmentError, match=r"crop:0,0,50,50 cuts or mirrors the box \(40, 10, 60, 20\)"):
        transform_labels(crop, [label("a", across)], 100, 100)


def test_a_box_drawn_past_the_edge_is_not_cut_there_and_keeps_its_coordinates():
    (kept,) = transform_labels(
        parse_operations(["crop:40,40,100,100"]), [label("a", Box(80, 80, 100.5, 101))], 100, 100
    )
    assert kept.box == Box(40, 40, 60.5, 61)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("spin", "'spin' is no operation"),
        ("crop:1,2", "is not possible; it is written"),
        ("crop:5,5,5,9", "is not possible; it is written"),
        ("crop:a,b,c,d", "is no operation"),
        ("turn_90:1,2,3,4", "is not possible; it is written"),
        ("crop", "is not possible; it is written"),
        ("crop:0,0,999,10", "reaches outside an image of 8 x 6 pixels"),
    ],
)
def test_a_wrong_operation_is_refused(text, match):
    with pytest.raises(AugmentError, match=match):
        apply_operations(parse_operations([text]), np.zeros((6, 8)))


def uneven_set(rare: int = 5, common: int = 40) -> list[Sample]:
    boxes = (Box(50, 40, 62, 50), Box(20, 20, 30, 34))
    samples = [make_sample(n, label("rare", boxes[n % 2])) for n in range(rare)]
    samples += [make_sample(100 + n, label("common", boxes[n % 2])) for n in range(common)]
    return samples + [make_sample(1000 + n) for n in range(20)]


def test_the_rare_class_reaches_the_target_from_originals_used_alike():
    samples = uneven_set()
    found = plan(samples, ["rare", "common"], AugmentPolicy(target=20))
    rows = {row.defect_class: row for row in found.classes}
    assert (rows["rare"].original_images, rows["rare"].added_instances, rows["rare"].bound_by) == (5, 15, Bound.TARGET)
    assert (rows["common"].added_instances, rows["common"].bound_by) == (0, Bound.NONE)
    uses = Counter(image.origin for image in found.images)
    assert set(uses.values()) == {3}
    assert any(image.operations[0].startswith("crop") for image in found.images)
    assert any(not image.operations[0].startswith("crop") for image in found.images)


def test_the_plan_depends_on_nothing_but_its_inputs():
    samples = uneven_set()
    policy = AugmentPolicy(target=20)
    found = plan(samples, ["rare", "common"], policy)
    assert plan(samples[::-1], ["rare", "common"], policy) == found
    assert plan(samples, ["rare", "common"], replace(policy, seed=1)).images != found.images


@pytest.mark.parametrize(
    ("policy", "bound", "added"),
    [
        (AugmentPolicy(target="max", per_class=2.0, per_original=10), Bound.PER_CLASS, 10),
        (AugmentPolicy(target="max", per_class=10, per_original=3), Bound.PER_ORIGINAL, 15),
        (AugmentPolicy(target="max", per_class=10, per_original=10, total=0.1), Bound.TOTAL, 6),
        (AugmentPolicy(target="max", operations=(OperationKind.FLIP_VERTICAL,)), Bound.OPERATIONS, 5),
        (AugmentPolicy(target="max", operations=()), Bound.OPERATIONS, 0),
        (AugmentPolicy(target="max", per_class=10, per_original=10), Bound.TARGET, 35),
    ],
)
def test_the_row_names_the_cap_that_bound_a_class(policy, bound, added):
    row = plan(uneven_set(), ["rare", "common"], policy).classes[0]
    assert (row.bound_by, row.added_instances) == (bound, added)


def test_300_images_cannot_become_100_000():
    samples = [make_sample(n, label("a", Box(50, 40, 62, 50))) for n in range(300)]
    with pytest.raises(AugmentError) as refusal:
        plan(samples, ["a"], AugmentPolicy(target=100_000))
    assert "a has 300 instances, 100000 ask for 99700 more, per_class = 4 allows 1200" in str(refusal.value)


def test_a_number_that_a_cap_stops_halfway_is_refused_with_what_it_reaches():
    with pytest.raises(AugmentError, match=r"rare reaches 20 of 25 \(per_original = 3\)"):
        plan(uneven_set(), ["rare", "common"], AugmentPolicy(target=25, per_original=3))


def test_crops_isolate_the_rare_class_from_the_common_one():
    boxes = (label("rare", Box(8, 8, 16, 16)), *[label("common", Box(100, y, 110, y + 8)) for y in (10, 40, 70)])
    samples = [make_sample(n, *boxes) for n in range(10)]
    found = plan(samples, ["rare", "common"], AugmentPolicy(target="max", per_original=2, total=2))
    rows = {row.defect_class: row for row in found.classes}
    assert rows["rare"].added_instances == 20
    assert rows["common"].added_instances <= 6, "crops with the common class were taken although others were there"


def test_only_allowed_operations_are_used():
    policy = AugmentPolicy(target="max", operations=(OperationKind.CROP, OperationKind.FLIP_HORIZONTAL))
    found = plan(uneven_set(), ["rare", "common"], policy)
    kinds = {operation.kind for image in found.images for operation in parse_operations(image.operations)}
    assert kinds == set(policy.operations)


boxes_anywhere = st.builds(
    lambda x, y, w, h: Box(x, y, min(x + w, 120), min(y + h, 90)),
    st.integers(0, 110),
    st.integers(0, 80),
    st.integers(2, 40),
    st.integers(2, 40),
)
labelled = st.builds(label, st.sampled_from("abc"), boxes_anywhere)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(labelled, max_size=4), min_size=1, max_size=12),
    st.sampled_from(["median", "max", 3, 12]),
    st.integers(0, 5),
    st.floats(0, 5),
    st.floats(0, 2),
    st.integers(0, 9),
)
def test_every_plan_stays_within_its_caps_and_goes_back_to_originals(contents, target, original, cap, total, seed):
    samples = [make_sample(n, *boxes) for n, boxes in enumerate(contents)]
    policy = AugmentPolicy(target=target, per_original=original, per_class=cap, total=total, seed=seed)
    try:
        found = plan(samples, "abc", policy)
    except AugmentError:
        assume(target in {3, 12})
        return
    by_name = {sample.name: sample for sample in samples}
    uses = Counter(image.origin for image in found.images)
    assert all(count <= original for count in uses.values())
    assert len(found.images) <= total * len(samples)
    assert len({(image.origin, image.operations) for image in found.images}) == len(found.images)
    added: Counter[str] = Counter()
    for image in found.images:
        parent, operations = by_name[image.origin], parse_operations(image.operations)
        assert result_size(operations, parent.width, parent.height) == (image.width, image.height)
        assert transform_labels(operations, parent.boxes, parent.width, parent.height) == image.boxes
        assert image.boxes
        added.update(box.defect_class for box in image.boxes)
    for row in found.classes:
        assert row.added_instances == added[row.defect_class] <= cap * row.original_instances
        reached = row.original_instances + row.added_instances >= row.target
        assert reached or row.bound_by not in {Bound.TARGET, Bound.NONE}


shown = st.lists(st.integers(1, 3), min_size=1, max_size=7)  # boxes on each original of a class


@settings(max_examples=60, deadline=None)
@given(shown, shown, st.integers(0, 4), st.integers(2, 40), st.integers(0, 9))
def test_originals_of_a_class_are_used_alike_where_nothing_binds_but_the_target(first, second, normal, target, seed):
    """The uses of a class's originals differ by one at most, where all of this holds.

    Its originals show no other class, whose need would use them as well; changes of light are allowed, so that
    something new can be made of every original at any time; and no cap refuses an image: not `per_original`, not
    `total`, and not `per_class`, even to an original whose boxes pass the target.
    """
    contents = [("a", count) for count in first] + [("b", count) for count in second]
    places = (Box(20, 20, 30, 30), Box(60, 50, 75, 58), Box(90, 15, 99, 40))
    samples = [make_sample(n, *[label(name, at) for at in places[:count]]) for n, (name, count) in enumerate(contents)]
    samples += [make_sample(100 + n) for n in range(normal)]
    have = {"a": sum(first), "b": sum(second)}
    policy = AugmentPolicy(target=target, per_original=20, per_class=20, total=5, seed=seed)
    # an image may show a single box in a crop: as many images as boxes are missing, at most
    needed = {name: max(target - count, 0) for name, count in have.items()}
    assume(sum(needed.values()) <= 5 * len(samples))
    assume(all(needed[name] + 2 <= 20 * have[name] for name in have))
    assume(needed["a"] < 20 * len(first) and needed["b"] < 20 * len(second))
    found = plan(samples, "ab", policy)
    uses = Counter(image.origin for image in found.images)
    for name in "ab":
        counts = [uses[sample.name] for sample in samples if name in sample.classes]
        assert max(counts) - min(counts) <= 1
        assert (sum(counts) > 0) is (needed[name] > 0)


def test_no_two_images_of_a_plan_show_the_same_pixels():
    image = np.random.default_rng(0).integers(0, 255, (90, 120), np.uint8)
    samples = [make_sample(0, label("a", Box(50, 40, 62, 50))), *[make_sample(n) for n in range(1, 30)]]
    samples += [make_sample(100 + n, label("b", Box(5, 5, 9, 9))) for n in range(15)]
    found = plan(samples, "ab", AugmentPolicy(target="max", per_original=20, per_class=20))
    made = [apply_operations(parse_operations(entry.operations), image) for entry in found.images]
    assert len(made) == 14
    assert len({(entry.shape, entry.tobytes()) for entry in [image, *made]}) == 15


@pytest.mark.parametrize(("text", "target"), [("40", 40), ('"40"', "40"), ('"max"', "max")])
def test_a_line_file_may_give_the_target_as_number_or_word(text, target):
    line = parse_line(f'[line]\nname = "l"\nclasses = ["a"]\n[augment]\ntarget = {text}\n', Path("l.toml"))
    assert line.augment.target == target


@pytest.mark.parametrize("target", ["mean", "", "0", 0, "-3"])
def test_a_target_that_is_no_number_of_instances_is_refused(target):
    with pytest.raises(ValueError, match="target must be"):
        AugmentPolicy(target=target)
