"""The review list: what comes onto it, how it is answered, and what a corrected export changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import rows
from tests.unit.memory_source import MemorySource, picture
from tests.unit.small_line import line_of, parts_in
from wafergate.adapters.memory import MemoryFiles
from wafergate.domain.geometry import Box
from wafergate.domain.review import Answer, ReviewAnswer, ReviewState, Suspected, Suspicion, item_of, standing
from wafergate.domain.samples import ValidationResult
from wafergate.errors import ValidationFailedError
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Parts
from wafergate.jobs.review import add_items, review_list
from wafergate.jobs.validate import examine, require_valid

pytestmark = pytest.mark.unit

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
    line = line_of(group_by="group_by = []")
    made = ingest(parts, line, MemorySource(export_of(BOXES)), "coco").id
    examine(parts, line, made)
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

    line, parts = line_of(group_by="group_by = []"), parts_in(tmp_path, files=Forgetful(tmp_path))
    gone = ""
    dataset = ingest(parts, line, MemorySource(export_of(BOXES)), "coco").id
    gone = parts.files.put(export_of(BOXES)["L2/2_golden.png"])
    done = examine(parts, line, dataset)
    with pytest.raises(ValidationFailedError, match=r"(?s)image_files_stored.*L2/2\.png"):
        require_valid(parts, done.id)


def test_data_docs_are_kept_beside_the_result(parts: Parts, dataset: str) -> None:
    (result,) = parts.facts.find(ValidationResult, dataset_id=dataset)
    assert result.docs is not None
    assert parts.files.get(result.docs).startswith(b"<!DOCTYPE html>")
