"""Inspection chunk by chunk: nothing twice, nothing lost; results for other tools."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.die_lots import (
    LINE,
    Files,
    drawn,
    golden_of,
    lot_of,
    nothing,
    pauses,
    stored,
    whole,
    with_champion,
)
from tests.unit.memory_source import MemorySource
from tests.unit.small_line import line_of, open_contrast
from wafergate.domain.evaluation import Detections
from wafergate.domain.gate import LedgerKind
from wafergate.domain.identity import digest_bytes
from wafergate.domain.inspection import InspectedImage, InspectionRun
from wafergate.domain.quarantine import Released
from wafergate.domain.samples import RawSample
from wafergate.domain.training_rows import ModelVersion
from wafergate.errors import NotFoundError
from wafergate.formats import READERS, ReadOptions
from wafergate.jobs.follow import follow
from wafergate.jobs.inspect_lot import ChunkDone, Inspected, inspect_chunk, inspect_lot, open_inspector
from wafergate.jobs.parts import Parts
from wafergate.jobs.promote import champion_model
from wafergate.jobs.results import images_of_runs, show_lot, write_coco, write_csv, write_pictures
from wafergate.ports import Detector, LedgerDraft

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return drawn(tmp_path_factory.mktemp("dies"))


@pytest.fixture(scope="module")
def champion(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Every test inspects a lot of its own."""
    return with_champion(tmp_path_factory.mktemp("line"), files)


def told(image: InspectedImage) -> tuple[object, ...]:
    return image.name, image.image, image.detections, image.weak


