"""The sample line: reproducible, exactly labelled, honest about what differs from the golden reference."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wafergate.errors import ConfigError, StorageError
from wafergate.sample.acts import ACT_ONE, ARRIVALS, RARE_CLASS, write_act_one, write_act_two
from wafergate.sample.defects import PAINTERS, paint_defect, tight_box
from wafergate.sample.generate import CLASSES, Batch, write_sample
from wafergate.sample.layout import PRODUCTS, draw_die

pytestmark = pytest.mark.unit

SMALL = Batch(images=dict.fromkeys(CLASSES, 8), normal=8, lots=4)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_coco(folder):
    return json.loads((folder / "annotations.json").read_text(encoding="utf-8"))


def grey(path: Path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def tolerant_difference(image, reference):
    kernel = np.ones((3, 3), np.uint8)
    above = cv2.subtract(image, cv2.dilate(reference, kernel))
    below = cv2.subtract(cv2.erode(reference, kernel), image)
    return cv2.max(above, below)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    return folder, write_sample(folder, seed=3, batches=[SMALL])


def test_the_same_seed_writes_the_same_bytes(small, tmp_path):
    folder, _ = small
    write_sample(tmp_path, seed=3, batches=[SMALL])
    assert contents(tmp_path) == contents(folder)


def test_another_seed_draws_other_images(small, tmp_path):
    folder, _ = small
    write_sample(tmp_path, seed=4, batches=[SMALL])
    assert set(contents(tmp_path).values()).isdisjoint(contents(folder).values())


def test_act_two_keeps_the_files_of_act_one_and_adds_later_lots(tmp_path):
    one = write_act_one(tmp_path / "one", 0)
    two = write_act_two(tmp_path / "two", 0)
    first, second = contents(tmp_path / "one" / "images"), contents(tmp_path / "two" / "images")
    assert first.items() < second.items()
    assert two.lots[: len(one.lots)] == one.lots
    labels, more = read_coco(one.folder), read_coco(two.folder)
    assert more["images"][: len(labels["images"])] == labels["images"]
    assert more["annotations"][: len(labels["annotations"])] == labels["annotations"]


def test_the_rare_class_is_rare_in_act_one_and_level_with_the_others_in_act_two():
    others = [name for name in CLASSES if name != RARE_CLASS]
    after = {name: ACT_ONE.images[name] + ARRIVALS.images[name] for name in CLASSES}
    assert all(ACT_ONE.images[RARE_CLASS] * 5 < ACT_ONE.images[name] for name in others)
    assert all(abs(after[RARE_CLASS] - after[name]) <= 0.1 * after[name] for name in others)


def test_the_label_file_lists_every_image_and_its_reference_exists(small):
    folder, summary = small
    coco = read_coco(folder)
    files = {path.name for path in (folder / "images").iterdir()}
    assert files == {image["file_name"] for image in coco["images"]} | {i["reference"] for i in coco["images"]}
    assert len(files) == 2 * summary.images
    assert all(Path(i["file_name"]).stem == f"{i['lot']}_{i['wafer']}_{i['die']}" for i in coco["images"])


def test_the_summary_counts_what_the_label_file_holds(small):
    folder, summary = small
    coco = read_coco(folder)
    names = {category["id"]: category["name"] for category in coco["categories"]}
    boxes = Counter(names[a["category_id"]] for a in coco["annotations"])
    images = Counter(name for _, name in {(a["image_id"], names[a["category_id"]]) for a in coco["annotations"]})
    assert summary.defects_per_class == boxes
    assert summary.images_per_class == images == SMALL.images
    assert summary.normal == SMALL.normal == summary.images - images.total()


def test_every_class_is_dealt_evenly_over_the_lots(small):
    folder, summary = small
    coco = read_coco(folder)
    lot = {image["id"]: image["lot"] for image in coco["images"]}
    per_lot = Counter((lot[i], c) for i, c in {(a["image_id"], a["category_id"]) for a in coco["annotations"]})
    assert set(per_lot.values()) == {2}
    assert len(per_lot) == len(summary.lots) * len(CLASSES)


def test_an_image_differs_from_its_reference_inside_its_boxes_and_nowhere_else(small):
    folder, _ = small
    coco = read_coco(folder)
    boxes = {
        image["id"]: [a["bbox"] for a in coco["annotations"] if a["image_id"] == image["id"]]
        for image in coco["images"]
    }
    for image in coco["images"]:
        difference = tolerant_difference(
            grey(folder / "images" / image["file_name"]), grey(folder / "images" / image["reference"])
        )
        for x, y, width, height in boxes[image["id"]]:
            inside = difference[y : y + height, x : x + width]
            assert np.percentile(inside, 95) > 25, image["file_name"]
            difference[max(y - 2, 0) : y + height + 2, max(x - 2, 0) : x + width + 2] = 0
        # the outermost pixels may show what the misregistered reference does not hold; what is left then is
        # sensor noise and the tilt of the light
        difference = difference[1:-1, 1:-1]
        assert cv2.medianBlur(difference, 3).max() < 38, image["file_name"]


def test_images_are_eight_bit_grey_and_boxes_lie_inside_with_whole_pixels(small):
    folder, _ = small
    coco = read_coco(folder)
    for image in coco["images"]:
        pixels = grey(folder / "images" / image["file_name"])
        assert pixels.dtype == np.uint8
        assert pixels.shape == (image["height"], image["width"])
    for a in coco["annotations"]:
        x, y, width, height = a["bbox"]
        assert 0 < x < x + width < 128
        assert 0 < y < y + height < 128
        assert 0 < a["area"] <= width * height


def test_no_two_dies_share_a_layout(small):
    folder, _ = small
    references = [grey(path).astype(float) for path in sorted((folder / "images").glob("*_golden.png"))]
    for index, first in enumerate(references):
        for second in references[index + 1 :]:
            assert np.abs(first - second).mean() > 10  # the same layout twice would differ by noise alone: about 5


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(PAINTERS)), st.sampled_from(PRODUCTS))
def test_only_the_painted_pixels_change_and_the_box_is_tight(seed, defect_class, product):
    rng = np.random.default_rng(seed)
    die = draw_die(product, size=128, rng=rng)
    painted = paint_defect(die, defect_class, taken=np.zeros((128, 128), bool), rng=rng)
    if painted is None:
        return
    values, mask = painted
    assert not ((values != die.grey) & ~mask).any()
    x, y, width, height = tight_box(mask)
    assert not mask[:y].any()
    assert not mask[y + height :].any()
    assert not mask[:, :x].any()
    assert not mask[:, x + width :].any()
    edges = mask[y], mask[y + height - 1], mask[:, x], mask[:, x + width - 1]
    assert all(edge.any() for edge in edges)


@given(st.integers(0, 2**32 - 1), st.sampled_from(PRODUCTS))
def test_a_bridge_is_metal_in_a_gap_and_a_void_is_a_gap_in_metal(seed, product):
    rng = np.random.default_rng(seed)
    die = draw_die(product, size=128, rng=rng)
    free = np.zeros((128, 128), bool)
    bridge, void = (paint_defect(die, name, taken=free, rng=rng) for name in ("bridge", "void"))
    if bridge is not None:
        assert not (bridge[1] & die.metal).any()
        assert (bridge[0][bridge[1]] == product.metal).all()
    if void is not None:
        assert die.metal[void[1]].all()
        assert (void[0][void[1]] == product.dielectric).all()


@pytest.mark.parametrize(
    ("batches", "named"),
    [
        ([Batch(images={"crack": 1}, normal=0, lots=1)], "crack"),
        ([Batch(images={"void": -1}, normal=0, lots=1)], "negative"),
        ([Batch(images={}, normal=1, lots=0)], "lots"),
        ([Batch(images={}, normal=1, lots=3), Batch(images={}, normal=1, lots=1, first_lot=3)], r"\[3\]"),
    ],
)
def test_a_plan_that_cannot_be_drawn_is_refused_by_name_before_anything_is_written(batches, named, tmp_path):
    with pytest.raises(ConfigError, match=named):
        write_sample(tmp_path / "line", seed=0, batches=batches)
    assert not (tmp_path / "line").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "line").write_text("a file, not a folder")
    with pytest.raises(StorageError, match="line"):
        write_sample(tmp_path / "line", seed=0, batches=[SMALL])


def test_the_label_file_appears_only_when_every_image_is_there(tmp_path):
    class StoppedError(Exception):
        pass

    def stop(done, _total):
        if done == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        write_sample(tmp_path, seed=0, batches=[SMALL], on_progress=stop)
    assert not (tmp_path / "annotations.json").exists()
