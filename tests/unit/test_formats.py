"""Readers and writers: nothing is lost, and what cannot be read is listed with its reason while the rest goes on."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.exports import (
    OBJECT,
    VOC,
    Files,
    as_bytes,
    coco_bad,
    coco_export,
    coco_of,
    mask_of,
    masked_export,
    pcb_export,
    voc_export,
    yolo_export,
)
from tests.unit.memory_source import MemorySource, picture
from wafergate.adapters.source import open_source
from wafergate.domain.geometry import Box
from wafergate.domain.quarantine import Unlabelled
from wafergate.domain.samples import QuarantineReason, RawBox, RawSample, Reading
from wafergate.errors import ConfigError, SourceError
from wafergate.formats import READERS, WRITERS, ReadOptions
from wafergate.formats.masks import parts_of

pytestmark = pytest.mark.unit

R = QuarantineReason
SIZE = (640, 480)
LARGE = picture(*SIZE)

# Names and labels of any script, without what no path, CSV or XML can hold.
text = st.text(st.characters(categories=["L", "N", "Pd"], include_characters=" _"), min_size=1, max_size=12)
labels = text.map(str.strip).filter(bool)
stems = st.text(st.characters(categories=["L", "N"], include_characters="_- "), min_size=1, max_size=10).filter(
    lambda stem: stem.strip() == stem and stem.lower() not in {"classes", "train", "val", "valid", "test"}
)
coordinates = st.floats(-50, 700, allow_nan=False).map(lambda value: round(value, 3))
boxes = st.builds(Box, coordinates, coordinates, coordinates, coordinates)
metadata = st.dictionaries(
    st.sampled_from(["lot", "wafer", "die", "station", "captured_at"]),
    st.text(st.characters(categories=["L", "N", "P", "Zs"], include_characters='\n"'), min_size=1, max_size=12),
    max_size=3,
)


def _samples(folder: str, end: str, label: st.SearchStrategy[str]) -> st.SearchStrategy[list[RawSample]]:
    sample = st.builds(
        lambda stem, found, told: RawSample(f"{folder}{stem}{end}", tuple(found), size=SIZE, metadata=told),
        stems,
        st.lists(st.builds(RawBox, label, boxes), max_size=5),
        metadata,
    )
    return st.lists(sample, min_size=1, max_size=6, unique_by=lambda item: item.name).map(
        lambda found: sorted(found, key=lambda item: item.name)
    )


def _reread(name: str, samples: Sequence[RawSample], options: ReadOptions | None = None) -> Reading:
    files: Files = {sample.name: LARGE for sample in samples}
    return READERS[name](MemorySource(files | dict(WRITERS[name](samples))), options or ReadOptions())


def _same(found: Collection[RawSample], wanted: Sequence[RawSample], *, within: float) -> None:
    assert [item.name for item in found] == [item.name for item in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert [box.label for box in one.boxes] == [box.label for box in other.boxes]
        assert dict(one.metadata) == dict(other.metadata)
        assert one.reference == other.reference
        pairs = zip(one.boxes, other.boxes, strict=True)
        assert all(a.box.as_tuple() == pytest.approx(b.box.as_tuple(), rel=0, abs=within) for a, b in pairs)


@given(_samples("images/", ".png", labels))
@settings(max_examples=40, deadline=None)
def test_coco_written_and_read_again_is_the_same(samples: list[RawSample]) -> None:
    reading = _reread("coco", samples)
    _same(reading.samples, samples, within=1e-9)
    assert not reading.problems
    assert [item.size for item in reading.samples] == [SIZE] * len(samples)


@given(_samples("images/train/", ".png", labels))
@settings(max_examples=40, deadline=None)
def test_yolo_written_and_read_again_is_the_same_to_a_millionth_of_a_pixel(samples: list[RawSample]) -> None:
    reading = _reread("yolo", samples)
    _same(reading.samples, samples, within=1e-6)
    assert not reading.problems


@given(
    corners=st.tuples(st.integers(0, 638), st.integers(0, 478), st.integers(1, 640), st.integers(1, 480)),
    outlined=st.booleans(),
)
def test_a_yolo_box_on_whole_pixels_comes_back_on_them(corners: tuple[int, int, int, int], outlined: bool) -> None:
    x1, y1, wide, high = corners
    x2, y2 = min(x1 + wide, 640), min(y1 + high, 480)
    outline = ((x1, y1), (x2, y1), (x2, y2)) if outlined else ()
    sample = RawSample("images/a.png", (RawBox("pit", Box(x1, y1, x2, y2), outline),), size=(640, 480))
    (found,) = _reread("yolo", [sample]).samples
    assert found.boxes == sample.boxes


@given(_samples("JPEGImages/", ".png", labels))
@settings(max_examples=40, deadline=None)
def test_voc_written_and_read_again_is_exactly_the_same(samples: list[RawSample]) -> None:
    reading = _reread("voc", samples)
    _same(reading.samples, samples, within=0)
    assert not reading.problems


@given(
    _samples("group1/1/", "_test.png", st.sampled_from(["open", "short", "mousebite", "spur", "copper", "pin-hole"]))
)
@settings(max_examples=40, deadline=None)
def test_deeppcb_written_and_read_again_is_exactly_the_same(samples: list[RawSample]) -> None:
    samples = [replace(item, metadata={**item.metadata, "board": "group1"}) for item in samples]
    reading = _reread("deeppcb", samples)
    _same(reading.samples, samples, within=0)
    assert not reading.problems


cells = st.sets(st.tuples(st.integers(0, 7), st.integers(0, 5)), min_size=1, max_size=8)
sides = st.integers(1, 70)


@given(st.lists(cells, min_size=1, max_size=4), sides, sides)
@settings(max_examples=40, deadline=None)
def test_masks_written_and_read_again_are_exactly_the_same(places: list[set[tuple[int, int]]], w: int, h: int) -> None:
    samples = [RawSample("Free/n.jpg", size=SIZE)]
    for number, found in enumerate(places):
        drawn = [Box(80 * x, 80 * y, 80 * x + w, 80 * y + h) for x, y in sorted(found, key=lambda at: (at[1], at[0]))]
        samples.append(
            RawSample(f"Scratch/Imgs/{number}.png", tuple(RawBox("Scratch", box) for box in drawn), size=SIZE)
        )
    reading = _reread("masks", samples, ReadOptions(mask_min_area=1))
    _same(reading.samples, samples, within=0)
    assert not reading.problems


def test_an_outline_survives_every_format_that_has_one() -> None:
    outline = ((10.5, 10.5), (20.5, 10.5), (20.5, 30.5))
    wide = RawSample("images/a.png", (RawBox("x", Box(10.5, 10.5, 20.5, 30.5), outline),), size=SIZE)
    for name in ("coco", "yolo", "voc"):
        (sample,) = _reread(name, [wide]).samples
        (box,) = sample.boxes
        assert np.asarray(box.polygon) == pytest.approx(np.asarray(outline), abs=1e-6)


def test_a_mask_redrawn_from_its_outline_is_the_same_mask() -> None:
    mask = np.zeros((60, 80), np.uint8)
    cv2.circle(mask, (30, 30), 17, 255, -1)
    cv2.line(mask, (60, 5), (70, 50), 255, 3)
    files: Files = {"S/a.jpg": picture(80, 60), "S/a.png": bytes(cv2.imencode(".png", mask)[1])}
    reading = READERS["masks"](MemorySource(files), ReadOptions())
    written = WRITERS["masks"](reading.samples)["S/a.png"]
    assert np.array_equal(cv2.imdecode(np.frombuffer(written, np.uint8), cv2.IMREAD_GRAYSCALE), mask)


# --- conventions -----------------------------------------------------------------------------------------------------


def test_each_format_gives_the_same_box_for_the_same_four_pixels() -> None:
    """Columns 4 to 7 and rows 2 to 3 of a 40 x 30 image, as each convention writes them."""
    mask = np.zeros((30, 40), np.uint8)
    mask[2:4, 4:8] = 255
    written: dict[str, Files] = {
        "coco": {
            "a.png": picture(),
            "a.json": json.dumps(
                {
                    "images": [{"id": 1, "file_name": "a.png"}],
                    "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [4, 2, 4, 2]}],
                    "categories": [{"id": 7, "name": "pit"}],
                }
            ),
        },
        "yolo": {"a.png": picture(), "a.txt": f"0 {6 / 40} {3 / 30} {4 / 40} {2 / 30}", "classes.txt": "pit\n"},
        "voc": {"a.png": picture(), "a.xml": VOC.format(file="a.png", body=OBJECT.format(5, 3, 8, 4))},
        "masks": {"pit/a.jpg": picture(), "pit/a.png": bytes(cv2.imencode(".png", mask)[1])},
    }
    for name, files in written.items():
        reading = READERS[name](MemorySource(files), ReadOptions(mask_min_area=1))
        assert not reading.problems
        (sample,) = reading.samples
        (box,) = sample.boxes
        assert (box.label, box.box.as_tuple()) == ("pit", pytest.approx((4, 2, 8, 4))), name


def test_deeppcb_finds_pairs_golden_references_and_boards_with_and_without_lists() -> None:
    files: Files = {
        "PCBData/groupA/A/1_test.jpg": b"",
        "PCBData/groupA/A/1_temp.jpg": b"",
        "PCBData/groupA/A_not/1.txt": "1 2 30 40 1\n5 6 7 8 6\n",
        "PCBData/groupA/A/2_test.jpg": b"",
        "PCBData/groupA/A_not/2.txt": "",
        "PCBData/trainval.txt": "groupA/A/1.jpg groupA/A_not/1.txt\n",
    }
    for listed in (True, False):
        chosen = {name: data for name, data in files.items() if listed or not name.endswith("trainval.txt")}
        one, two = READERS["deeppcb"](MemorySource(chosen), ReadOptions()).samples
        assert [(box.label, box.box.as_tuple()) for box in one.boxes] == [
            ("open", (1, 2, 30, 40)),
            ("pin-hole", (5, 6, 7, 8)),
        ]
        assert one.reference == "PCBData/groupA/A/1_temp.jpg"
        assert one.metadata == {"board": "groupA"}
        assert (two.boxes, two.reference) == ((), None)


@given(st.integers(1, 12), st.integers(0, 14), st.booleans())
def test_parts_are_one_defect_exactly_when_fewer_pixels_than_the_gap_lie_between(
    gap: int, between: int, down: bool
) -> None:
    second = (10, 10 + between, 15, 15 + between) if down else (10 + between, 10, 15 + between, 15)
    found = parts_of(mask_of((5, 5, 10, 10), second, size=(60, 60)), gap=gap)
    assert len(found) == (1 if between < max(gap, 1) else 2)


def test_crumbs_count_together_once_joined_and_are_left_out_when_alone() -> None:
    crumbs = mask_of((2, 2, 4, 4), (6, 2, 8, 4), (10, 2, 12, 4), (50, 30, 52, 32))
    assert [box.as_tuple() for box, _ in parts_of(crumbs, gap=3, min_area=9)] == [(2, 2, 12, 4)]
    assert parts_of(crumbs, min_area=9) == []


def test_diagonal_pixels_touch() -> None:
    assert len(parts_of(mask_of((1, 1, 2, 2), (2, 2, 3, 3)))) == 1


# --- metadata and golden references ----------------------------------------------------------------------------------


def test_metadata_comes_from_the_name_and_from_the_table_which_wins() -> None:
    files: Files = {
        "L1_W2.png": picture(),
        "L3_W4.png": picture(),
        "a.json": coco_of("L1_W2.png", "L3_W4.png"),
        "metadata.csv": "image,lot,station\nL1_W2.png,L9,\nelsewhere.png,L1,S\n",
    }
    reading = READERS["coco"](MemorySource(files), ReadOptions(pattern=r"(?P<lot>L\d+)_(?P<wafer>W\d+)"))
    assert [item.metadata for item in reading.samples] == [{"lot": "L9", "wafer": "W2"}, {"lot": "L3", "wafer": "W4"}]
    ((path, reason, detail),) = reading.problems
    assert (path, reason) == ("metadata.csv", R.LABEL_WITHOUT_IMAGE)
    assert "elsewhere.png" in detail


def test_a_row_by_file_name_alone_is_not_given_to_two_images() -> None:
    files: Files = {
        "x/a.png": picture(),
        "y/a.png": picture(),
        "a.json": coco_of("x/a.png", "y/a.png"),
        "metadata.csv": "name,lot\na.png,L1\n",
    }
    reading = READERS["coco"](MemorySource(files), ReadOptions())
    assert [item.metadata for item in reading.samples] == [{}, {}]
    assert next(iter(reading.problems))[:2] == ("metadata.csv", R.LABEL_WITHOUT_IMAGE)


@pytest.mark.parametrize(
    ("table", "says"),
    [("lot,wafer\n1,2\n", "needs a column"), ("name,lot\na.png\n", "row 2 has 1"), ("name,lot\na,1\na,2\n", "again")],
)
def test_a_broken_metadata_table_is_listed_and_the_images_still_enter(table: str, says: str) -> None:
    files: Files = {"a.png": picture(), "a.json": coco_of("a.png"), "metadata.csv": table}
    reading = READERS["coco"](MemorySource(files), ReadOptions())
    assert len(reading.samples) == 1
    assert any(
        path == "metadata.csv" and reason is R.UNREADABLE_LABEL and says in why
        for path, reason, why in reading.problems
    )


def test_golden_references_are_found_by_template_and_are_no_samples() -> None:
    files: Files = {
        "p/a.png": picture(),
        "p/a_golden.png": picture(),
        "p/b.png": picture(),
        "j.json": coco_of("p/a.png", "p/b.png"),
    }
    reading = READERS["coco"](MemorySource(files), ReadOptions(reference="{folder}/{stem}_golden{suffix}"))
    assert {item.name: item.reference for item in reading.samples} == {"p/a.png": "p/a_golden.png", "p/b.png": None}
    assert not reading.problems


def test_a_reference_named_in_the_table_wins_and_a_missing_one_is_listed() -> None:
    files: Files = {
        "a.png": picture(),
        "b.png": picture(),
        "gold.png": picture(),
        "j.json": coco_of("a.png", "b.png"),
        "metadata.csv": "name,reference\na.png,gold.png\nb.png,lost.png\n",
    }
    reading = READERS["coco"](MemorySource(files), ReadOptions())
    assert [item.reference for item in reading.samples] == ["gold.png", None]
    assert [problem[:2] for problem in reading.problems] == [("lost.png", R.MISSING_IMAGE)]


@pytest.mark.parametrize(
    ("image", "annotation", "category"),
    [(2, 2.0, 1.0), (2.0, 2, 1), ("2", 2, "1"), (2, "2", "01"), ("2.0", 2.0, " 1"), (2**60, 2**60, 1), ("b", "b", 1)],
)
def test_coco_ids_written_as_other_kinds_of_numbers_keep_their_boxes(
    image: object, annotation: object, category: object
) -> None:
    files = coco_export(
        images=[{"id": 5, "file_name": "good.png"}, {"id": image, "file_name": "bad.png"}],
        annotations=[{"id": 9, "image_id": annotation, "category_id": category, "bbox": [1, 2, 3, 4]}],
    )
    reading = READERS["coco"](MemorySource(files), ReadOptions())
    assert not reading.problems
    assert {item.name: len(item.boxes) for item in reading.samples} == {"bad.png": 1, "good.png": 0}


def test_a_coco_file_twice_keeps_its_images_and_their_boxes() -> None:
    files = coco_bad(bbox=[1, 2, 3, 4])
    reading = READERS["coco"](MemorySource(files | {"copy.json": files["a.json"]}), ReadOptions())
    assert [len(item.boxes) for item in reading.samples] == [1, 1]
    assert {problem[1] for problem in reading.problems} == {R.DUPLICATE_LABEL}


def listed_as(file_name: str, **annotation: object) -> Files:
    """Return the COCO export whose JSON calls images/bad.png by this name."""
    files = coco_export(
        images=[{"id": 1, "file_name": "good.png"}, {"id": 2, "file_name": file_name}],
        more=[{"id": 9, "image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4]} | annotation],
    )
    return files | {"images/bad.png": files.pop("bad.png"), "images/new.png": picture()}


def test_coco_finds_an_image_by_a_path_with_backslashes() -> None:
    reading = READERS["coco"](MemorySource(listed_as("images\\bad.png")), ReadOptions(unlabelled=Unlabelled.NORMAL))
    assert not reading.problems
    boxes = {item.name: len(item.boxes) for item in reading.samples}
    assert boxes == {"good.png": 1, "images/bad.png": 1, "images/new.png": 0}


@pytest.mark.parametrize(
    "files", [listed_as("BAD.PNG"), listed_as("C:\\bad.png"), listed_as("images/bad.png", image_id=77)]
)
def test_no_unlisted_coco_image_is_normal_where_boxes_found_no_image(files: Files) -> None:
    reading = READERS["coco"](MemorySource(files), ReadOptions(unlabelled=Unlabelled.NORMAL))
    assert "images/new.png" not in {item.name for item in reading.samples}
    assert ("images/new.png", R.IMAGE_WITHOUT_LABEL) in {problem[:2] for problem in reading.problems}


def test_what_the_source_refused_is_among_the_problems() -> None:
    source = MemorySource({"a.png": picture(), "a.json": coco_of("a.png")}, refused=[("../x.png", "it leads outside")])
    (problem,) = READERS["coco"](source, ReadOptions()).problems
    assert problem == ("../x.png", R.UNSAFE_PATH, "it leads outside")


@pytest.mark.parametrize("options", [{"pattern": "("}, {"reference": "{lot}.png"}, {"reference": "{stem"}])
def test_options_that_make_no_sense_are_refused_at_once(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="intake"):
        ReadOptions(**options)  # type: ignore[arg-type]


# --- what is no source of its format ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(WRITERS))
@pytest.mark.parametrize("files", [{"readme.md": "x"}, {"a.png": picture()}], ids=["no images", "no labels"])
def test_a_source_of_another_format_is_refused_in_one_sentence(name: str, files: Files) -> None:
    with pytest.raises(SourceError, match=r"needs?") as caught:
        READERS[name](MemorySource(files), ReadOptions())
    assert "memory" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_yolo_images_without_label_file_are_normal_only_where_labels_have_a_folder() -> None:
    foldered: Files = {"images/a.png": picture(), "images/b.png": picture(), "labels/a.txt": "", "classes.txt": "x"}
    beside: Files = {"a.png": picture(), "b.png": picture(), "a.txt": "", "classes.txt": "x"}
    assert len(READERS["yolo"](MemorySource(foldered), ReadOptions()).samples) == 2
    reading = READERS["yolo"](MemorySource(beside), ReadOptions())
    assert [item.name for item in reading.samples] == ["a.png"]
    assert [problem[:2] for problem in reading.problems] == [("b.png", R.IMAGE_WITHOUT_LABEL)]


LABELLED_IN_ANOTHER_CASE: list[tuple[str, Files, str]] = [
    ("yolo", {"images/b.jpg": picture(suffix=".jpg"), "images/b.txt": "0 .5 .5 .1 .1"}, "images/b.jpg"),
    ("yolo", {"images/b.jpg": picture(suffix=".jpg"), "labels/b.TXT": "0 .5 .5 .1 .1"}, "images/b.jpg"),
    ("yolo", {"Images/B.jpg": picture(suffix=".jpg"), "Labels/b.txt": "0 .5 .5 .1 .1"}, "Images/B.jpg"),
    ("masks", {"pit/b.jpg": picture(suffix=".jpg"), "pit/b.PNG": picture(level=255)}, "pit/b.jpg"),
    ("masks", {"pit/b.png": picture(), "pit/B_Mask.PNG": picture(level=255)}, "pit/b.png"),
    ("deeppcb", {"g/n/1_test.jpg": b"", "g/n/1_temp.JPG": b"", "g/n_not/1.TXT": "1 2 3 4 1"}, "g/n/1_test.jpg"),
    ("deeppcb", {"g/n/a_test.jpg": b"", "g/n/A_TEMP.jpg": b"", "g/n_not/A.txt": "1 2 3 4 1"}, "g/n/a_test.jpg"),
]


@pytest.mark.parametrize(("name", "files", "image"), LABELLED_IN_ANOTHER_CASE)
def test_what_belongs_to_an_image_is_found_in_any_case_and_beside_it(name: str, files: Files, image: str) -> None:
    normal: Files = {"images/a.jpg": picture(suffix=".jpg"), "labels/a.txt": "", "classes.txt": "pit"}
    files = normal | files if name == "yolo" else files
    reading = READERS[name](MemorySource(files), ReadOptions(unlabelled=Unlabelled.NORMAL))
    assert not reading.problems
    found = {item.name: item for item in reading.samples}
    assert len(found[image].boxes) == 1
    assert name == "yolo" or len(found) == 1
    assert (found[image].reference is not None) == (name == "deeppcb")


def test_equal_labels_in_the_folder_and_beside_the_image_are_its_labels() -> None:
    files = yolo_export("0 .5 .5 .1 .1")
    reading = READERS["yolo"](MemorySource(files | {"images/bad.txt": files["labels/bad.txt"]}), ReadOptions())
    assert not reading.problems
    assert all(len(item.boxes) == 1 for item in reading.samples)


@pytest.mark.parametrize("stray", ["0 .5 .5 .1 .1", "a note"])
def test_a_stray_text_beside_an_image_takes_no_other_image_its_place_among_the_normal_ones(stray: str) -> None:
    files: Files = {f"images/{number}.png": picture(level=number) for number in range(4)}
    files |= {"labels/0.txt": "0 .5 .5 .1 .1", "images/0.txt": stray}
    reading = READERS["yolo"](MemorySource(files), ReadOptions(classes=("pit",)))
    assert [item.name for item in reading.samples if not item.boxes] == [f"images/{number}.png" for number in (1, 2, 3)]


def test_yolo_takes_names_from_the_options_when_the_source_has_none() -> None:
    files: Files = {"images/a.png": picture(), "labels/a.txt": "1 .5 .5 .1 .1"}
    (sample,) = READERS["yolo"](MemorySource(files), ReadOptions(classes=("pit", "scratch"))).samples
    assert sample.boxes[0].label == "scratch"


WRITER_REFUSALS: list[tuple[str, RawSample | list[RawSample], str]] = [
    ("yolo", RawSample("a.png"), "width and height"),
    ("yolo", [RawSample("a.png", size=SIZE), RawSample("a.jpg", size=SIZE)], "share"),
    ("voc", [RawSample("a.png"), RawSample("a.jpg")], "share"),
    ("deeppcb", RawSample("a.png"), "_test"),
    ("deeppcb", RawSample("a_test.png", (RawBox("pit", Box(1, 2, 3, 4)),)), "pit"),
    ("masks", RawSample("pit/a.png"), "size"),
    ("masks", RawSample("pit/a.png", (RawBox("dent", Box(1, 2, 3, 4)),), size=SIZE), "folder"),
    ("masks", RawSample("pit/a.png", (RawBox("pit", Box(1, 2, 3.5, 4)),), size=SIZE), "whole pixels"),
    ("masks", RawSample("pit/a.png", tuple(RawBox("pit", Box(x, 2, x + 9, 9)) for x in (1, 5)), size=SIZE), "overlap"),
    ("coco", RawSample("a.png", metadata={"name": "x"}), "name"),
]


@pytest.mark.parametrize(("name", "samples", "says"), WRITER_REFUSALS)
def test_a_writer_refuses_what_its_format_cannot_hold(
    name: str, samples: RawSample | list[RawSample], says: str
) -> None:
    with pytest.raises(SourceError, match=says):
        WRITERS[name](samples if isinstance(samples, list) else [samples])


def test_a_byte_that_is_no_utf_8_is_told_by_its_place_in_the_table_however_long_that_is() -> None:
    rows = "".join(f"{place}.png,L{place}\n" for place in range(9000)).encode()
    table = b"name,lot\n" + rows + b"bad.png,L\xff1\n"
    with pytest.raises(UnicodeDecodeError) as whole:
        table.decode()
    reading = READERS["coco"](MemorySource(as_bytes(coco_export()) | {"metadata.csv": table}), ReadOptions())
    ((path, reason, detail),) = reading.problems
    assert (path, reason) == ("metadata.csv", R.UNREADABLE_LABEL)
    assert f"({whole.value})" in detail
    assert not any(item.metadata for item in reading.samples)


def test_reading_does_not_depend_on_who_asks() -> None:
    reader: Callable[..., Reading] = READERS["coco"]
    source = MemorySource(coco_export())
    one, other = reader(source, ReadOptions()), reader(source, ReadOptions())
    assert (list(one.samples), list(one.problems)) == (list(other.samples), list(other.problems))


VALID: dict[str, tuple[str, Files]] = {
    "coco": ("a.json", coco_export()),
    "yolo": ("labels/bad.txt", yolo_export("0 .5 .5 .1 .1")),
    "voc": ("Annotations/bad.xml", voc_export(VOC.format(file="bad.png", body=OBJECT.format(1, 2, 3, 4)))),
    "deeppcb": ("g/n_not/bad.txt", pcb_export("1 2 3 4 5")),
    "masks": ("pit/bad.png", masked_export(picture())),
}


@pytest.mark.parametrize("name", sorted(WRITERS))
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_damage_to_a_label_file_stops_a_reader(name: str, data: st.DataObject) -> None:
    file, files = VALID[name]
    content = files[file]
    damaged = bytearray(content.encode() if isinstance(content, str) else content)
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), max_size=6)
    ):
        damaged[place] = value
    end = data.draw(st.integers(0, len(damaged)))
    try:
        reading = READERS[name](MemorySource(files | {file: bytes(damaged[:end])}), ReadOptions())
    except SourceError:
        assert name == "coco"  # with its only JSON damaged nothing is COCO any more
    else:
        assert len(reading.samples) + len(reading.problems) >= 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "name", "bbox"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    place=st.sampled_from(["images", "annotations", "categories"]),
    key=st.sampled_from(
        ["id", "file_name", "width", "reference", "image_id", "category_id", "bbox", "segmentation", "name"]
    ),
    value=json_values,
)
@settings(max_examples=150, deadline=None)
def test_no_value_in_a_coco_file_stops_its_reader(place: str, key: str, value: object) -> None:
    files = coco_bad(bbox=[1, 2, 3, 4], segmentation=[[1, 2, 3, 4, 5, 6]])
    document = json.loads(files["a.json"])
    document[place][-1][key] = value
    reading = READERS["coco"](MemorySource(files | {"a.json": json.dumps(document)}), ReadOptions())
    told = {item.name for item in reading.samples} | {path for path, _, _ in reading.problems}
    assert told & {"good.png", "a.json"}


DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "folder", "samples", "normal", "instances", "refused"),
    [
        ("deeppcb", "deeppcb", 1000, 0, 6873, 0),
        ("masks", "magnetic-tile", 1064, 764, 336, 4),  # four images of the folder MT_Uneven have empty masks
    ],
)
def test_the_real_sets_read_whole(
    name: str, folder: str, samples: int, normal: int, instances: int, refused: int
) -> None:
    if not (DATA / folder).is_dir():
        pytest.skip(f"{DATA / folder} is not there")
    reading = READERS[name](open_source(DATA / folder), ReadOptions())
    assert len(reading.samples) == samples
    assert sum(not item.boxes for item in reading.samples) == normal
    assert sum(len(item.boxes) for item in reading.samples) == instances
    assert len(reading.problems) == refused
    assert (name == "deeppcb") == all(item.reference for item in reading.samples)


def test_images_alone_are_every_image_but_the_golden_references() -> None:
    files: Files = {"a.png": picture(), "a_golden.png": picture(), "note.txt": "x"}
    options = ReadOptions(reference="{folder}/{stem}_golden{suffix}")
    (sample,) = READERS["images"](MemorySource(files), options).samples
    assert sample == RawSample("a.png", reference="a_golden.png")
