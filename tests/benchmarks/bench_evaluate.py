"""Evaluation of a large set against faster-coco-eval, its growth, and the bootstrap over groups."""

import contextlib
import io
import os
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.table import Row
from wafergate.domain.bounds import grouped_bounds
from wafergate.domain.evaluation import Detections, Figures, Truth
from wafergate.domain.gate import GatePolicy
from wafergate.formats.predictions import read_predictions, write_predictions
from wafergate.stages.evaluate import evaluate

IMAGES, CLASSES, PER_IMAGE = 5_000, 80, 100
NAMES = tuple(f"class {index:02d}" for index in range(CLASSES))
SIZE = 640.0


def make_set(images: int, *, seed: int = 0) -> tuple[list[Truth], list[Detections]]:
    """Make images with some 7 defects each, one in ten without, and 100 detections, a third of them near a defect."""
    rng = np.random.default_rng(seed)
    truth, detections = [], []
    for _ in range(images):
        known = 0 if rng.random() < 0.1 else 1 + int(rng.poisson(6))
        boxes, labels = _boxes(rng, known), rng.integers(0, CLASSES, known)
        said, spoken, scores = _boxes(rng, PER_IMAGE), rng.integers(0, CLASSES, PER_IMAGE), rng.beta(1, 8, PER_IMAGE)
        if known:
            near, source = rng.random(PER_IMAGE) < 0.33, rng.integers(0, known, PER_IMAGE)
            shift = rng.normal(0, 0.08, (PER_IMAGE, 4)) * np.tile(boxes[source, 2:] - boxes[source, :2], 2)
            said[near] = (boxes[source] + shift)[near]
            right = near & (rng.random(PER_IMAGE) < 0.8)
            spoken[right] = labels[source][right]
            scores[near] = rng.beta(3, 3, int(near.sum()))
            said[:, 2:] = np.maximum(said[:, 2:], said[:, :2] + 1)
        order = np.argsort(-scores)
        truth.append(Truth(boxes, labels))
        detections.append(Detections(said[order].astype(np.float32), scores[order].astype(np.float32), spoken[order]))
    return truth, detections


def _boxes(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    corner, extent = rng.uniform(0, SIZE * 0.8, (count, 2)), rng.uniform(10, SIZE * 0.3, (count, 2))
    return np.concatenate([corner, corner + extent], axis=1).round(1)


def _seconds(work: Callable[[], object], *, best_of: int = 1) -> float:
    times = []
    for _ in range(best_of):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _busy(work: Callable[[], object]) -> tuple[float, float]:
    """Return the processor time that work takes: in the program, and with the kernel's share."""
    before = os.times()
    work()
    after = os.times()
    computing = after.user - before.user
    return computing, computing + after.system - before.system


def _ours(truth: list[Truth], content: bytes) -> Figures:
    said = read_predictions(content)
    return evaluate(truth, said.detections, NAMES, thresholds=dict.fromkeys(NAMES, 0.3), policy=GatePolicy())


def _coco(truth: list[Truth], detections: list[Detections]) -> tuple[dict[str, list[object]], list[object]]:
    annotations: list[object] = []
    results: list[object] = []
    for image, (known, said) in enumerate(zip(truth, detections, strict=True)):
        for (x1, y1, x2, y2), label in zip(known.boxes.tolist(), known.classes.tolist(), strict=True):
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": label, **box})
        rows = zip(said.boxes.tolist(), said.scores.tolist(), said.classes.tolist(), strict=True)
        for (x1, y1, x2, y2), score, label in rows:
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
            results.append({"image_id": image, "category_id": label, **box})
    images: list[object] = [{"id": image, "width": int(SIZE), "height": int(SIZE)} for image in range(len(truth))]
    categories: list[object] = [{"id": index, "name": name} for index, name in enumerate(NAMES)]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def _peer(known: dict[str, list[object]], results: list[object]) -> NDArray[np.float64]:
    from faster_coco_eval import COCO, COCOeval_faster

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(known)
        run = COCOeval_faster(truth, truth.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
    return np.asarray(run.eval["precision"])[:, :, :, 0, 2].mean(axis=(0, 1))


def _against_peer() -> tuple[Row, tuple[float, float]]:
    """Measure against the peer in wall time; the growth is compared in processor time (see `_growth`)."""
    truth, detections = make_set(IMAGES)
    content = write_predictions([str(index) for index in range(IMAGES)], detections, NAMES)
    figures = _ours(truth, content)
    ours = _seconds(lambda: _ours(truth, content), best_of=3)
    tenfold = _busy(lambda: [_ours(truth, content) for _ in range(10)])
    known, results = _coco(truth, detections)
    start = time.perf_counter()
    expected = _peer(known, results)
    peer = time.perf_counter() - start
    # Two programs that disagree would not have done the same work.
    np.testing.assert_allclose([item.ap50_95 for item in figures.classes], expected, atol=1e-6)
    what = "evaluate 500,000 predictions, all figures, s; peer: faster-coco-eval, AP alone"
    verdict = "met" if ours <= peer else "missed"
    return Row(what, f"{ours:.2f}", f"{peer:.2f}", ours / peer, "<= 1", verdict), tenfold


def _growth(tenfold: tuple[float, float]) -> list[Row]:
    """Measure ten times as much in one piece against ten single pieces, in processor time.

    The best of a few short runs is luck on a busy machine, and a long run has none: so both sides work as long. The
    program's own time grows with the number of predictions; what the kernel adds grows faster, as small arrays reuse
    the pages of the piece before and large ones are handed out, and zeroed, afresh.
    """
    truth, detections = make_set(10 * IMAGES, seed=1)
    content = write_predictions([str(index) for index in range(10 * IMAGES)], detections, NAMES)
    del detections
    large = _busy(lambda: _ours(truth, content))
    computing, total = (ours / pieces for ours, pieces in zip(large, tenfold, strict=True))
    what = "5,000,000 at once, computing, s; peer: ten times 500,000"
    verdict = "met" if computing <= 1.5 else "missed"
    return [
        Row(what, f"{large[0]:.1f}", f"{tenfold[0]:.1f}", computing, "<= 1.5", verdict),
        Row("the same with the kernel's pages", f"{large[1]:.1f}", f"{tenfold[1]:.1f}", total, "", "told"),
    ]


def _bootstrap() -> Row:
    rng = np.random.default_rng(2)
    trials = rng.integers(1, 20, 10_000)
    hits = rng.binomial(trials, 0.93)
    taken = _seconds(lambda: grouped_bounds(hits, trials, 0.95, draws=2000), best_of=3)
    what = f"2,000 bootstrap draws, {trials.sum():,} instances in 10,000 groups, s"
    return Row(what, f"{taken:.3f}", "5", taken / 5, "<= 1", "met" if taken <= 5 else "missed")


def run() -> list[Row]:
    """Measure the evaluation of 5,000 images, its growth to 50,000, and the bootstrap."""
    first, tenfold = _against_peer()
    return [first, *_growth(tenfold), _bootstrap()]
