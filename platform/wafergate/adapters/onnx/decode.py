"""Raw output of an exported model to boxes in its input's pixels, vectorised and free of any framework."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.evaluation import Detections
from wafergate.domain.models import Decoder

__all__ = ["INPUTS", "InputForm", "decode", "output_columns", "suppress"]

MAX_DETECTIONS = 300
MAX_CANDIDATES = 5000
"""Of one image before suppression, best first: a bound on time at a very low score."""
_BLOCK = 64  # boxes compared with each other at once: few steps, and no table of thousands by thousands


@dataclass(frozen=True, slots=True)
class InputForm:
    """What a model wants to be fed; images arrive in the order `cv2.imread` gives (blue, green, red).

    Attributes:
        scale: factor on 0..255.
        reverse_channels: whether the order of the channels is turned round.
        centred: whether the image lies in the middle of the square or in its upper left corner.
    """

    scale: float
    reverse_channels: bool
    centred: bool


INPUTS: Mapping[Decoder, InputForm] = {
    Decoder.YOLOX: InputForm(scale=1.0, reverse_channels=False, centred=False),
    Decoder.YOLO: InputForm(scale=1 / 255, reverse_channels=True, centred=True),
    Decoder.END_TO_END: InputForm(scale=1 / 255, reverse_channels=True, centred=True),
}


def output_columns(decoder: Decoder, classes: int) -> tuple[int, int]:
    """Return which axis of the raw output holds the columns of a box, and how many there must be."""
    columns = {Decoder.YOLOX: (2, 5 + classes), Decoder.YOLO: (1, 4 + classes), Decoder.END_TO_END: (2, 6)}
    return columns[decoder]


def decode(decoder: Decoder, raw: NDArray[np.float32], *, min_score: float, iou: float) -> Detections:
    """Turn one image's raw output into detections in pixels of the model's input, best score first.

    Args:
        decoder: how the output is laid out.
        raw: one item of the batch: `(anchors, 5 + classes)`, `(4 + classes, anchors)` or `(detections, 6)`.
        min_score: detections below are dropped.
        iou: overlap from which the weaker of two boxes of a class is dropped; not used end to end.

    Returns:
        At most 300 detections. A box takes the class that scores highest, as both backends' own predict does.
    """
    boxes, scores, classes = _READERS[decoder](raw, min_score)
    good = np.flatnonzero((scores >= min_score) & np.isfinite(boxes).all(axis=1))
    good = good[np.argsort(-scores[good], kind="stable")][:MAX_CANDIDATES]
    boxes, scores, classes = boxes[good], scores[good], classes[good]
    kept = np.arange(len(scores)) if decoder is Decoder.END_TO_END else suppress(boxes, scores, classes, iou=iou)
    kept = kept[:MAX_DETECTIONS]
    return Detections(boxes[kept], scores[kept], classes[kept])


def suppress(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], classes: NDArray[np.int64], *, iou: float
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression within each class, ending at 300 boxes.

    Args:
        boxes: `(n, 4)` x1, y1, x2, y2.
        scores: `(n,)`.
        classes: `(n,)`.
        iou: a box that overlaps a better one of its class by more than this is dropped.

    Returns:
        Indices of the boxes that stay, best score first; equal scores in their order of arrival.
    """
    order = np.argsort(-scores, kind="stable")
    kept = order[:0]
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        block = block[~_covers(boxes, classes, kept, block, iou=iou).any(axis=0)]
        covers = np.triu(_covers(boxes, classes, block, block, iou=iou), 1)
        alive = np.ones(len(block), bool)
        for place in np.flatnonzero(covers.any(axis=1)).tolist():
            if alive[place]:
                alive &= ~covers[place]
        kept = np.concatenate([kept, block[alive]])
        if len(kept) >= MAX_DETECTIONS:
            break
    return kept[:MAX_DETECTIONS]


def _covers(
    boxes: NDArray[np.float32],
    classes: NDArray[np.int64],
    ones: NDArray[np.int64],
    others: NDArray[np.int64],
    *,
    iou: float,
) -> NDArray[np.bool_]:
    """Tell of each pair, `(ones, others)`, whether both are of a class and overlap by more than `iou`."""
    x1, y1, x2, y2 = (column[:, None] for column in boxes[ones].astype(np.float64).T)
    u1, v1, u2, v2 = boxes[others].astype(np.float64).T
    across = np.minimum(x2, u2) - np.maximum(x1, u1)
    down = np.minimum(y2, v2) - np.maximum(y1, v1)
    shared = np.maximum(across, 0) * np.maximum(down, 0)
    whole = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared
    # compared as a product: two boxes without area share nothing and must not divide by zero
    same = classes[ones][:, None] == classes[others]
    covered: NDArray[np.bool_] = same & (shared > iou * whole)
    return covered


_Read = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]
"""Corners, score and class of boxes; those that score less than asked for may be missing."""


def _corners(centres: NDArray[np.float32]) -> NDArray[np.float32]:
    half = centres[:, 2:4] / 2
    return np.concatenate([centres[:, :2] - half, centres[:, :2] + half], axis=1)


def _best(scores: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    classes = scores.argmax(axis=1)
    return scores[np.arange(len(scores)), classes], classes.astype(np.int64)


def _read_yolox(raw: NDArray[np.float32], least: float) -> _Read:
    raw = raw[raw[:, 4] >= least]  # class scores are at most 1: no other box can reach it
    scores, classes = _best(raw[:, 4:5] * raw[:, 5:])
    return _corners(raw), scores, classes


def _read_yolo(raw: NDArray[np.float32], least: float) -> _Read:
    rows = raw[:, raw[4:].max(axis=0) >= least].T
    scores, classes = _best(rows[:, 4:])
    return _corners(rows), scores, classes


def _read_end_to_end(raw: NDArray[np.float32], _least: float) -> _Read:
    return raw[:, :4], raw[:, 4], raw[:, 5].astype(np.int64)


_READERS: Mapping[Decoder, Callable[[NDArray[np.float32], float], _Read]] = {
    Decoder.YOLOX: _read_yolox,
    Decoder.YOLO: _read_yolo,
    Decoder.END_TO_END: _read_end_to_end,
}
