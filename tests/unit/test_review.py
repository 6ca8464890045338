"""The review list: what comes onto it, how it is answered, and what a corrected export changes."""

import csv
import io
import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import rows
from tests.unit.memory_source import MemorySource, picture
from tests.unit.small_line import line_of, parts_in
from wafergate.adapters.memory import MemoryFiles
from wafergate.domain.geometry import Box
from wafergate.domain.review import Answer, ReviewAnswer, ReviewState, Suspected, Suspicion, item_of, standing
from wafergate.domain.samples import DatasetVersion, LabelledBox, RawBox, RawSample, Sample
from wafergate.domain.validation_rows import ValidationResult
from wafergate.errors import NotFoundError, SourceError, TaxonomyError, ValidationFailedError
from wafergate.jobs.correct import Corrected, bring_back
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Parts
from wafergate.jobs.review import add_items, export, find_item, keep, review_list
from wafergate.jobs.taxonomy import agreed
from wafergate.jobs.validate import examine, require_valid
from wafergate.line import LineFile, parse_line
from wafergate.stages.correct import ROUNDED_PX, correct

pytestmark = pytest.mark.unit

LINE = line_of(group_by="group_by = []")
SIDE = 64
LABELS = ("particle", "scratch")
Drawn = tuple[str, tuple[float, float, float, float]]

BOXES: dict[str, list[Drawn]] = {
    "L1/0.png": [("particle", (4, 4, 12, 12)), ("particle", (4, 4, 12, 12.25))],
    "L1/1.png": [("scratch", (10.125, 20, 30, 24.5)), ("particle", (40, 40, 48, 50))],
    "L2/2.png": [],
    "L2/3.png": [("scratch", (0, 0, 64, 63))],
}


def export_of(boxes: dict[str, list[Drawn]]) -> dict[str, bytes]:
    """Return a COCO source of small pictures."""
    images, annotations = [], []
    for number, (name, drawn) in enumerate(boxes.items(), start=1):
        images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
        for label, (x1, y1, x2, y2) in drawn:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": LABELS.index(label),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                }
            )
    categories = [{"id": place, "name": label} for place, label in enumerate(LABELS)]
    document: dict[str, Any] = {"images": images, "annotations": annotations, "categories": categories}
    files = {"annotations.json": json.dumps(document).encode()}
    for number, name in enumerate(boxes):
        files[name] = picture(SIDE, SIDE, level=number + 60)
        files[name.replace(".png", "_golden.png")] = picture(SIDE, SIDE, level=number + 160)
    return files


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return parts_in(tmp_path)


@pytest.fixture
def dataset(parts: Parts) -> str:
    made = ingest(parts, LINE, MemorySource(export_of(BOXES)), "coco").id
    examine(parts, LINE, made)
    return made


def suspected(sample: str = "L1/1.png", **changes: Any) -> Suspected:
    told: dict[str, Any] = {
        "sample": sample,
        "box_index": None,
        "label": "particle",
        "box": Box(1, 2, 9, 8),
        "kind": Suspicion.MISSED,
        "score": 0.9,
        "detail": "a model sees one here",
    }
    return Suspected(**(told | changes))


# The list


def test_validation_puts_grossly_wrong_boxes_on_the_list_and_a_rerun_adds_nothing(parts: Parts, dataset: str) -> None:
    found = [(item.kind, item.sample, item.box_index, state) for item, state in review_list(parts, dataset)]
    assert found == [
        (Suspicion.WHOLE_IMAGE, "L2/3.png", 0, ReviewState.OPEN),
        (Suspicion.DUPLICATE, "L1/0.png", 0, ReviewState.OPEN),
        (Suspicion.DUPLICATE, "L1/0.png", 1, ReviewState.OPEN),
    ]
    examine(parts, line_of(group_by="group_by = []", min_images="min_images = 20\n[boxes]\nmin_side = 1.0"), dataset)
    assert len(review_list(parts, dataset)) == 3


def test_any_producer_can_add_to_the_list_once(parts: Parts, dataset: str) -> None:
    assert add_items(parts, dataset, [suspected(), suspected("L2/2.png")]) == 2
    assert add_items(parts, dataset, [suspected()]) == 0
    assert [item.sample for item, _ in review_list(parts, dataset)][-2:] == ["L1/1.png", "L2/2.png"]