def counting(parts: Parts, *, fails_after: int = 10**6) -> tuple[Parts, list[int]]:
    """Return the parts with a detector that tells how many images it saw, and breaks after some."""
    seen: list[int] = []

    def load(model: ModelVersion, onnx: Path) -> Detector:
        detector = open_contrast(model, onnx)

        def detect(images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
            if sum(seen) >= fails_after:
                message = "the power went off"
                raise OSError(message)
            seen.append(len(images))
            return detector(images, min_score=min_score)

        return detect

    return replace(parts, load_detector=load), seen


def test_chunks_of_any_size_find_the_same(champion: Parts, files: Files) -> None:
    found = []
    for chunk in (4, 100):
        lot, pictures = lot_of(files, 10)
        done = inspect_lot(champion, line_of(), MemorySource(pictures), "images", chunk=chunk)
        assert (len(done.runs), done.new, len(done.names)) == (-(-10 // chunk), 10, 10)
        found.append([(Path(image.name).name, *told(image)[1:]) for image in stored(champion, lot)])
    assert sorted(found[0]) == sorted(found[1])


def test_every_image_is_told_once_an_unreadable_one_too(champion: Parts, files: Files) -> None:
    _, pictures = lot_of(files, 10)
    told_of: list[tuple[str, int, int]] = []
    spoilt = pictures | {next(name for name in pictures if "_golden" not in name): b"no picture"}
    done = inspect_lot(
        champion, line_of(), MemorySource(spoilt), "images", chunk=4, progress=lambda *said: told_of.append(said)
    )
    inspected = [said for said in told_of if said[0] == "inspecting images"]
    assert done.refused == 1
    assert len(set(inspected)) == len(inspected)
    assert [said[1:] for said in inspected if said[1] in {4, 8, 10}] == [(4, 10), (8, 10), (10, 10)]


def test_chunks_worked_off_by_others_are_those_of_the_line_and_the_champion(champion: Parts, files: Files) -> None:
    handed: list[tuple[str, int]] = []
    lot, pictures = lot_of(files, 10)
    source = MemorySource(pictures)

    def hands(
        model_id: str, chunks: Iterable[Sequence[RawSample]], once: bool, released: Released
    ) -> Iterator[ChunkDone]:
        inspector = open_inspector(champion, line_of(), champion.facts.get(ModelVersion, model_id))
        for chunk in chunks:
            handed.append((model_id, len(chunk)))
            yield inspect_chunk(champion, line_of(), source, inspector, chunk, once=once, released=released)

    done = inspect_lot(champion, line_of(), source, "images", chunk=4, hands=hands)
    model = champion_model(champion, LINE).id
    assert handed == [(model, 4), (model, 4), (model, 2)]
    assert (len(done.runs), done.new, len(stored(champion, lot))) == (3, 10, 10)
    assert inspect_lot(champion, line_of(), source, "images", chunk=4).reused


def test_a_second_time_adds_nothing_whatever_the_chunks_are(champion: Parts, files: Files) -> None:
    lot, pictures = lot_of(files, 9)
    first = inspect_lot(champion, line_of(), MemorySource(pictures), "images", chunk=4)
    before = stored(champion, lot)
    blind, seen = counting(champion)
    for chunk in (4, 5, 100):
        again = inspect_lot(blind, line_of(), MemorySource(pictures), "images", chunk=chunk)
        assert (again.new, again.reused, set(again.runs), again.names) == (0, True, set(first.runs), first.names)
    assert seen == []
    assert stored(champion, lot) == before


def test_a_run_that_was_killed_does_only_what_is_missing(champion: Parts, files: Files) -> None:
    lot, pictures = lot_of(files, 12)
    dying, _ = counting(champion, fails_after=8)
    with pytest.raises(OSError, match="the power went off"):
        inspect_lot(dying, line_of(), MemorySource(pictures), "images", chunk=4)
    assert len(stored(champion, lot)) == 8
    going_on, seen = counting(champion)
    done = inspect_lot(going_on, line_of(), MemorySource(pictures), "images", chunk=4)
    assert (sum(seen), done.new, len(done.names), len(done.runs)) == (4, 4, 12, 3)
    assert len({image.name for image in stored(champion, lot)}) == len(stored(champion, lot)) == 12


def test_another_picture_under_a_name_is_another_part(champion: Parts, files: Files) -> None:
    lot, pictures = lot_of(files, 2)
    inspect_lot(champion, line_of(), MemorySource(pictures), "images")
    first, second = sorted(name for name in pictures if "_golden" not in name)
    changed = pictures | {first: pictures[second], first.replace(".png", "_golden.png"): golden_of(pictures, second)}
    assert inspect_lot(champion, line_of(), MemorySource(changed), "images").new == 1
    assert len(stored(champion, lot)) == 3


def test_weak_detections_lie_between_half_the_threshold_and_the_threshold(champion: Parts, files: Files) -> None:
    lot, pictures = lot_of(files, 40)
    done = inspect_lot(champion, line_of(), MemorySource(pictures), "images")
    thresholds = champion.facts.get(ModelVersion, champion.facts.get(InspectionRun, done.id).model_id).thresholds
    images = stored(champion, lot)
    assert all(score >= thresholds[name] for image in images for name, score, *_ in image.detections)
    assert all(thresholds[name] / 2 <= score < thresholds[name] for image in images for name, score, *_ in image.weak)
    assert all(image.novelty is None or image.novelty >= 0 for image in images)


def test_metadata_tell_lot_station_and_time_of_capture(champion: Parts, files: Files) -> None:
    _, pictures = lot_of(files, 3)
    names = sorted(name for name in pictures if "_golden" not in name)
    times = ("2026-02-03T04:05:06+09:00", "2026-02-03T04:05:06", "yesterday")
    table = "name,lot,station,captured_at\n" + "".join(
        f"{name},L7,AOI-2,{moment}\n" for name, moment in zip(names, times, strict=True)
    )
    done = inspect_lot(champion, line_of(), MemorySource(pictures | {"metadata.csv": table}), "images")
    images = {image.name: image for image in champion.inspections.images(line=LINE, run_id=done.id)}
    assert {(image.lot, image.station) for image in images.values()} == {("L7", "AOI-2")}
    captured = [images[name].captured_at for name in names]
    assert captured[0] == datetime(2026, 2, 2, 19, 5, 6, tzinfo=UTC)
    assert captured[1] == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert captured[2] == champion.facts.get(InspectionRun, done.id).created_at
    summary = show_lot(champion, line=LINE, lot="L7")
    assert summary.defective.trials == 3
    assert summary.defective.hits == sum(bool(image.detections) for image in images.values())
    assert summary.defective.lower <= summary.defective.hits / 3 <= summary.defective.upper
    with pytest.raises(NotFoundError, match="no inspected image of lot 'L8'"):
        show_lot(champion, line=LINE, lot="L8")


def test_results_come_back_through_the_readers_of_other_tools(champion: Parts, files: Files, tmp_path: Path) -> None:
    lot, pictures = lot_of(files, 30)
    inspect_lot(champion, line_of(), MemorySource(pictures), "images", chunk=16)
    done = inspect_lot(champion, line_of(), MemorySource(pictures), "images", chunk=16)
    images = images_of_runs(champion, LINE, done)
    assert [told(image) for image in images] == sorted(map(told, stored(champion, lot)))
    write_coco(champion, images, tmp_path / "out" / "found.json")
    write_csv(images, tmp_path / "out" / "found.csv")
    source = MemorySource({**pictures, "found.json": (tmp_path / "out" / "found.json").read_bytes()})
    read = {
        item.name: item
        for item in READERS["coco"](source, ReadOptions(reference="{folder}/{stem}_golden{suffix}")).samples
    }
    for image in images:
        boxes = read[image.name].boxes
        assert [box.label for box in boxes] == [name for name, *_ in image.detections]
        for box, (_, _, *sides) in zip(boxes, image.detections, strict=True):
            assert [box.box.x1, box.box.y1, box.box.x2, box.box.y2] == pytest.approx(sides)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "found.csv").read_text("utf-8-sig"))))
    assert [row["name"] for row in rows if row["class"]] == [i.name for i in images for _ in i.detections]
    assert {row["name"] for row in rows} == {image.name for image in images}
    assert write_pictures(champion, images, tmp_path / "pictures", most=5) == 5
    written = sorted((tmp_path / "pictures").iterdir())
    assert len(written) == 5
    strongest = max(
        images, key=lambda image: (len(image.detections), max((s for _, s, *_ in image.detections), default=0))
    )
    assert Path(strongest.name).stem in written[0].name
    drawn = cv2.imread(str(written[0]))
    assert drawn is not None
    assert (drawn != champion.decode(champion.files.get(strongest.image))).any()


