"""Matching and average precision against pycocotools and against taking turns one by one."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wafergate.domain import matching as module
from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.geometry import Box, iou_matrix
from wafergate.domain.matching import Matching, Scene, flatten, flatten_scene, match, pair_up
from wafergate.domain.precision import COCO_IOUS, average_precision
from wafergate.domain.samples import LabelledBox
from wafergate.errors import TaxonomyError, TrainingError

pytestmark = pytest.mark.unit


def make_set(
    images: int, classes: int, *, seed: int, decimals: int | None = None, size: float = 300.0
) -> tuple[list[Truth], list[Detections]]:
    """Make a set with hits, doubles, wrong classes, misplaced boxes and images without defect or detection."""
    rng = np.random.default_rng(seed)
    truth, detections = [], []
    for _ in range(images):
        n, m = int(rng.integers(0, 12)), int(rng.integers(0, 60))
        corner, extent = rng.uniform(0, size * 0.8, (n, 2)), rng.uniform(8, size * 0.3, (n, 2))
        boxes, labels = np.concatenate([corner, corner + extent], axis=1).round(1), rng.integers(0, classes, n)
        corner, extent = rng.uniform(0, size * 0.8, (m, 2)), rng.uniform(8, size * 0.3, (m, 2))
        said, spoken, scores = (
            np.concatenate([corner, corner + extent], axis=1),
            rng.integers(0, classes, m),
            rng.random(m),
        )
        if n:
            near, source = rng.random(m) < 0.6, rng.integers(0, n, m)
            shift = rng.normal(0, 0.08, (m, 4)) * np.tile(boxes[source, 2:] - boxes[source, :2], 2)
            said[near] = (boxes[source] + shift)[near]
            right = near & (rng.random(m) < 0.7)
            spoken[right] = labels[source][right]
            said[:, 2:] = np.maximum(said[:, 2:], said[:, :2] + 1)
        if decimals is not None:
            scores = scores.round(decimals)
        order = np.argsort(-scores, kind="stable")
        truth.append(Truth(boxes, labels))
        detections.append(Detections(said[order].astype(np.float32), scores[order].astype(np.float32), spoken[order]))
    return truth, detections


def ap_of(scene: Scene, found: Matching, classes: int) -> NDArray[np.float64]:
    support = np.bincount(scene.truth.classes, minlength=classes).tolist()
    return average_precision(found.hits, found.rank, scene.detections.classes, support)


def pycocotools_ap(truth: Sequence[Truth], detections: Sequence[Detections], classes: int) -> NDArray[np.float64]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, results = [], []
    for image, (known, said) in enumerate(zip(truth, detections, strict=True)):
        for (x1, y1, x2, y2), label in zip(known.boxes.tolist(), known.classes.tolist(), strict=True):
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": label, **box})
        rows = zip(said.boxes.tolist(), said.scores.tolist(), said.classes.tolist(), strict=True)
        for (x1, y1, x2, y2), score, label in rows:
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
            results.append({"image_id": image, "category_id": label, **box})
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "images": [{"id": image} for image in range(len(truth))],
            "annotations": annotations,
            "categories": [{"id": label} for label in range(classes)],
        }
        known.createIndex()
        run = COCOeval(known, known.loadRes(results), "bbox")
        run.params.maxDets = [1, 10, 1000]  # its 100 would drop what raw predictions hold at low scores
        run.evaluate()
        run.accumulate()
    return run.eval["precision"][:, :, :, 0, 2].mean(axis=1)


@pytest.mark.parametrize(("seed", "decimals"), [(0, None), (1, None), (2, 2), (3, 1), (4, 0)])
def test_average_precision_equals_pycocotools_also_with_equal_scores(seed: int, decimals: int | None) -> None:
    truth, detections = make_set(120, 4, seed=seed, decimals=decimals)
    scene = flatten_scene(truth, detections, 4)
    ours = ap_of(scene, match(scene, COCO_IOUS), 4)
    assert 0.05 < ours[0].mean() < 0.95
    np.testing.assert_allclose(ours, pycocotools_ap(truth, detections, 4), atol=1e-9)


def one_by_one(truth: Sequence[Truth], detections: Sequence[Detections], iou: float) -> list[int]:
    """Take turns as the definition says; equal overlaps go to the later instance."""
    found, base = [], 0
    for known, said in zip(truth, detections, strict=True):
        overlap, free = iou_matrix(said.boxes, known.boxes), set(range(len(known)))
        for row in np.argsort(-said.scores, kind="stable"):
            best, chosen = iou, -1
            for column in sorted(free):
                if known.classes[column] == said.classes[row] and overlap[row, column] >= best:
                    best, chosen = overlap[row, column], column
            free.discard(chosen)
            found.append(base + chosen if chosen >= 0 else -1)
        base += len(known)
    return found


BOXES = st.lists(st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(1, 4)] * 2, st.integers(0, 1)), max_size=9)
SCORED = st.lists(
    st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(1, 4)] * 2, st.integers(0, 1), st.integers(0, 4)), max_size=12
)


@settings(max_examples=300)
@given(st.lists(st.tuples(BOXES, SCORED), min_size=1, max_size=4), st.sampled_from([0.1, 0.33, 0.5, 0.75, 1.0]))
def test_matching_side_by_side_equals_taking_turns(
    images: list[tuple[list[tuple[int, ...]], list[tuple[int, ...]]]], iou: float
) -> None:
    truth, detections = [], []
    for known, said in images:
        a = np.array(known, dtype=np.float64).reshape(-1, 5)
        b = np.array(sorted(said, key=lambda row: -row[5]), dtype=np.float64).reshape(-1, 6)
        a[:, 2:4] += a[:, :2]
        b[:, 2:4] += b[:, :2]
        truth.append(Truth(a[:, :4], a[:, 4].astype(np.int64)))
        scores = (b[:, 5] / 4).astype(np.float32)
        detections.append(Detections(b[:, :4].astype(np.float32), scores, b[:, 4].astype(np.int64)))
    found = match(flatten_scene(truth, detections, 2), (iou,))
    assert found.instance.tolist() == one_by_one(truth, detections, iou)
    taken = found.instance[found.instance >= 0]
    assert len(set(taken.tolist())) == len(taken)


def test_a_chain_of_refusals_settles_as_taking_turns_does() -> None:
    count = 60
    left = np.arange(count) * 3.0
    truth = [Truth(np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1), np.zeros(count, np.int64))]
    moved = np.concatenate([left + 1, left + 2, left - 1])
    boxes = np.stack([moved, 0 * moved, moved + 10, 0 * moved + 10], axis=1).astype(np.float32)
    scores = np.linspace(1, 0, 3 * count, dtype=np.float32)
    detections = [Detections(boxes, scores, np.zeros(3 * count, np.int64))]
    assert match(flatten_scene(truth, detections, 1), (0.5,)).instance.tolist() == one_by_one(truth, detections, 0.5)


def test_dropping_low_scores_changes_no_match_above() -> None:
    truth, detections = make_set(40, 3, seed=9)
    whole = match(flatten_scene(truth, detections, 3), (0.5,))
    kept = [item.scores >= 0.4 for item in detections]
    high = [Detections(d.boxes[k], d.scores[k], d.classes[k]) for d, k in zip(detections, kept, strict=True)]
    assert (
        whole.instance[np.concatenate(kept)].tolist() == match(flatten_scene(truth, high, 3), (0.5,)).instance.tolist()
    )


def test_small_blocks_give_the_same_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, detections = make_set(30, 2, seed=4)
    scene = flatten_scene(truth, detections, 2)
    whole = match(scene, (0.33, 0.5))
    monkeypatch.setattr(module, "_PAIRS_AT_ONCE", 50)
    blocks = list(pair_up(scene.truth, scene.detections, least=0.1))
    parts = match(scene, (0.33, 0.5))
    assert len(blocks) > 5
    for name in ("hits", "instance", "same", "other", "found", "near"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name), err_msg=name)


def test_overlaps_equal_the_geometry_of_single_images() -> None:
    truth, detections = make_set(20, 2, seed=6)
    known, said = flatten(truth), flatten(detections)
    expected = {}
    for image, (a, b) in enumerate(zip(truth, detections, strict=True)):
        for (row, column), value in np.ndenumerate(iou_matrix(b.boxes, a.boxes)):
            if value >= 0.1:
                expected[said.offsets[image] + row, known.offsets[image] + column] = value
    found = {}
    for block in pair_up(known, said, least=0.1):
        found.update(zip(zip(block.detections, block.instances, strict=True), block.iou, strict=True))
    assert found == pytest.approx(expected)


def test_boxes_without_area_or_with_swapped_corners_are_never_found() -> None:
    boxes = np.array([[5.0, 5, 5, 9], [9, 9, 5, 5]])
    truth = [Truth(boxes, np.zeros(2, np.int64))]
    detections = [Detections(boxes.astype(np.float32), np.ones(2, np.float32), np.zeros(2, np.int64))]
    assert match(flatten_scene(truth, detections, 1), (0.5,)).instance.tolist() == [-1, -1]


def test_a_set_without_boxes_or_detections_is_matched_too() -> None:
    nothing = Truth(np.zeros((0, 4)), np.zeros(0, np.int64))
    scene = flatten_scene([nothing, nothing], [Detections.empty(), Detections.empty()], 3)
    found = match(scene, COCO_IOUS)
    assert found.hits.shape == (10, 0)
    assert np.isnan(ap_of(scene, found, 3)).all()


@pytest.mark.parametrize("field", ["boxes", "scores"])
def test_a_model_that_answers_with_nan_is_named_broken(field: str) -> None:
    truth, detections = make_set(6, 1, seed=1)
    place = next(index for index, item in enumerate(detections) if len(item) > 2)
    getattr(detections[place], field)[1] = np.nan
    with pytest.raises(TrainingError, match=f"found 1 detection.*image {place} "):
        flatten_scene(truth, detections, 1)


def test_a_class_index_outside_the_model_is_refused() -> None:
    truth, detections = make_set(6, 3, seed=1)
    with pytest.raises(ValueError, match=r"class indices must lie in 0\.\.1"):
        flatten_scene(truth, detections, 2)
    with pytest.raises(ValueError, match="found 6 and 5"):
        flatten_scene(truth, detections[:5], 3)


def test_labels_become_class_places_and_strangers_are_named() -> None:
    boxes = [LabelledBox("a", "spur", Box(1, 2, 3, 4)), LabelledBox("b", "open", Box(0, 0, 9, 9))]
    truth = Truth.of(boxes, ("open", "spur"))
    assert truth.classes.tolist() == [1, 0]
    assert truth.boxes.tolist() == [[1, 2, 3, 4], [0, 0, 9, 9]]
    assert Truth.of([], ("open",)).boxes.shape == (0, 4)
    with pytest.raises(TaxonomyError, match=r"\(open\); found spur"):
        Truth.of(boxes, ("open",))