def test_an_answer_holds_for_its_item_and_a_kept_box_for_every_version() -> None:
    def item(dataset: str, **changes: Any) -> Any:
        return item_of(suspected(**changes), dataset_id=dataset, line="x", image="1" * 64, now=rows.NOW)

    first, later, other = item("data-1"), item("data-2"), item("data-2", box=Box(1, 2, 9, 9))

    def answer(kind: Answer) -> ReviewAnswer:
        return rows.review_answer(first, kind)

    items = [first, later, other]
    opened, kept, corrected = ReviewState.OPEN, ReviewState.KEPT, ReviewState.CORRECTED
    assert list(standing(items, []).values()) == [opened, opened, opened]
    assert list(standing(items, [answer(Answer.KEPT)]).values()) == [kept, kept, opened]
    assert list(standing(items, [answer(Answer.CORRECTED)]).values()) == [corrected, opened, opened]


# Validation


def test_a_file_gone_from_the_store_is_an_error_that_names_its_image(tmp_path: Path) -> None:
    class Forgetful(MemoryFiles):
        def sizes(self, digests: Any) -> dict[str, int]:
            return {digest: size for digest, size in super().sizes(digests).items() if digest != gone}

    parts = parts_in(tmp_path, files=Forgetful(tmp_path))
    gone = ""
    dataset = ingest(parts, LINE, MemorySource(export_of(BOXES)), "coco").id
    gone = parts.files.put(export_of(BOXES)["L2/2_golden.png"])
    done = examine(parts, LINE, dataset)
    with pytest.raises(ValidationFailedError, match=r"(?s)image_files_stored.*L2/2\.png"):
        require_valid(parts, done.id)


def test_data_docs_are_kept_beside_the_result(parts: Parts, dataset: str) -> None:
    (result,) = parts.facts.find(ValidationResult, dataset_id=dataset)
    assert result.docs is not None
    assert parts.files.get(result.docs).startswith(b"<!DOCTYPE html>")


# Out to a labelling tool and back


def exported(parts: Parts, dataset: str, line: LineFile = LINE) -> dict[str, bytes]:
    return dict(export(parts, line, dataset, review_list(parts, dataset)))


def edited(parts: Parts, dataset: str, edit: Callable[[dict[str, Any]], None]) -> dict[str, bytes]:
    """Return the annotations alone, as a labelling tool gives them back."""
    document = json.loads(exported(parts, dataset)["coco/annotations.json"])
    edit(document)
    return {"annotations.json": json.dumps(document).encode()}


def bring(parts: Parts, source: dict[str, bytes], dataset: str, line: LineFile = LINE, **told: Any) -> Corrected:
    return bring_back(
        parts, line, source, dataset, **({"title": "memory", "actor": "kim", "reason": "looked at it"} | told)
    )


def told(done: Corrected) -> list[tuple[str, str]]:
    return [(image.name, str(box)) for image in done.changes.images for box in image.boxes]


def samples_of(parts: Parts, dataset: str) -> dict[str, Sample]:
    return {item.name: item for item in parts.facts.find(Sample, dataset_id=dataset)}


def drop_the_second(document: dict[str, Any]) -> None:
    del document["annotations"][1]


def test_the_export_holds_images_labels_pictures_and_the_list(parts: Parts, dataset: str) -> None:
    files = exported(parts, dataset)
    assert sorted(files) == [
        "coco/L1/0.png",
        "coco/L2/3.png",
        "coco/annotations.json",
        "pictures/0001-whole_image-3.png",
        "pictures/0002-duplicate-0.png",
        "pictures/0003-duplicate-0.png",
        "review.json",
        "suspicions.csv",
    ]
    assert files["coco/L1/0.png"] == export_of(BOXES)["L1/0.png"]
    document = json.loads(files["coco/annotations.json"])
    assert {"bridge", "excess", "missing", "particle", "scratch", "void"} == {
        category["name"] for category in document["categories"]
    }
    assert files["suspicions.csv"].startswith(BOM_UTF8), "without it Excel garbles names"
    rows_of_list = list(csv.DictReader(io.StringIO(files["suspicions.csv"].decode("utf-8-sig"))))
    assert [(row["image"], row["box"], row["suspicion"]) for row in rows_of_list] == [
        ("L2/3.png", "1", "whole_image"),
        ("L1/0.png", "1", "duplicate"),
        ("L1/0.png", "2", "duplicate"),
    ]
    assert all(row["picture"] in files for row in rows_of_list)


