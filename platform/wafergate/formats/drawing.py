"""Pictures for people: a box drawn on the part of the image around it."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.domain.geometry import Box

__all__ = ["draw_box", "draw_found"]

Pixels = NDArray[np.uint8]

_SUSPECT = (40, 40, 255)
_OTHER = (235, 170, 60)
_OUTSIDE = (96, 96, 96)
_MIN_MARGIN = 24.0
_SMALLEST, _LARGEST = 384, 768
_FLATTEST = 8


def draw_box(pixels: Pixels, box: Box, others: Sequence[Box] = ()) -> Pixels:
    """Draw a box on the image around it, with as much context on each side as the box is long.

    The picture is enlarged (whole pixels stay visible as squares) or reduced so that its longer side has 384 to 768
    pixels; the image itself is not changed. What lies outside the image is grey. The box is red and lies just around
    the pixels it holds, other boxes are blue.

    Args:
        pixels: `(h, w, 3)`, 8 bits, BGR.
        box: what is drawn; may lie outside the image, have swapped corners or no area.
        others: boxes of the same image for comparison.

    Returns:
        `(h', w', 3)`, 8 bits, BGR.
    """
    left, right = sorted((box.x1, box.x2))
    top, bottom = sorted((box.y1, box.y2))
    longest = max(right - left, bottom - top)
    margin, rim = max(longest, _MIN_MARGIN), max(longest / 32, 8.0)
    height, width = pixels.shape[:2]
    # The window keeps to the image, except where the box itself leads out of it.
    x1, y1 = int(max(left - margin, min(left - rim, 0))), int(max(top - margin, min(top - rim, 0)))
    x2 = int(np.ceil(min(right + margin, max(right + rim, width))))
    y2 = int(np.ceil(min(bottom + margin, max(bottom + rim, height))))
    least = -(-max(x2 - x1, y2 - y1) // _FLATTEST)  # a line of a picture could not be looked at
    x2, y2 = max(x2, x1 + least), max(y2, y1 + least)
    scale = _scale(max(x2 - x1, y2 - y1))
    drawn = np.full((max(1, round((y2 - y1) * scale)), max(1, round((x2 - x1) * scale)), 3), _OUTSIDE, dtype=np.uint8)
    _paste(drawn, pixels, x1, y1, scale)
    for other in others:
        _rectangle(drawn, other, x1, y1, scale, _OTHER, 1)
    _rectangle(drawn, box, x1, y1, scale, _SUSPECT, 2)
    return drawn


def _paste(drawn: Pixels, pixels: Pixels, x1: int, y1: int, scale: float) -> None:
    """Put the image's part of the window into the picture, whose upper left corner is at x1, y1 of the image."""
    height, width = pixels.shape[:2]
    left, top = max(x1, 0), max(y1, 0)
    right, bottom = (
        min(width, x1 + round(drawn.shape[1] / scale)),
        min(height, y1 + round(drawn.shape[0] / scale)),
    )
    at_x, at_y = round((left - x1) * scale), round((top - y1) * scale)
    size = (
        min(round((right - left) * scale), drawn.shape[1] - at_x),
        min(round((bottom - top) * scale), drawn.shape[0] - at_y),
    )
    if min(right - left, bottom - top, *size) > 0:
        # enlarged pixels stay squares; reduced ones are averaged
        way = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
        drawn[at_y : at_y + size[1], at_x : at_x + size[0]] = cv2.resize(
            pixels[top:bottom, left:right], size, interpolation=way
        )


def _scale(longest: int) -> float:
    if longest > _LARGEST:
        return _LARGEST / longest
    return float(max(1, -(-_SMALLEST // longest)))


def _rectangle(
    drawn: Pixels, box: Box, x1: int, y1: int, scale: float, colour: tuple[int, int, int], thick: int
) -> None:
    left, right = sorted((box.x1, box.x2))
    top, bottom = sorted((box.y1, box.y2))
    corner = (round((left - x1) * scale) - thick, round((top - y1) * scale) - thick)
    opposite = (round((right - x1) * scale) + thick - 1, round((bottom - y1) * scale) + thick - 1)
    cv2.rectangle(drawn, corner, opposite, colour, thick)


def draw_found(pixels: Pixels, boxes: Sequence[tuple[str, Box]]) -> Pixels:
    """Draw what was found on a copy of the whole image: boxes in red around the pixels they hold, a text above each.

    Args:
        pixels: `(h, w, 3)`, 8 bits, BGR.
        boxes: text and box, pixels of the image.

    Returns:
        `(h, w, 3)`, 8 bits, BGR.
    """
    drawn = pixels.copy()
    size = max(0.4, max(pixels.shape[:2]) / 1600)
    for text, box in boxes:
        _rectangle(drawn, box, 0, 0, 1.0, _SUSPECT, 2)
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        left = int(np.clip(box.x1, 0, max(0, drawn.shape[1] - width)))
        base = round(box.y1) - 5 if box.y1 > height + 6 else round(box.y2) + height + 5
        cv2.putText(drawn, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(drawn, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, size, _SUSPECT, 1, cv2.LINE_AA)
    return drawn
