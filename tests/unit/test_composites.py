"""Composites: the box fits the pasted defect, nothing else is pasted, both parents teach, and each is counted apart."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wafergate.domain.augmentation import AugmentPolicy, OperationKind
from wafergate.domain.composites import Backgrounds, feather, paste_window, pasteable, pasted_label
from wafergate.domain.geometry import Box
from wafergate.domain.operations import parse_operations
from wafergate.domain.samples import LabelledBox, Part, Sample
from wafergate.domain.splits import LeakKind
from wafergate.domain.training_rows import TrainingItem
from wafergate.errors import AugmentError
from wafergate.stages.augment import plan
from wafergate.stages.leaks import check_leaks, item_of_sample, items_of_training
from wafergate.stages.paste import paste

pytestmark = pytest.mark.unit
ONLY = AugmentPolicy(target=12, per_original=10, per_class=20, total=2, operations=(OperationKind.COMPOSITE,))


def label(box: Box, name: str = "a", polygon: tuple[tuple[float, float], ...] = ()) -> LabelledBox:
    return LabelledBox(name, name, box, polygon)


def make_sample(name: str, *boxes: LabelledBox, reference: str | None = None, **metadata: str) -> Sample:
    return Sample("d", 0, name, f"bytes of {name}", reference, 120, 90, boxes, metadata)


def cut_from(name: str, region: Box, *boxes: LabelledBox) -> Sample:
    tile = make_sample(f"{name} at {region.x1}, {region.y1}", *boxes)
    return replace(tile, part=Part(name, f"bytes of {name}", region))


def pasted(text: str, background: np.ndarray, donor: np.ndarray, drawn: LabelledBox) -> np.ndarray:
    (operation,) = parse_operations([text])
    return paste(operation, background, donor, drawn)


@settings(max_examples=150, deadline=None)
@given(st.integers(20, 90), st.integers(20, 60), st.integers(3, 20), st.integers(3, 20), st.integers(0, 2**16))
def test_the_box_fits_the_pasted_paint_to_the_pixel(x, y, width, height, seed):
    box = Box(x, y, x + width, y + height)
    donor = np.zeros((90, 120, 3), np.uint8)
    donor[y : y + height, x : x + width] = 255
    sample = make_sample("donor", label(box))
    pool = Backgrounds([make_sample("normal")], "", per_original=1)
    if not pasteable(sample, 0):
        return
    _, operation = pool.draw(sample, 0, np.random.default_rng(seed))
    made = paste(operation, np.zeros((90, 120, 3), np.uint8), donor, sample.boxes[0])
    rows, columns = np.nonzero(made[:, :, 0] > 127)
    at = pasted_label(sample, operation).box
    assert at == Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert made[int(at.y1) : int(at.y2), int(at.x1) : int(at.x2)].min() == 255


def test_only_the_outline_and_its_faded_rim_change_the_background():
    rng = np.random.default_rng(1)
    background = rng.integers(90, 110, (90, 120, 1), np.uint8).repeat(3, axis=2)
    donor = rng.integers(90, 110, (90, 120, 1), np.uint8).repeat(3, axis=2)
    donor[40:50, 30:60] = 10  # a bar; only its left half is the defect
    outline = ((30.5, 40.5), (44.5, 40.5), (44.5, 49.5), (30.5, 49.5))
    drawn = label(Box(30, 40, 45, 50), polygon=outline)
    made = pasted("composite:0,40,20", background, donor, drawn)
    changed = np.argwhere((made != background).any(axis=2))
    rim = feather(drawn.box)
    assert changed.min(axis=0).tolist() >= [60 - rim, 70 - rim]
    assert changed.max(axis=0).tolist() <= [70 + rim, 85 + rim]
    assert int(made[60:70, 70:85].max()) < 30, "the defect itself is not at full strength"


def test_the_pasted_defect_takes_the_light_of_its_new_place():
    donor, background = np.full((90, 120, 3), 80, np.uint8), np.full((90, 120, 3), 140, np.uint8)
    donor[40:50, 40:50] = 40
    made = pasted("composite:0,10,5", background, donor, label(Box(40, 40, 50, 50)))
    assert made[50, 55].tolist() == [70, 70, 70], "half as bright as what surrounds it, there as here"
    outside = made.copy()
    outside[45:55, 50:60] = 140
    assert np.abs(outside.astype(int) - 140).max() <= 1, "an edge is left around the defect"


def test_a_defect_is_not_pasted_outside():
    image = np.zeros((90, 120, 3), np.uint8)
    with pytest.raises(AugmentError, match="outside a background of 120 x 90 pixels"):
        pasted("composite:0,80,0", image, image, label(Box(40, 40, 50, 50)))
    with pytest.raises(AugmentError, match="names box 3 of donor, which has 1"):
        pasted_label(make_sample("donor", label(Box(40, 40, 50, 50))), parse_operations(["composite:3,0,0"])[0])


@pytest.mark.parametrize(
    ("boxes", "liftable"),
    [
        ((Box(40, 40, 50, 50),), True),
        ((Box(0, 40, 10, 50),), False),  # the border may cut it off
        ((Box(10, 10, 110, 80),), False),  # the image's own state
        ((Box(40, 40, 50, 50), Box(52, 40, 60, 50)), False),  # a second defect would come along unlabelled
        ((Box(40, 40, 50, 50), Box(90, 40, 99, 50)), True),
    ],
)
def test_what_can_be_lifted_off_its_image(boxes, liftable):
    assert pasteable(make_sample("donor", *map(label, boxes)), 0) is liftable


def donors_and_normals(**metadata: str) -> list[Sample]:
    donors = [make_sample(f"d{n}", label(Box(40, 40, 50 + n, 50)), **metadata) for n in range(3)]
    return donors + [make_sample(f"n{n}", **metadata) for n in range(5)]


def test_composites_use_donors_and_backgrounds_evenly_and_are_counted_apart():
    made = plan(donors_and_normals(), "a", ONLY)
    (row,) = made.classes
    assert (row.added_instances, row.synthetic_instances, row.factor) == (9, 9, 4.0)
    assert Counter(image.donor for image in made.images) == {"d0": 3, "d1": 3, "d2": 3}
    assert sorted(Counter(image.origin for image in made.images).values()) == [1, 2, 2, 2, 2]
    mixed = plan(donors_and_normals(), "a", replace(ONLY, operations=tuple(OperationKind)))
    assert 0 < mixed.classes[0].synthetic_instances < 9


def test_a_background_is_capped_like_any_original():
    made = plan(donors_and_normals(), "a", replace(ONLY, target="max", per_original=1))
    assert not made.images
    with pytest.raises(AugmentError, match="a reaches 6 of 9"):
        plan(donors_and_normals()[:4], "a", replace(ONLY, target=9, per_original=3, total=20))


def test_a_defect_stays_with_its_product_and_under_a_golden_reference_at_its_place():
    mixed = [*donors_and_normals(part="A"), make_sample("nB", part="B"), make_sample("nobody's")]
    made = plan(mixed, "a", replace(ONLY, product_key="part"))
    assert {image.origin for image in made.images} <= {f"n{n}" for n in range(5)}
    with pytest.raises(AugmentError, match="product_key needs the metadata 'wafer', which no image has"):
        plan(mixed, "a", replace(ONLY, product_key="wafer"))
    same = [make_sample("d", label(Box(40, 40, 50, 50)), reference="R"), make_sample("n", reference="R")]
    others = [make_sample(f"o{n}", reference="other") for n in range(8)]
    made = plan([*same, *others], "a", replace(ONLY, target=2))
    assert [(image.origin, image.operations[0]) for image in made.images] == [("n", "composite:0,0,0")]


def test_classes_the_line_does_not_name_are_not_pasted_and_a_plan_without_composites_says_why():
    assert not plan(donors_and_normals(), "a", replace(ONLY, target="max", composite_classes=("b",))).images
    wanted = replace(ONLY, target="max", per_class=1, operations=tuple(OperationKind))
    rare = [*donors_and_normals()[:3], *[make_sample(f"b{n}", label(Box(40, 40, 50, 50), "b")) for n in range(6)]]
    made = plan(rare, "ab", wanted)
    assert made.images
    assert made.notes == ("no composites: the training side holds no image without defect to paste onto",)


def test_no_other_defect_lies_in_what_is_pasted():
    rng = np.random.default_rng(5)
    samples = donors_and_normals()[3:]
    for n in range(20):
        corners = rng.integers(2, 60, (4, 2))
        boxes = [label(Box(float(x), float(y), float(x) + 12, float(y) + 9)) for x, y in corners]
        samples.append(make_sample(f"many{n}", *boxes))
    made = plan(samples, "a", replace(ONLY, target=90, total=5, per_original=20))
    by_name = {sample.name: sample for sample in samples}
    assert made.images
    for image in made.images:
        donor, (operation,) = by_name[image.donor], parse_operations(image.operations)
        index = int(operation.numbers[0])
        x1, y1, x2, y2 = paste_window(donor.boxes[index], donor.width, donor.height)
        others = [other.box for place, other in enumerate(donor.boxes) if place != index]
        assert not any(b.x1 < x2 and b.x2 > x1 and b.y1 < y2 and b.y2 > y1 for b in others)
        assert not by_name[image.origin].boxes
        assert image.boxes == (pasted_label(donor, operation),)


@pytest.mark.parametrize("judge", ["donor", "normal"])
def test_a_composite_leaks_through_either_parent(judge):
    donor, normal = make_sample("donor", label(Box(40, 40, 50, 50))), make_sample("normal")
    item = TrainingItem("t", 0, "normal", ("composite:0,5,5", "turn_90"), "made", 90, 120, (), "train", "donor")
    taught = items_of_training(item, [(normal, "group n"), (donor, "group d")])
    assert [(entry.origin, entry.group) for entry in taught] == [("normal", "group n"), ("donor", "group d")]
    assert check_leaks(taught, [], [item_of_sample(make_sample("other"), "g")]).cross_edges == 0
    chosen = donor if judge == "donor" else normal
    proof = check_leaks(taught, [], [item_of_sample(chosen, f"group {judge[0]}")])
    assert {kind for kind, count in proof.kinds.items() if count} == {LeakKind.CHILD, LeakKind.SAME_GROUP}


@pytest.mark.parametrize(
    ("judge", "kinds"),
    [
        (make_sample("board d"), {LeakKind.CHILD}),
        (make_sample("board n"), {LeakKind.CHILD}),
        (cut_from("board d", Box(250, 130, 370, 220)), {LeakKind.OVERLAP}),  # shows the pasted defect's corner
        (cut_from("board d", Box(0, 0, 120, 90)), set()),
        (cut_from("board n", Box(1, 1, 121, 91)), {LeakKind.OVERLAP}),
        (cut_from("board n", Box(0, 0, 120, 90)), set()),
    ],
)
def test_a_composite_made_of_tiles_leaks_through_the_images_they_were_cut_from(judge, kinds):
    donor = cut_from("board d", Box(200, 100, 320, 190), label(Box(40, 40, 60, 50)))
    normal = cut_from("board n", Box(120, 90, 240, 180))
    item = TrainingItem("t", 0, normal.name, ("composite:0,5,5", "turn_90"), "made", 90, 120, (), "train", donor.name)
    taught = items_of_training(item, [(normal, "group n"), (donor, "group d")])
    assert [entry.origin for entry in taught] == ["board n", "board d"]
    proof = check_leaks(taught, [], [item_of_sample(judge, "")])
    assert {kind for kind, count in proof.kinds.items() if count} == kinds
    assert check_leaks(taught, [], [item_of_sample(judge, "group d")]).kinds[LeakKind.SAME_GROUP] == 1
