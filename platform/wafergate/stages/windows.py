"""Cut training windows around defects at full resolution, and turn them by right angles (rule M5)."""

import random

import numpy as np
from numpy.typing import NDArray

__all__ = ["cut_window", "place_window", "turn"]

Pixels = NDArray[np.uint8]
Labels = NDArray[np.float32]

MIN_VISIBLE = 0.4
"""Share of a box's area that a window must show to keep its label."""


def place_window(
    size: tuple[int, int], window: int, *, around: NDArray[np.float32] | None, rng: random.Random
) -> tuple[int, int]:
    """Return the left upper corner of a window, drawn evenly from those that hold a box as far as they can.

    Args:
        size: height and width of the image, pixels.
        window: side of the window, pixels.
        around: x1, y1, x2, y2 of the box, pixels; None for a window anywhere.
        rng: what it is drawn with.

    Returns:
        Left and top, pixels; 0 along a side that is not longer than the window.
    """
    corner = []
    for axis, length in ((0, size[1]), (1, size[0])):
        last = max(0, length - window)
        first = 0
        if around is not None:
            low, high = sorted((float(around[axis + 2]) - window, float(around[axis])))
            first, last = (min(max(round(value), 0), last) for value in (low, high))
        corner.append(rng.randint(first, last))
    return corner[0], corner[1]


def cut_window(
    image: Pixels, labels: Labels, *, left: int, top: int, window: int, min_visible: float = MIN_VISIBLE
) -> tuple[Pixels, Labels]:
    """Return what a window shows of an image, and the labels `(n, 5)` x1, y1, x2, y2, class it keeps.

    A box that the edge crosses is cut there; it loses its label where less than `min_visible` of its area is shown.
    """
    piece = image[top : top + window, left : left + window]
    height, width = piece.shape[:2]
    moved = labels.copy()
    moved[:, :4] -= np.array([left, top, left, top], np.float32)
    area = (moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1])
    moved[:, :4] = np.clip(moved[:, :4], 0, np.array([width, height, width, height], np.float32))
    shown = (moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1])
    return piece, moved[(shown > 0) & (shown >= min_visible * area)]


def turn(image: Pixels, labels: Labels, quarters: int) -> tuple[Pixels, Labels]:
    """Turn an image and its labels `(n, 5)` by quarters of a circle against the clock."""
    turned = labels.copy()
    for _ in range(quarters % 4):
        width = image.shape[1]
        image = np.rot90(image)
        x1, y1, x2, y2 = turned[:, :4].T.copy()
        turned[:, :4] = np.stack([y1, width - x2, y2, width - x1], axis=1)
    return np.ascontiguousarray(image), turned
