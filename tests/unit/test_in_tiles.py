"""Inspection tile by tile: what tiles say comes back in the image's pixels, each defect once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.memory_source import MemorySource
from tests.unit.small_line import line_of, open_contrast, parts_in
from wafergate.domain.evaluation import Detections
from wafergate.domain.geometry import Box
from wafergate.domain.novelty import ModelReference
from wafergate.domain.samples import DatasetVersion, Sample
from wafergate.domain.tiling import TilePolicy, tile_windows
from wafergate.domain.training_rows import ModelVersion
from wafergate.formats.embeddings import read_embeddings
from wafergate.formats.predictions import read_predictions
from wafergate.jobs.augment import augment
from wafergate.jobs.decide import decide
from wafergate.jobs.evaluate import evaluate
from wafergate.jobs.ingest import ingest
from wafergate.jobs.inspect_lot import inspect_lot
from wafergate.jobs.novelty import refer
from wafergate.jobs.promote import promote
from wafergate.jobs.split import split
from wafergate.jobs.tile import tile
from wafergate.jobs.train import train
from wafergate.jobs.validate import validate
from wafergate.jobs.versions import taught_on
from wafergate.sample.generate import Batch, write_sample
from wafergate.stages.merge_tiles import in_tiles, merge_tiles

pytestmark = pytest.mark.unit


def paint_finder(images, *, min_score):
    """Return the bounding box of what is painted, one detection for each of the values 1 and 2."""
    results = []
    for image in images:
        found = []
        for value in (1, 2):
            rows, columns = np.nonzero(image[:, :, 0] == value)
            if len(rows):
                box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                found.append((box, 0.5 + 0.1 * value, value - 1))
        found.sort(key=lambda item: -item[1])
        boxes, scores, classes = zip(*found, strict=True) if found else ((), (), ())
        results.append(
            Detections(
                np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(classes, np.int64)
            )
        )
    return results


@given(st.integers(0, 80), st.integers(0, 60), st.integers(1, 16), st.integers(1, 16))
def test_a_defect_no_larger_than_the_overlap_is_found_once_and_whole(x, y, width, height):
    policy = TilePolicy(2, 3, overlap=16)
    image = np.zeros((80, 100, 3), np.uint8)
    image[y : y + height, x : x + width] = 1
    (said,) = in_tiles(paint_finder, policy)([image], min_score=0)
    right, bottom = min(x + width, 100), min(y + height, 80)
    assert [x, y, right, bottom] in said.boxes.tolist(), "some tile shows all of it"
    pixels = (right - x) * (bottom - y)
    parts = [box for box in said.boxes.tolist() if box != [x, y, right, bottom]]
    assert not parts, f"parts of its {pixels} pixels lie inside it"


def test_neighbouring_defects_and_other_classes_stay_apart():
    windows = [window for _, _, window in tile_windows(TilePolicy(1, 2, overlap=20), 100, 60)]
    near = np.array([[40, 0, 50, 10], [40, 8, 50, 18]], np.float32)
    one = Detections(near, np.array([0.9, 0.8], np.float32), np.zeros(2, int))
    other = Detections(np.array([[0, 0, 10, 10]], np.float32), np.array([0.95], np.float32), np.ones(1, int))
    said = merge_tiles(windows, [one, other])
    assert said.scores.tolist() == pytest.approx([0.95, 0.9, 0.8])
    assert said.boxes[0].tolist() == [40, 0, 50, 10]


def test_the_higher_score_and_the_larger_box_stand_for_a_defect_seen_twice():
    windows = [Box(0, 0, 60, 60), Box(40, 0, 100, 60)]
    part = Detections(np.array([[45, 5, 60, 25]], np.float32), np.array([0.9], np.float32), np.zeros(1, int))
    whole = Detections(np.array([[5, 5, 35, 25]], np.float32), np.array([0.6], np.float32), np.zeros(1, int))
    said = merge_tiles(windows, [part, whole])
    assert said.boxes.tolist() == [[45, 5, 75, 25]]
    assert said.scores.tolist() == pytest.approx([0.9])


def seen(*rows):
    """Return detections of class 0 from rows of x1, y1, x2, y2, score."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(table[:, :4], table[:, 4], np.zeros(len(table), np.int64))


