"""The same content is the same dataset version, whatever holds it while it is taken in."""

import json
from pathlib import Path

import pytest

from tests.unit.exports import OBJECT, VOC, Files, coco_export, masked_export, pcb_export, voc_export, yolo_export
from tests.unit.memory_source import MemorySource, picture
from tests.unit.small_line import parts_in
from wafergate.domain.identity import canonical_json, digest_bytes
from wafergate.domain.samples import DatasetVersion, Quarantined, Sample
from wafergate.jobs.ingest import ingest
from wafergate.line import parse_line

pytestmark = pytest.mark.unit

LINE = """
[line]
name = "odd"
classes = ["pit", "open", "short", "mousebite", "spur", "copper", "pin-hole"]
[intake]
pattern = "(?P<kind>good|bad)"
"""
TABLE = "name,lot,reference\ngood.png,L1,gold.png\nbad.png,L2,\nlost.png,L3,\n"
SETS: dict[str, Files] = {
    "coco": coco_export() | {"metadata.csv": TABLE, "gold.png": picture(), "extra.png": picture()},
    "yolo": yolo_export("0 .5 .5 .1 .1\n0 .1 .1 .2 .2 .3 .1") | {"labels/lost.txt": ""},
    "voc": voc_export(VOC.format(file="bad.png", body=OBJECT.format(1, 2, 3, 4))),
    "deeppcb": pcb_export("1 2 3 4 5") | {"trainval.txt": "g/n/lost.jpg g/n_not/lost.txt"},
    "masks": masked_export(picture()) | {"pit/new.jpg": picture(suffix=".jpg")},
}


def grey(place: int) -> bytes:
    """Return a grey image whose bytes no library decides about."""
    return b"P5 8 6 255\n" + bytes((place * 7 + pixel) % 251 for pixel in range(48))


def drawn(images: int, *, reverse: bool) -> Files:
    """Return a COCO export of many images, most with boxes, its images first or, in reverse, its annotations."""
    rows = [
        {"id": place, "file_name": f"L{place % 3}/{place:04d}.pgm", "station": f"S{place % 2}"}
        for place in range(images)
    ]
    boxes = [
        {"id": place, "image_id": place % images, "category_id": place % 2, "bbox": [1, 1.5, place % 5 + 1, 2]}
        for place in range(images + images // 2)
        if place % 7
    ]
    categories = [{"id": 0, "name": "pit"}, {"id": 1, "name": "open"}]
    document = (
        {"annotations": boxes, "categories": categories, "images": rows[::-1]}
        if reverse
        else {"images": rows, "annotations": boxes, "categories": categories}
    )
    return {"a.json": json.dumps(document)} | {f"L{place % 3}/{place:04d}.pgm": grey(place) for place in range(images)}


@pytest.mark.parametrize(("images", "known"), [(5, "data-b0e9fa85c1ab6e84"), (1203, "data-e0a01322701da845")])
def test_the_id_of_a_content_stays_what_it_was(tmp_path: Path, images: int, known: str) -> None:
    """These ids were given by intake when it held a whole set in memory."""
    line = parse_line(LINE, tmp_path / "odd.toml")
    for reverse in (False, True):
        parts = parts_in(tmp_path / str(reverse))
        assert ingest(parts, line, MemorySource(drawn(images, reverse=reverse)), "coco").id == known


@pytest.mark.parametrize("name", sorted(SETS))
def test_the_id_is_made_from_the_text_of_all_samples_in_the_order_of_their_names(tmp_path: Path, name: str) -> None:
    parts, line = parts_in(tmp_path), parse_line(LINE, tmp_path / "odd.toml")
    done = ingest(parts, line, MemorySource(SETS[name]), name)
    samples = sorted(parts.facts.find(Sample, dataset_id=done.id), key=lambda sample: sample.position)
    assert [sample.name for sample in samples] == sorted(sample.name for sample in samples)
    content = json.loads(canonical_json(samples))
    for row in content:
        row["dataset_id"] = ""
    text = canonical_json(["odd", content, line.taxonomy, line.intake.licence, sorted(line.classes)])
    assert done.id == f"data-{digest_bytes(text.encode())[:16]}"
    version = parts.facts.get(DatasetVersion, done.id)
    assert version.images == len(samples)
    assert version.quarantined == len(parts.facts.find(Quarantined))
    assert sum(version.instances.values()) == sum(len(sample.boxes) for sample in samples)