def test_the_written_coco_holds_images_without_defects_too(champion: Parts, files: Files, tmp_path: Path) -> None:
    _, pictures = lot_of(files, 60)
    done = inspect_lot(champion, line_of(), MemorySource(pictures), "images")
    images = images_of_runs(champion, LINE, done)
    write_coco(champion, images, tmp_path / "all.json")
    document = json.loads((tmp_path / "all.json").read_text())
    assert len(document["images"]) == len(images) > len({item["image_id"] for item in document["annotations"]})
    assert {(item["width"], item["height"]) for item in document["images"]} == {(96, 96)}


def test_what_was_dropped_is_not_inspected_again(champion: Parts, files: Files) -> None:
    lot, pictures = lot_of(files, 3)
    names = sorted(name for name in pictures if "_golden" not in name)
    table = "name,captured_at\n" + "".join(f"{name},2026-01-15\n" for name in names[:2])
    source = MemorySource(pictures | {"metadata.csv": table.encode()})
    first = inspect_lot(champion, line_of(), source, "images")
    sums = champion.inspections.days(LINE)
    draft = LedgerDraft(LINE, LedgerKind.DROPPED, LINE, "kim", "policy", {})
    assert champion.inspections.retain(LINE, before=date(2026, 2, 1), ledger=lambda _: draft)
    again = inspect_lot(champion, line_of(), source, "images")
    assert (again.new, again.images) == (0, first.images)
    assert champion.inspections.days(LINE) == sums
    assert [image.name for image in images_of_runs(champion, LINE, again)] == names[2:]
    assert [image.name for image in stored(champion, lot)] == names[2:]


