"""Fit images into the square a model takes, and boxes back into the image.

Training and inference share `fit`: the trainers store what it returns and the detector feeds what it returns, so that a
model meets the very pixels it has learnt from. The backends themselves shrink by plain bilinear interpolation in
training, which skips pixels beyond a factor of two, and LibreYOLO's predict by another filter than its training.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["PADDING", "Placement", "fit", "letterbox", "placed"]

PADDING = 114
"""Grey of the border, as both backends pad in training."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies in the square it was put into.

    Attributes:
        width: of the image as it was given, pixels.
        height: of the image as it was given, pixels.
        scale_x: pixels of the square for one pixel of the image, across.
        scale_y: the same, down; differs from `scale_x` by the rounding to whole pixels.
        left: pixels of border on the left.
        top: pixels of border at the top.
    """

    width: int
    height: int
    scale_x: float
    scale_y: float
    left: int
    top: int

    def to_image(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map boxes `(n, 4)` (x1, y1, x2, y2) from the square's pixels to the image's, clipped to the image."""
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        offset = np.array([self.left, self.top] * 2, np.float32)
        limit = np.array([self.width, self.height] * 2, np.float32)
        mapped: NDArray[np.float32] = np.clip((boxes - offset) / scale, 0, limit)
        return mapped


def fit(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale an image `(h, w, c)` or `(h, w)` so that its longer side is `size` pixels.

    One that has it already is returned as it is. Shrinking averages areas: a scratch of one pixel grows fainter
    instead of being skipped.
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer == size:
        return image
    target = (max(1, round(width * size / longer)), max(1, round(height * size / longer)))
    filtering = cv2.INTER_AREA if size < longer else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, target, interpolation=filtering), np.uint8)


def placed(image: NDArray[np.uint8], size: int, *, centred: bool) -> tuple[NDArray[np.uint8], Placement]:
    """Return an image `(h, w, 3)` or `(h, w)` as large as it is in a square of `size` pixels, and where it lies there.

    Args:
        image: pixels.
        size: side of the square.
        centred: in the middle; else in the upper left corner, as YOLOX is trained.
    """
    height, width = image.shape[:2]
    fitted = fit(image, size)
    new_height, new_width = fitted.shape[:2]
    left, top = ((size - new_width) // 2, (size - new_height) // 2) if centred else (0, 0)
    return fitted, Placement(width, height, new_width / width, new_height / height, left, top)


def letterbox(image: NDArray[np.uint8], size: int, *, centred: bool) -> tuple[NDArray[np.uint8], Placement]:
    """Put an image into a grey square as `placed` says; return the square, with as many channels, and the place."""
    fitted, placement = placed(image, size, centred=centred)
    square = np.full((size, size, *image.shape[2:]), PADDING, np.uint8)
    rows, columns = fitted.shape[:2]
    square[placement.top : placement.top + rows, placement.left : placement.left + columns] = fitted
    return square, placement