def test_an_export_brought_back_as_it_was_changes_nothing(parts: Parts, dataset: str) -> None:
    done = bring(parts, edited(parts, dataset, lambda _: None), dataset)
    assert (done.id, done.parent, done.changes.images) == (dataset, dataset, ())
    assert len(parts.facts.find(DatasetVersion)) == 1


def test_corrections_make_a_new_version_and_leave_everything_else_as_it_was(parts: Parts, dataset: str) -> None:
    done = bring(parts, edited(parts, dataset, drop_the_second), dataset)
    version, before = parts.facts.get(DatasetVersion, done.id), parts.facts.get(DatasetVersion, dataset)
    assert (version.number, version.parent) == (2, dataset)
    assert version.instances == {"excess": 2, "missing": 2}
    assert told(done) == [("L1/0.png", "removed excess (particle) [4, 4, 12, 12.25]")]
    old, new = samples_of(parts, dataset), samples_of(parts, done.id)
    assert {name for name in old if replace(new[name], dataset_id=dataset) != old[name]} == {"L1/0.png"}
    assert replace(new["L1/0.png"], dataset_id=dataset, boxes=old["L1/0.png"].boxes) == old["L1/0.png"]
    assert before == parts.facts.get(DatasetVersion, dataset)


def test_the_ledger_tells_who_corrected_what_and_why(parts: Parts, dataset: str) -> None:
    done = bring(parts, edited(parts, dataset, drop_the_second), dataset, actor="Lee", reason="drawn twice")
    (entry,) = parts.facts.ledger()
    assert (entry.kind, entry.subject, entry.actor, entry.reason) == ("corrected", done.id, "Lee", "drawn twice")
    assert entry.details["boxes"] == {"added": 0, "removed": 1, "moved": 0, "relabelled": 0}
    assert entry.details["first"] == [["L1/0.png", "removed excess (particle) [4, 4, 12, 12.25]"]]
    assert len(json.loads(parts.files.get(str(entry.details["changes"])))) == 1


def test_the_same_import_twice_changes_nothing_whichever_version_it_names(parts: Parts, dataset: str) -> None:
    source = edited(parts, dataset, drop_the_second)
    first = bring(parts, source, dataset)
    for again in (dataset, first.id):
        done = bring(parts, source, again)
        assert (done.id, done.changes.images) == (first.id, ())
    assert len(parts.facts.find(DatasetVersion)) == 2
    assert len(parts.facts.ledger()) == 1


def test_two_people_correct_different_images_of_one_export(parts: Parts, dataset: str) -> None:
    def shrink(document: dict[str, Any]) -> None:
        document["annotations"][2]["bbox"] = [20, 20, 10, 10]

    mine, theirs = edited(parts, dataset, drop_the_second), edited(parts, dataset, shrink)
    first = bring(parts, mine, dataset)
    second = bring(parts, theirs, dataset)
    assert second.parent == first.id
    assert [name for name, _ in told(second)] == ["L2/3.png"] * 2
    assert samples_of(parts, second.id)["L1/0.png"].boxes == samples_of(parts, first.id)["L1/0.png"].boxes


def test_the_same_image_corrected_otherwise_is_refused_and_named(parts: Parts, dataset: str) -> None:
    def drop_the_first(document: dict[str, Any]) -> None:
        del document["annotations"][0]

    mine, theirs = edited(parts, dataset, drop_the_second), edited(parts, dataset, drop_the_first)
    bring(parts, mine, dataset)
    with pytest.raises(SourceError, match=r"1 images were corrected otherwise.*L1/0\.png"):
        bring(parts, theirs, dataset)
    assert len(parts.facts.find(DatasetVersion)) == 2


