"""What cannot enter, what stops the thread, and what is said of it."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.unit.jobs.dies import Files, annotations
from tests.unit.memory_source import MemorySource, picture
from tests.unit.small_line import line_of, run_thread
from wafergate.adapters.images import Examiner
from wafergate.domain.samples import DatasetVersion, ImageRecord, Quarantined, QuarantineReason, Sample
from wafergate.domain.splits import LeakProof, Split
from wafergate.domain.validation_rows import ValidationResult
from wafergate.errors import ConfigError, SourceError, SplitError, TaxonomyError, ValidationFailedError
from wafergate.jobs.examine import examine_files
from wafergate.jobs.ingest import ingest
from wafergate.jobs.parts import Parts
from wafergate.jobs.split import require_clean
from wafergate.jobs.validate import validate
from wafergate.ports import ImageExaminer

pytestmark = pytest.mark.unit


def relabelled(files: Files, change: Callable[[dict[str, Any]], None]) -> Files:
    document = annotations(files)
    change(document)
    return files | {"annotations.json": json.dumps(document).encode()}


def spoilt(files: Files, name: str) -> dict[str, tuple[Files, str, QuarantineReason, str]]:
    """Return, by case: the files with one image spoilt, the path set aside, its reason and words of its detail."""
    golden, stem = name.replace(".png", "_golden.png"), name.rpartition("/")[2]

    def resized(document: dict[str, Any]) -> None:
        next(image for image in document["images"] if image["file_name"] == stem).update(width=50)

    return {
        "no image": (files | {name: b"no image at all"}, name, QuarantineReason.UNREADABLE_IMAGE, ""),
        "cut short": (files | {name: files[name][:200]}, name, QuarantineReason.UNREADABLE_IMAGE, ""),
        "missing": (
            {k: v for k, v in files.items() if k != name},
            stem,
            QuarantineReason.LABEL_WITHOUT_IMAGE,
            "not in",
        ),
        "no reference": (
            {k: v for k, v in files.items() if k != golden},
            name,
            QuarantineReason.MISSING_IMAGE,
            "golden reference",
        ),
        "broken reference": (files | {golden: b"?"}, name, QuarantineReason.MISSING_IMAGE, "did not enter"),
        "small reference": (files | {golden: picture(96, 95)}, name, QuarantineReason.REFERENCE_MISMATCH, "96 x 95"),
        "other size": (relabelled(files, resized), name, QuarantineReason.SIZE_MISMATCH, "50 x 96"),
    }


@pytest.mark.parametrize(
    "case", ["no image", "cut short", "missing", "no reference", "broken reference", "small reference", "other size"]
)
def test_what_cannot_enter_is_set_aside_with_its_reason_and_the_rest_goes_on(
    files: Files, parts: Parts, case: str
) -> None:
    name = f"images/{annotations(files)['images'][0]['file_name']}"
    spoilt_files, path, reason, words = spoilt(files, name)[case]
    first = ingest(parts, line_of(), MemorySource(spoilt_files), "coco")
    version = parts.facts.get(DatasetVersion, first.id)
    assert version.images == len(annotations(files)["images"]) - 1
    assert name not in {sample.name for sample in parts.facts.find(Sample, dataset_id=first.id)}
    held = {row.path: row for row in parts.facts.find(Quarantined)}
    assert held[path].reason is reason
    assert words in held[path].detail
    assert version.quarantined == len(held)
    again = ingest(parts, line_of(), MemorySource(spoilt_files), "coco")
    assert again == (first.id, True)
    assert len(parts.facts.find(Quarantined)) == len(held)


def test_large_images_are_examined_one_at_a_time(parts: Parts) -> None:
    at_once, most = 0, 0
    lock = threading.Lock()

    def examiner(max_pixels: int) -> ImageExaminer:
        look = Examiner(max_pixels=max_pixels)

        def examine(data: bytes, *, now: datetime, name: str = "") -> ImageRecord:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            record = look(data, now=now, name=name)
            with lock:
                at_once -= 1
            return record

        return examine

    large: Files = {f"{place}.png": picture(3000, 2700, level=place) for place in range(6)}
    found = examine_files(replace(parts, examiner=examiner), line_of(), MemorySource(large), sorted(large))
    assert (len(found.records), len(found.refused), most) == (6, 0, 1)


def test_a_source_of_which_nothing_can_enter_makes_no_version_and_says_why(files: Files, parts: Parts) -> None:
    broken = {name: data if name.endswith(".json") else b"broken" for name, data in files.items()}
    with pytest.raises(SourceError, match=r"memory holds no image that can enter line 'dies'; refused: images/L001"):
        ingest(parts, line_of(), MemorySource(broken), "coco")
    assert parts.facts.find(DatasetVersion) == []


def test_an_unknown_format_names_those_there_are(files: Files, parts: Parts) -> None:
    with pytest.raises(ConfigError, match="coco, deeppcb, images, masks, voc, yolo; found 'tiff'"):
        ingest(parts, line_of(), MemorySource(files), "tiff")


def test_all_unknown_labels_are_named_at_once_and_nothing_is_stored(files: Files, parts: Parts) -> None:
    def rename(document: dict[str, Any]) -> None:
        document["categories"][0]["name"], document["categories"][3]["name"] = "dirt", "hole"

    with pytest.raises(TaxonomyError, match=r"'dirt', 'hole'.*map it in \[taxonomy\]"):
        ingest(parts, line_of(), MemorySource(relabelled(files, rename)), "coco")
    assert not parts.facts.find(DatasetVersion)
    assert not parts.facts.find(Quarantined)


def test_an_error_level_finding_stops_is_named_and_is_stored(files: Files, parts: Parts) -> None:
    def move(document: dict[str, Any]) -> None:
        document["annotations"][0]["bbox"] = [80, 80, 40, 10]

    name = annotations(files)["images"][annotations(files)["annotations"][0]["image_id"] - 1]["file_name"]
    dataset = ingest(parts, line_of(), MemorySource(relabelled(files, move)), "coco")
    for _ in range(2):
        with pytest.raises(ValidationFailedError, match=rf"(?s)box_inside_image.*{name}"):
            validate(parts, line_of(), dataset.id)
    (stored,) = parts.facts.find(ValidationResult)
    assert not stored.success
    assert [item.expectation for item in stored.findings if item.severity == "error" and not item.success] == [
        "box_inside_image"
    ]


def test_a_class_too_rare_to_split_stops_and_names_it(files: Files, parts: Parts) -> None:
    def keep_few(document: dict[str, Any]) -> None:
        rare = [a["id"] for a in document["annotations"] if a["category_id"] in {1, 3}]
        document["annotations"] = [a for a in document["annotations"] if a["id"] not in rare[4:]]

    with pytest.raises(SplitError, match="excess"):
        run_thread(parts, line_of(), MemorySource(relabelled(files, keep_few)))
    assert parts.facts.find(Split) == []


def test_what_would_stand_on_two_sides_is_refused_with_an_example() -> None:
    require_clean(LeakProof(9, 0, {"same_group": 0}))
    proof = LeakProof(9, 2, {"same_group": 2, "parent": 0}, ("same_group: train a.png and test b.png",))
    with pytest.raises(SplitError, match=r"found 2 pairs \(same_group 2\).*a\.png and test b\.png"):
        require_clean(proof)
    tiles = LeakProof(9, 1, {"same_group": 0, "overlap": 1}, ("overlap: test a.png#0 and test a.png#1",))
    with pytest.raises(SplitError, match=r"or judge twice; found 1 pair \(overlap 1\).*wafergate tile --overlap 0"):
        require_clean(tiles)
