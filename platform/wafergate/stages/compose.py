"""Compose the three input channels of a model."""

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.domain.models import Channels
from wafergate.errors import SourceError

__all__ = ["ZERO_DIFFERENCE", "compose", "tolerant_difference"]

Pixels = NDArray[np.uint8]

ZERO_DIFFERENCE = 128
"""Value of the difference channel where image and golden reference agree."""


def tolerant_difference(grey: Pixels, reference: Pixels, *, tolerance: int = 2) -> Pixels:
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


def _grey(image: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def compose(image: Pixels, reference: Pixels | None, channels: Channels) -> Pixels:
    """Return what the model sees of an image.

    Args:
        image: `(h, w, 3)`, BGR.
        reference: `(h, w, 3)`, BGR, the golden reference; unused for `Channels.IMAGE`.
        channels: `image` returns the image as it is; `golden` returns grey image, grey reference and their
            tolerant difference.

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
    grey, golden = _grey(image), _grey(reference)
    return np.dstack([grey, golden, tolerant_difference(grey, golden)])