def test_a_dry_run_tells_and_stores_nothing(parts: Parts, dataset: str) -> None:
    done = bring(parts, edited(parts, dataset, drop_the_second), dataset, dry=True)
    assert len(told(done)) == 1
    assert len(parts.facts.find(DatasetVersion)) == 1
    assert parts.facts.ledger() == []


def test_a_corrected_box_is_answered_and_its_version_keeps_only_what_is_left(parts: Parts, dataset: str) -> None:
    done = bring(parts, edited(parts, dataset, drop_the_second), dataset)
    examine(parts, LINE, done.id)
    assert [state.value for _, state in review_list(parts, dataset)] == ["open", "open", "corrected"]
    assert [item.kind for item, _ in review_list(parts, done.id)] == [Suspicion.WHOLE_IMAGE]


def test_a_missed_label_is_answered_by_the_box_drawn_there(parts: Parts, dataset: str) -> None:
    def draw(document: dict[str, Any]) -> None:
        number = document["annotations"][0]["image_id"]
        category = next(item["id"] for item in document["categories"] if item["name"] == "void")
        document["annotations"].append({"id": 99, "image_id": number, "category_id": category, "bbox": [30, 30, 8, 8]})

    add_items(parts, dataset, [suspected("L1/0.png", box=Box(31, 31, 39, 39))])
    add_items(parts, dataset, [suspected("L1/0.png", box=Box(50, 50, 60, 60))])
    done = bring(parts, edited(parts, dataset, draw), dataset)
    assert told(done) == [("L1/0.png", "added missing (void) [30, 30, 38, 38]")]
    states = {item.box.x1: state.value for item, state in review_list(parts, dataset) if item.kind is Suspicion.MISSED}
    assert states == {31: "corrected", 50: "open"}


def test_a_kept_box_is_told_in_the_ledger_and_stays_kept_in_later_versions(parts: Parts, dataset: str) -> None:
    whole = review_list(parts, dataset)[0][0]
    assert find_item(parts, whole.id.removeprefix("review-")[:8]) == whole
    assert keep(parts, whole, actor="kim", reason="the scratch does cross the die")
    assert not keep(parts, whole, actor="kim", reason="again")
    (entry,) = parts.facts.ledger()
    assert (entry.kind, entry.details["suspicion"]) == ("reviewed", "whole_image")
    done = bring(parts, edited(parts, dataset, drop_the_second), dataset)
    examine(parts, LINE, done.id)
    assert [state for _, state in review_list(parts, done.id)] == [ReviewState.KEPT]
    with pytest.raises(NotFoundError, match="review list"):
        find_item(parts, "zzzz")


@pytest.mark.parametrize(
    ("label", "signer", "signed"),
    [("smear", "", False), ("smear", "Lee", True), ("void", "", False), ("particle", "", True)],
)
def test_a_merge_that_comes_with_a_correction_needs_a_signature_of_its_own(
    parts: Parts, dataset: str, label: str, signer: str, signed: bool
) -> None:
    """The version that is corrected was signed, and shows particles and scratches alone."""
    line = line_of(
        group_by="group_by = []",
        map='map = [{ raw = "smear", defect_class = "excess", rationale = "something lies where nothing should" },',
        signed_by=f'signed_by = "{signer}"',
    )
    document = json.loads(exported(parts, dataset, line)["coco/annotations.json"])
    number = document["annotations"][0]["image_id"]
    category = next(item["id"] for item in document["categories"] if item["name"] == label)
    document["annotations"].append({"id": 99, "image_id": number, "category_id": category, "bbox": [30, 30, 8, 8]})
    done = bring(parts, {"annotations.json": json.dumps(document).encode()}, dataset, line)
    assert parts.facts.get(DatasetVersion, dataset).taxonomy_signed
    assert agreed(parts, parts.facts.get(DatasetVersion, done.id)) is signed


# What labelling tools do to an export


