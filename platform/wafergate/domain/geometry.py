"""Bounding boxes in pixels: x to the right, y down, origin at the upper left corner of the upper left pixel."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "iou_matrix"]


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box exactly as somebody drew it: it may lie outside its image or have no area (rule M4).

    Attributes:
        x1: left edge, pixels.
        y1: upper edge, pixels.
        x2: right edge, pixels; the pixel in column `x2` is not part of the box.
        y2: lower edge, pixels; the pixel in row `y2` is not part of the box.
    """

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in (self.x1, self.y1, self.x2, self.y2)):
            message = f"a box needs four finite numbers, found {self.x1}, {self.y1}, {self.x2}, {self.y2}"
            raise ValueError(message)

    @property
    def width(self) -> float:
        """Width in pixels; negative when the corners are swapped."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Height in pixels; negative when the corners are swapped."""
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Area in square pixels; 0 for a box with swapped corners."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Return `(x1, y1, x2, y2)`."""
        return self.x1, self.y1, self.x2, self.y2


def iou_matrix(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the intersection over union of every pair of boxes.

    Args:
        first: `(n, 4)` boxes as x1, y1, x2, y2.
        second: `(m, 4)` boxes as x1, y1, x2, y2.

    Returns:
        `(n, m)` values in 0..1; 0 where both boxes have no area.
    """
    a = np.asarray(first, dtype=np.float64).reshape(-1, 4)
    b = np.asarray(second, dtype=np.float64).reshape(-1, 4)
    overlap = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    intersection = np.prod(np.clip(overlap, 0, None), axis=2)
    area_a = np.prod(np.clip(a[:, 2:] - a[:, :2], 0, None), axis=1)
    area_b = np.prod(np.clip(b[:, 2:] - b[:, :2], 0, None), axis=1)
    union = area_a[:, None] + area_b[None, :] - intersection
    shares: NDArray[np.float64] = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
    return shares
