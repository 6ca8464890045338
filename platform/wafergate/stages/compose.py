"""Compose the three input channels of a model."""

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.domain.models import Channels
from wafergate.domain.subpixel import peak
from wafergate.errors import SourceError

__all__ = ["FARTHEST", "ZERO_DIFFERENCE", "compose", "registered", "tolerant_difference"]

Pixels = NDArray[np.uint8]

ZERO_DIFFERENCE = 128
"""Value of the difference channel where image and golden reference agree."""

FARTHEST = 16
"""How far registration looks to every side, pixels."""

_TOLERANCE = 2
_COARSE = 4
"""Registration compares every fourth pixel: its error of some two pixels is what the difference forgives."""


def tolerant_difference(grey: Pixels, reference: Pixels, *, tolerance: int = _TOLERANCE) -> Pixels:
    """Return how far a grey image leaves the range its golden reference spans within `tolerance` pixels.

    Two prints of one pattern never register exactly; a plain difference lights up along every edge. Only what lies
    above the reference's dilation or below its erosion (squares of `2 * tolerance + 1` pixels) differs here.

    Args:
        grey: `(h, w)`.
        reference: `(h, w)`.
        tolerance: registration error that is forgiven, pixels.

    Returns:
        `(h, w)`: `ZERO_DIFFERENCE` where they agree, more where the image is brighter, less where it is darker.
    """
    square = np.ones((2 * tolerance + 1, 2 * tolerance + 1), dtype=np.uint8)
    over = cv2.subtract(grey, cv2.dilate(reference, square))
    under = cv2.subtract(cv2.erode(reference, square), grey)
    # At any pixel at most one of the two is above 0, so saturating arithmetic on bytes is exact.
    zero = np.full_like(grey, ZERO_DIFFERENCE)
    return np.asarray(cv2.subtract(cv2.add(zero, over), under), dtype=np.uint8)


def registered(image: Pixels, reference: Pixels) -> Pixels:
    """Return a golden reference laid over its image, where the two were not taken at the very same place.

    The shift is where the normalised correlation of the two is highest, `FARTHEST` pixels to every side at most. What
    the tolerant difference forgives stays as it is, and so does a shift after which more pixels differ than before: a
    periodic pattern fits in several places. Turned or scaled references are not corrected. Of 167 boards of DeepPCB
    four are off by 4 to 10 pixels; on those the share of pixels that differ falls from 0.05 to 0.03.

    Args:
        image: `(h, w)`, or `(h, w, 3)` BGR.
        reference: as the image.

    Returns:
        As the reference; the border is repeated where it shows nothing.
    """
    grey, golden = _grey(image), _grey(reference)
    x, y = _shift(grey, golden)
    if max(abs(x), abs(y)) <= _TOLERANCE:
        return reference
    there = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
    size = (reference.shape[1], reference.shape[0])
    moved = cv2.warpAffine(reference, there, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    laid = np.asarray(moved, dtype=np.uint8)
    return laid if _differing(grey, _grey(laid)) < _differing(grey, golden) else reference


def _differing(grey: Pixels, reference: Pixels) -> int:
    return int(np.count_nonzero(tolerant_difference(grey, reference) != ZERO_DIFFERENCE))


def _shift(grey: Pixels, reference: Pixels) -> tuple[int, int]:
    """Return how far to the right and down the reference shows what the image shows, pixels."""
    height, width = grey.shape
    step = max(1, min(_COARSE, min(height, width) // (4 * FARTHEST)))
    reach = min(FARTHEST // step, (min(height, width) // step - 1) // 4)
    if reach < 1:
        return 0, 0
    size = (width // step, height // step)
    image, golden = (cv2.resize(item, size, interpolation=cv2.INTER_AREA) for item in (grey, reference))
    found = cv2.matchTemplate(golden, image[reach:-reach, reach:-reach], cv2.TM_CCOEFF_NORMED)
    row, column = divmod(int(found.argmax()), found.shape[1])
    x, y = peak(found[row], column) - reach, peak(found[:, column], row) - reach
    return round(x * width / size[0]), round(y * height / size[1])


def _grey(image: Pixels) -> Pixels:
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def compose(image: Pixels, reference: Pixels | None, channels: Channels) -> Pixels:
    """Return what the model sees of an image.

    Args:
        image: `(h, w, 3)`, BGR.
        reference: `(h, w, 3)`, BGR, the golden reference; unused for `Channels.IMAGE`.
        channels: `image` returns the image as it is; `golden` returns grey image, grey reference, `registered`, and
            their tolerant difference.

    Returns:
        `(h, w, 3)`.

    Raises:
        SourceError: the reference is needed and missing, or of another size.
    """
    if channels is Channels.IMAGE:
        return image
    if reference is None:
        message = "channels 'golden' need a golden reference beside every image, found none; see [intake] reference"
        raise SourceError(message)
    if image.shape != reference.shape:
        (height, width), (found_height, found_width) = image.shape[:2], reference.shape[:2]
        found = f"{found_width} x {found_height}"
        message = f"the golden reference must have its image's {width} x {height} pixels, found {found}"
        raise SourceError(message)
    grey = _grey(image)
    golden = registered(grey, _grey(reference))
    return np.dstack([grey, golden, tolerant_difference(grey, golden)])
