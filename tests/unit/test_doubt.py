"""Label doubts: a planted error of each kind is found, named with its place, and nothing right is doubted."""

from dataclasses import replace

import numpy as np
import pytest

from tests import rows
from tests.unit.small_line import parts_in
from wafergate.adapters.cleanlab import CleanlabScorer
from wafergate.adapters.memory import MemoryFacts
from wafergate.domain.evaluation import Detections, Rate, Truth
from wafergate.domain.geometry import Box
from wafergate.domain.out_of_fold import OutOfFold
from wafergate.domain.review import ReviewItem, Suspicion
from wafergate.domain.samples import LabelledBox, Sample
from wafergate.formats.predictions import write_predictions
from wafergate.jobs.doubt import doubt
from wafergate.stages.doubt import LEAST, calibrate, rank_doubts

pytestmark = pytest.mark.unit

CLASSES = ("a", "b", "c")
IMAGES = 30


def true_boxes(image: int) -> list[tuple[str, Box]]:
    """Three defects on every image, one of each class, well apart."""
    generator = np.random.default_rng(image)
    places = [(20, 20), (120, 30), (60, 130)]
    return [
        (name, Box(x + int(generator.integers(0, 9)), y, x + 30, y + 24))
        for name, (x, y) in zip(CLASSES, places, strict=True)
    ]


def seen_of(image: int) -> Detections:
    """What a good model says: every defect within a pixel, and now and then an unsure false alarm."""
    generator = np.random.default_rng(100 + image)
    found = [(CLASSES.index(name), *box.as_tuple(), 0.6 + 0.3 * generator.random()) for name, box in true_boxes(image)]
    found += [(place, 180, 180, 196, 190, 0.05 + 0.05 * generator.random()) for place in range(image % 2)]
    table = np.array(sorted(found, key=lambda row: -row[-1]))
    return Detections(
        (table[:, 1:5] + generator.uniform(-1, 1, (len(table), 4))).astype(np.float32),
        table[:, 5].astype(np.float32),
        table[:, 0].astype(np.int64),
    )


def sample_of(image: int) -> Sample:
    """The labels: image 3 lacks one, image 7 has one under another class, image 11 one half beside its defect."""
    labels = [LabelledBox(f"raw {name}", name, box) for name, box in true_boxes(image)]
    if image == 3:
        del labels[1]
    if image == 7:
        labels[0] = replace(labels[0], raw_label="raw c", defect_class="c")
    if image == 11:
        box = labels[2].box
        labels[2] = replace(labels[2], box=Box(box.x1 + 14, box.y1 + 10, box.x2 + 14, box.y2 + 10))
    return Sample("d", image, f"{image}.png", f"{image:064x}", None, 200, 200, tuple(labels), {})


SAMPLES = [sample_of(image) for image in range(IMAGES)]
TRUTH = [Truth.of(sample.boxes, CLASSES) for sample in SAMPLES]
SEEN = [seen_of(image) for image in range(IMAGES)]


def ranked(limit: int = 30):
    likely = calibrate(TRUTH, SEEN, CLASSES, iou=0.5)
    scores = CleanlabScorer()(TRUTH, likely, classes=3, least=LEAST)
    return rank_doubts(SAMPLES, TRUTH, likely, scores, CLASSES, limit=limit)


def test_detections_of_one_score_have_one_probability():
    box = np.array([[20, 20, 50, 44]])
    truth = [Truth(box.astype(np.float64), np.array([0]))] * 3 + [Truth(np.zeros((0, 4)), np.zeros(0, np.int64))] * 3
    said = [Detections(box.astype(np.float32), np.array([0.6], np.float32), np.array([0]))] * 6
    likely = calibrate(truth, said, ("a",), iou=0.5)
    assert [item.scores.tolist() for item in likely] == [[0.5]] * 6


def test_each_planted_error_comes_first_of_its_kind_and_nothing_right_is_doubted():
    found = {kind: [item for item in ranked() if item.kind is kind] for kind in Suspicion}
    missed, swapped, placed = (found[kind] for kind in (Suspicion.MISSED, Suspicion.SWAPPED, Suspicion.BADLY_PLACED))
    assert [(item.sample, item.box_index, item.label) for item in missed] == [("3.png", None, "b")]
    assert np.allclose(missed[0].box.as_tuple(), true_boxes(3)[1][1].as_tuple(), atol=1)
    assert [(item.sample, item.box_index, item.label) for item in swapped] == [("7.png", 0, "raw c")]
    assert "drawn as c; a model sees a here" in swapped[0].detail
    assert [(item.sample, item.box_index, item.label) for item in placed] == [("11.png", 2, "raw c")]
    assert placed[0].box == SAMPLES[11].boxes[2].box, "the box as it was drawn"


def test_a_score_becomes_the_share_of_detections_that_are_right():
    generator = np.random.default_rng(0)
    count = 4000
    scores = np.sort(generator.random(count))[::-1].astype(np.float32)
    right = generator.random(count) < 0.5 * scores
    truth, said = [], []
    for score, hit in zip(scores, right, strict=True):
        box = np.array([[0, 0, 10, 10]], np.float32)
        said.append(Detections(box, np.array([score]), np.zeros(1, np.int64)))
        truth.append(Truth(box.astype(float) + (0 if hit else 100), np.zeros(1, np.int64)))
    for score, item in zip(scores[:1500:50], calibrate(truth, said, "a", iou=0.5)[:1500:50], strict=True):
        assert item.scores[0] == pytest.approx(0.5 * score, abs=0.12)


def test_what_hardly_ever_stands_for_a_label_is_left_out():
    likely = calibrate(TRUTH, SEEN, CLASSES, iou=0.5)
    assert all(len(item) == 3 for item in likely)
    assert all((np.diff(item.scores) <= 0).all() for item in likely), "the order of the scores stays"


def test_images_without_label_or_without_detection_are_scored():
    nothing = Truth(np.zeros((0, 4)), np.zeros(0, np.int64))
    scores = CleanlabScorer()([nothing, TRUTH[0]], [SEEN[0], Detections.empty()], classes=3, least=0.2)
    assert (scores[0].overlooked < 1).all()
    assert scores[1].swapped.tolist() == scores[1].badly_placed.tolist() == [1, 1, 1]


def test_doubts_go_to_the_review_list_once(tmp_path):
    parts = parts_in(tmp_path)
    assert isinstance(parts.facts, MemoryFacts)
    dataset = rows.dataset("pcb")
    parts.facts.save(dataset, [replace(sample, dataset_id=dataset.id) for sample in SAMPLES])
    rate = Rate(1, 2, 0.1, 0.9)
    parts.facts.save(
        OutOfFold(
            "estimate-1", "pcb", dataset.id, "x", 3, 5, 0, 0.5, 0.95, IMAGES, IMAGES, (), ({},), rate, rate, 0.0, (),
            parts.files.put(write_predictions([item.name for item in SAMPLES], SEEN, CLASSES)), (), parts.clock(),
        )
    )  # fmt: skip
    first = doubt(parts, CleanlabScorer(), "estimate-1")
    again = doubt(parts, CleanlabScorer(), "estimate-1")
    assert (first.new, again.new) == (3, 0)
    items = parts.facts.find(ReviewItem, dataset_id=dataset.id)
    assert {(item.sample, item.kind) for item in items} == {
        ("3.png", Suspicion.MISSED), ("7.png", Suspicion.SWAPPED), ("11.png", Suspicion.BADLY_PLACED)
    }  # fmt: skip
    assert len(doubt(parts, CleanlabScorer(), "estimate-1", limit=1).suspected) == 3