def test_of_two_inspections_at_once_each_image_is_saved_once(champion: Parts, files: Files) -> None:
    lot, pictures = lot_of(files, 10)
    source = MemorySource(pictures)
    others: list[Inspected] = []

    def load(model: ModelVersion, onnx: Path) -> Detector:
        detector = open_contrast(model, onnx)

        def detect(images: Sequence[NDArray[np.uint8]], *, min_score: float) -> list[Detections]:
            if not others:  # while the first one is at work
                others.append(inspect_lot(champion, line_of(), source, "images", chunk=3, limit=5))
            return detector(images, min_score=min_score)

        return detect

    done = inspect_lot(replace(champion, load_detector=load), line_of(), source, "images", chunk=4)
    assert (others[0].new, done.new, len(done.images)) == (5, 5, 10)
    images = stored(champion, lot)
    assert len(images) == len({image.name for image in images}) == 10
    assert {(image.name, image.image): image.run_id for image in images} == done.images
    runs = [champion.facts.get(InspectionRun, run) for run in done.runs]
    assert sum(run.images for run in runs) == 10
    assert sum(run.defective for run in runs) == sum(bool(image.detections) for image in images)


def test_a_corrected_golden_reference_makes_its_image_new(champion: Parts, files: Files) -> None:
    lot, pictures = lot_of(files, 4)
    first, second = sorted(name for name in pictures if "_golden" not in name)[:2]
    before = inspect_lot(champion, line_of(), MemorySource(pictures), "images")
    corrected = pictures | {first.replace(".png", "_golden.png"): pictures[second]}
    done = inspect_lot(champion, line_of(), MemorySource(corrected), "images")
    assert (done.new, done.names) == (1, before.names)
    seen = [image for image in stored(champion, lot) if image.name == first]
    assert {image.reference for image in seen} == {
        digest_bytes(pictures[first.replace(".png", "_golden.png")]),
        digest_bytes(pictures[second]),
    }
    again = inspect_lot(champion, line_of(), MemorySource(corrected), "images", chunk=3)
    assert again.images == done.images
    told_last = {image.name: image for image in images_of_runs(champion, LINE, again)}
    assert len(told_last) == 4
    assert told_last[first].reference == digest_bytes(pictures[second])
    places = [pictures, corrected]
    followed = follow(
        champion, line_of(), lambda: whole(places[-1]), "images", pause=pauses(nothing, lambda: places.append(pictures))
    )
    assert followed.new == 0, "both were inspected"


def test_images_of_one_name_from_two_folders_are_two_parts_of_a_lot(champion: Parts, files: Files) -> None:
    _, pictures = lot_of(files, 2)
    names = sorted(name for name in pictures if "_golden" not in name)
    for name in names:
        table = b"name,lot\n001.png,TWO\n"
        sides = {"001.png": pictures[name], "001_golden.png": golden_of(pictures, name), "metadata.csv": table}
        inspect_lot(champion, line_of(), MemorySource(sides), "images")
    assert show_lot(champion, line=LINE, lot="TWO").defective.trials == 2


def test_an_older_run_tells_nothing_of_a_file_that_was_replaced(champion: Parts, files: Files) -> None:
    _, pictures = lot_of(files, 3)
    first, second, third = sorted(name for name in pictures if "_golden" not in name)
    inspect_lot(champion, line_of(), MemorySource(pictures), "images")
    replaced = pictures | {
        first: pictures[second],
        first.replace(".png", "_golden.png"): golden_of(pictures, second),
    }
    done = inspect_lot(champion, line_of(), MemorySource(replaced), "images")
    images = images_of_runs(champion, LINE, done)
    assert [(image.name, image.image) for image in images] == [
        (name, digest_bytes(replaced[name])) for name in (first, second, third)
    ]


def test_a_table_for_people_is_utf_8_to_excel_and_no_name_of_it_runs(champion: Parts, tmp_path: Path) -> None:
    image = InspectedImage(
        run_id="r", position=0, line=LINE, model_id="m", name="=HYPERLINK(1).png", image="ab" * 32, lot="@로트",
        captured_at=datetime(2026, 3, 1, tzinfo=UTC), detections=(("scratch", 0.5, -0.25, 1.0, 2.0, 3.0),),
    )  # fmt: skip
    write_csv([image], tmp_path / "found.csv")
    assert (tmp_path / "found.csv").read_bytes().startswith(b"\xef\xbb\xbfname,")
    (row,) = csv.DictReader(io.StringIO((tmp_path / "found.csv").read_text("utf-8-sig")))
    assert (row["name"], row["lot"], row["x1"]) == ("'=HYPERLINK(1).png", "'@로트", "-0.2")