def test_rounded_corners_and_lost_outlines_are_no_correction(parts: Parts) -> None:
    source = export_of({"0.png": [("scratch", (0, 0, 64, 63.4567)), ("particle", (3.14159, 4.7, 21.333, 12.999))]})
    document = json.loads(source["annotations.json"])
    document["annotations"][1]["segmentation"] = [[3.2, 4.8, 21.2, 4.8, 21.2, 12.9, 5, 12]]
    dataset = ingest(parts, LINE, MemorySource(source | {"annotations.json": json.dumps(document).encode()}), "coco").id
    examine(parts, LINE, dataset)

    def rounded(document: dict[str, Any]) -> None:
        for item in document["annotations"]:
            item["bbox"] = [round(value, 2) for value in item["bbox"]]
            x, y, width, height = item["bbox"]
            item["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]

    assert bring(parts, edited(parts, dataset, rounded), dataset).changes.images == ()


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (lambda d: d["images"][0].update(file_name="elsewhere.png"), SourceError, r"elsewhere\.png.*not in the source"),
        (lambda d: d["categories"][0].update(name="stain"), TaxonomyError, "stain"),
        (lambda d: d["images"][0].update(width=32), SourceError, "32 x 64.*resized"),
        (lambda d: d["annotations"][0].update(category_id=77), SourceError, "77"),
        (lambda d: d["images"].append(dict(d["images"][0], id=77)), SourceError, "again"),
        (lambda d: d.pop("images"), SourceError, "COCO"),
    ],
)
def test_what_cannot_be_a_correction_is_refused_and_stores_nothing(
    parts: Parts, dataset: str, edit: Callable[[dict[str, Any]], None], error: type[Exception], message: str
) -> None:
    def change(document: dict[str, Any]) -> None:
        for category in document["categories"]:
            if category["name"] == "particle":
                document["categories"].remove(category)
                document["categories"].insert(0, category)
        edit(document)

    with pytest.raises(error, match=message):
        bring(parts, edited(parts, dataset, change), dataset)
    assert len(parts.facts.find(DatasetVersion)) == 1


def test_a_label_that_now_stands_for_another_class_is_refused(parts: Parts, dataset: str) -> None:
    text = LINE.text.replace('raw = "particle", defect_class = "excess"', 'raw = "particle", defect_class = "missing"')
    other = parse_line(text, LINE.path)
    with pytest.raises(TaxonomyError, match=r"'particle' stands for 'excess' in this version and for 'missing'"):
        bring(parts, edited(parts, dataset, drop_the_second), dataset, other)


# Properties

sides = st.floats(0, 60, width=32).map(lambda value: round(value, 3))
labelled = st.builds(
    lambda label, x, y, width, height: LabelledBox(label, label, Box(x, y, x + width, y + height)),
    st.sampled_from(LABELS), sides, sides, st.integers(1, 30), st.integers(1, 30),
)  # fmt: skip


def raw(*boxes: LabelledBox) -> RawSample:
    return RawSample("a", tuple(RawBox(box.raw_label, box.box, box.polygon) for box in boxes), size=(99, 99))


def held(*boxes: LabelledBox, name: str = "a") -> Sample:
    return Sample("d", 0, name, "1" * 64, None, 99, 99, boxes, {"lot": "7"})


@settings(max_examples=100, deadline=None)
@given(st.lists(labelled, max_size=6), st.lists(labelled, max_size=6), st.randoms())
def test_the_new_version_holds_the_boxes_of_the_export_to_within_rounding(
    old: list[LabelledBox], new: list[LabelledBox], random: Any
) -> None:
    shuffled = [*random.sample(old, k=random.randint(0, len(old))), *new]
    random.shuffle(shuffled)
    before = [held(*old), held(*old, name="b")]
    made = correct(before, before, [raw(*shuffled)], dict(zip(LABELS, LABELS, strict=True)))
    assert made.samples[1] is before[1]
    assert Counter(box.raw_label for box in made.samples[0].boxes) == Counter(box.raw_label for box in shuffled)
    for box in made.samples[0].boxes:
        nearest = min(
            max(abs(a - b) for a, b in zip(box.box.as_tuple(), other.box.as_tuple(), strict=True))
            for other in shuffled
            if other.raw_label == box.raw_label
        )
        assert nearest <= ROUNDED_PX
    again = correct(made.samples, made.samples, [raw(*shuffled)], dict(zip(LABELS, LABELS, strict=True)))
    assert again.changes.images == ()
    if Counter(shuffled) == Counter(old):
        assert made.samples == tuple(before)
