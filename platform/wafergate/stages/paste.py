"""Paste a defect onto an image without one, so that neither an edge nor the light gives it away."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.domain.composites import feather, paste_window
from wafergate.domain.operations import Operation
from wafergate.domain.samples import LabelledBox
from wafergate.errors import AugmentError

__all__ = ["paste"]

Pixels = NDArray[np.uint8]
_GAINS = (0.5, 2.0)  # of the light: what differs more is another material, and is matched by an offset


def paste(operation: Operation, background: Pixels, donor: Pixels, label: LabelledBox) -> Pixels:
    """Return the background with the donor's defect on it.

    What is inside the defect's outline, or inside its box where none was drawn, is the donor's alone; around it the
    donor fades into the background over `feather` pixels. Before that, the donor is brought to the light of its new
    place: the mean of its rim becomes the mean of the background's pixels there, by a gain and, past the limits of
    what light does, an offset.

    Args:
        operation: `composite:box,right,down`.
        background: `(h, w, 3)`.
        donor: `(h, w, 3)`, of any size.
        label: the defect in the donor's pixels.

    Raises:
        AugmentError: the defect would lie outside the background.
    """
    _, right, down = (int(number) for number in operation.numbers)
    height, width = background.shape[:2]
    x1, y1, x2, y2 = paste_window(label, donor.shape[1], donor.shape[0])
    # the window that both images have
    x1, y1, x2, y2 = max(x1, -right), max(y1, -down), min(x2, width - right), min(y2, height - down)
    box = label.box
    if box.x1 < x1 or box.y1 < y1 or box.x2 > x2 or box.y2 > y2:
        message = f"{operation} puts the box {box.as_tuple()} outside a background of {width} x {height} pixels"
        raise AugmentError(message)
    there = (slice(y1 + down, y2 + down), slice(x1 + right, x2 + right))
    lifted, ground = donor[y1:y2, x1:x2].astype(np.float32), background[there].astype(np.float32)
    distance = _distance(label, (x1, y1, x2, y2))
    reach = feather(box)
    rim = (distance > reach) if (distance > reach).any() else distance > 0
    if rim.any():
        lifted = _relit(lifted, lifted[rim].mean(axis=0), ground[rim].mean(axis=0))
    share = np.clip(1 - distance / (reach + 1), 0, 1)[:, :, None]
    result = background.copy()
    result[there] = np.rint(ground + share * (lifted - ground)).clip(0, 255).astype(np.uint8)
    return result


def _distance(label: LabelledBox, window: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Return each pixel's distance to the defect, 0 on it; `(h, w)` of the window."""
    x1, y1, x2, y2 = window
    free = np.ones((y2 - y1, x2 - x1), dtype=np.uint8)
    if len(label.polygon) > 2:
        points = np.rint(np.asarray(label.polygon) - 0.5 - (x1, y1)).astype(np.int32)
        cv2.fillPoly(free, [points], (0.0,))
    else:
        box = label.box
        free[math.floor(box.y1) - y1 : math.ceil(box.y2) - y1, math.floor(box.x1) - x1 : math.ceil(box.x2) - x1] = 0
    return np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), dtype=np.float32)


def _relit(lifted: NDArray[np.float32], rim: NDArray[np.float32], ground: NDArray[np.float32]) -> NDArray[np.float32]:
    gain = np.clip((ground + 1) / (rim + 1), *_GAINS)  # a level more on both: black has no gain
    return np.asarray(lifted * gain + (ground - rim * gain), dtype=np.float32)
