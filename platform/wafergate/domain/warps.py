"""Smooth changes of shape: where a pixel comes from, and where an outline goes.

Coordinates are continuous, pixel `i` covers `i .. i + 1`, and the image keeps its size. All three changes turn about
the image's centre or swing about zero, so what comes in from outside is a mirrored band along the border.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.augmentation import OperationKind

__all__ = ["outline_after", "reach", "sources"]

Points = NDArray[np.float64]
_STEPS = 60  # of the inverse: each at least halves the error, and 2**-60 of a pixel is nothing


def sources(kind: OperationKind, numbers: Sequence[float], points: Points, size: tuple[int, int]) -> Points:
    """Return where the result's points come from in the image.

    Args:
        kind: `rotate` (degrees, clockwise), `shear` (columns moved right per row below the centre), or `elastic`
            (amplitude and wavelength in pixels, two phases in radians: each row and column swings as a sine).
        numbers: of the operation.
        points: `(n, 2)`, x and y in the result.
        size: width and height, pixels.
    """
    if kind is OperationKind.ELASTIC:
        amplitude, wavelength, *phases = numbers
        swing = amplitude * np.sin(2 * math.pi * points[:, ::-1] / wavelength + np.asarray(phases))
        return np.asarray(points + swing)
    centre = np.asarray(size, dtype=np.float64) / 2
    return np.asarray((points - centre) @ np.linalg.inv(_matrix(kind, numbers)).T + centre)


def _matrix(kind: OperationKind, numbers: Sequence[float]) -> Points:
    """Return the 2 x 2 matrix that takes the image's points to the result's, about the centre."""
    if kind is OperationKind.SHEAR:
        return np.array([[1.0, numbers[0]], [0.0, 1.0]])
    angle = math.radians(numbers[0])
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def outline_after(kind: OperationKind, numbers: Sequence[float], outline: Points, size: tuple[int, int]) -> Points:
    """Return where points of the image lie in the result, `(n, 2)`.

    The elastic change is given from result to image; it is inverted by fixed-point iteration, which converges because
    an amplitude of at most a twelfth of the wavelength makes it a contraction.
    """
    if kind is not OperationKind.ELASTIC:
        centre = np.asarray(size, dtype=np.float64) / 2
        return np.asarray((outline - centre) @ _matrix(kind, numbers).T + centre)
    result = outline.copy()
    for _ in range(_STEPS):
        result = outline - (sources(kind, numbers, result, size) - result)
    return result


def reach(kind: OperationKind, numbers: Sequence[float], size: tuple[int, int]) -> tuple[float, float]:
    """Return how far, in x and y, any point of the image moves at most, pixels."""
    if kind is OperationKind.ELASTIC:
        return abs(numbers[0]), abs(numbers[0])
    width, height = size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], dtype=np.float64)
    # A linear change moves no point farther, in x or in y, than one of the corners.
    there = np.abs(outline_after(kind, numbers, corners, size) - corners).max(axis=0)
    back = np.abs(sources(kind, numbers, corners, size) - corners).max(axis=0)
    moved_x, moved_y = np.maximum(there, back)
    return float(moved_x), float(moved_y)
