"""Small changes such as a second placing of the same part under the same camera brings."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["REIMAGINGS"]

Pixels = NDArray[np.uint8]


def _moved(pixels: Pixels, *, right: int = 0, down: int = 0) -> Pixels:
    """Move an image `(h, w, c)` by whole pixels, its border repeated."""
    height, width = pixels.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    moved: Pixels = pixels[rows[:, None], columns]
    return moved


def _gained(pixels: Pixels, gain: float) -> Pixels:
    return np.asarray(np.clip(np.rint(pixels * gain), 0, 255), dtype=np.uint8)


REIMAGINGS: tuple[tuple[str, Callable[[Pixels], Pixels]], ...] = (
    ("moved 1 px to the right", lambda pixels: _moved(pixels, right=1)),
    ("moved 1 px down", lambda pixels: _moved(pixels, down=1)),
    ("3 % darker", lambda pixels: _gained(pixels, 0.97)),
    ("3 % brighter", lambda pixels: _gained(pixels, 1.03)),
)
"""Changes too small to turn a good part into a bad one, each in words and as a function of `(h, w, 3)` uint8."""