def test_of_a_defect_that_two_tiles_saw_whole_the_surer_box_stays_and_loose_ones_gain_nothing():
    windows = [Box(0, 0, 200, 100), Box(100, 0, 300, 100)]
    first = seen((120, 30, 140, 50, 0.9), (112, 20, 150, 62, 0.02))
    said = merge_tiles(windows, [first, seen((21, 31, 41, 51, 0.95))])
    assert said.boxes.tolist() == [[121, 31, 141, 51], [112, 20, 150, 62]]
    assert said.scores.tolist() == pytest.approx([0.95, 0.02])


def test_a_small_defect_is_not_swallowed_by_a_large_faint_box_of_another_tile():
    windows = [Box(0, 0, 200, 100), Box(100, 0, 300, 100)]
    said = merge_tiles(windows, [seen((80, 5, 188, 95, 0.15)), seen((40, 40, 50, 50, 0.95))])
    assert said.boxes.tolist() == [[140, 40, 150, 50], [80, 5, 188, 95]]
    assert said.scores.tolist() == pytest.approx([0.95, 0.15])


def test_a_part_that_ends_short_of_its_tiles_edge_by_a_little_is_still_a_part():
    windows = [Box(0, 0, 200, 100), Box(100, 0, 300, 100)]
    said = merge_tiles(windows, [seen((150, 30, 197, 50, 0.9)), seen((51, 30, 150, 50, 0.5))])
    assert said.boxes.tolist() == [[151, 30, 250, 50]]
    assert said.scores.tolist() == pytest.approx([0.9])


def test_a_champion_taught_on_tiles_inspects_whole_images_by_tiles(tmp_path: Path):
    folder = tmp_path / "dies"
    batch = Batch(images=dict.fromkeys(("particle", "scratch", "bridge", "void"), 14), normal=12, lots=10)
    write_sample(folder, seed=3, batches=(batch,), size=96)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shown: list[tuple[int, ...]] = []

    def watching(model, onnx):
        detector = open_contrast(model, onnx)

        def detect(images, *, min_score):
            shown.extend(image.shape for image in images)
            return detector(images, min_score=min_score)

        return detect

    parts, line = (
        parts_in(tmp_path / "parts"),
        line_of(recall="recall = 0.05", critical_recall="critical_recall = 0.05"),
    )
    policy = TilePolicy(1, 2)
    whole = ingest(parts, line, MemorySource(files), "coco").id
    tiles = tile(parts, line, whole, policy=policy).id
    validate(parts, line, tiles)
    model = train(parts, line, augment(parts, line, split(parts, line, tiles).id).id).id
    decision = decide(parts, line, evaluate(parts, line, model).id, actor="kim").id
    promote(parts, decision, actor="kim", reason="test")
    lot = {name: data for name, data in files.items() if name != "annotations.json"}
    done = inspect_lot(replace(parts, load_detector=watching), line, MemorySource(lot), "images", limit=9)
    assert set(shown) == {(96, 48, 3)}
    boxes = [item[2:] for image in parts.inspections.images(line="dies", run_id=done.id) for item in image.detections]
    assert max(box[2] for box in boxes) > 48, "in the pixels of the whole image"
    reference = parts.facts.get(ModelReference, refer(parts, parts.facts.get(ModelVersion, model)).id)
    shown_to_it = set(read_predictions(parts.files.get(reference.predictions)).names)
    assert shown_to_it < {sample.image for sample in parts.facts.find(Sample, dataset_id=whole)}, "whole images"
    rows, image = read_embeddings(parts.files.get(reference.embeddings or ""))
    assert np.bincount(image).tolist() == [2] * reference.images, "each by its two tiles"
    assert rows.shape[1] == reference.dimensions
    assert taught_on(parts, tiles) == [policy]
    version = parts.facts.get(DatasetVersion, tiles)
    corrected = replace(version, id="data-corrected", number=0, parent=tiles)
    parts.facts.save(corrected)
    assert taught_on(parts, corrected.id) == [policy], "a corrected version of tiles is one of tiles"
