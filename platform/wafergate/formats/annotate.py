"""A whole image with what a model found on it: a box and its class for each detection."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.domain.inspection import FoundBox

__all__ = ["annotated_jpeg"]

Pixels = NDArray[np.uint8]

_LONGEST, _SHORTEST = 640, 320  # pixels of the picture's longer side
_QUALITY = 88
_COLOUR = (11, 69, 200)  # vermilion, as everywhere a model has found something; blue, green, red
_INK = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotated_jpeg(pixels: Pixels, found: Sequence[FoundBox]) -> bytes:
    """Return an image with boxes and class names as JPEG; its longer side has 320 to 640 pixels.

    The boxes lie just around the pixels they hold. Signs that the drawn font lacks become question marks: the words
    beside the picture tell the names to the letter.

    Args:
        pixels: `(h, w, 3)`, 8 bits, BGR; is not changed.
        found: what is drawn, in the image's pixels.
    """
    height, width = pixels.shape[:2]
    scale = min(max(1.0, _SHORTEST / max(height, width)), _LONGEST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Enlarged pixels stay squares; reduced ones are averaged.
    drawn = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA)
    for box in found:
        _draw(drawn, box, scale)
    return cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()


def _draw(drawn: Pixels, box: FoundBox, scale: float) -> None:
    name, score, *corners = box
    x1, y1, x2, y2 = (round(corner * scale) for corner in corners)
    cv2.rectangle(drawn, (x1 - 2, y1 - 2), (x2 + 1, y2 + 1), _COLOUR, 2)
    label = f"{name} {score:.2f}"
    (width, height), rest = cv2.getTextSize(label, _FONT, 0.45, 1)
    # Above the box where there is room, else below it, and never over the side.
    top = y1 - height - rest - 4 if y1 >= height + rest + 4 else min(y2 + 3, drawn.shape[0] - height - rest)
    left = min(max(x1 - 2, 0), max(drawn.shape[1] - width - 4, 0))
    cv2.rectangle(drawn, (left, top), (left + width + 4, top + height + rest), _COLOUR, cv2.FILLED)
    cv2.putText(drawn, label, (left + 2, top + height + 1), _FONT, 0.45, _INK, 1, cv2.LINE_AA)
