"""Carry out augmentation operations on pixels.

Flips, turns, crops, cuts and shifts move values and interpolate none. Changes of light are exact for their numbers:
byte for byte the same on every run.
"""

import math
from collections.abc import Callable, Iterable

import cv2
import numpy as np
import stringzilla
from numpy.typing import NDArray

from wafergate.domain.augmentation import LOOSENING, PHOTOMETRIC, OperationKind
from wafergate.domain.operations import Operation
from wafergate.domain.warps import sources
from wafergate.errors import AugmentError

__all__ = ["apply_operations"]

Image = NDArray[np.generic]
Pixels = NDArray[np.uint8]
_CV2_TYPES = (np.uint8, np.uint16, np.float32)
_TURNS = {
    OperationKind.TURN_90: cv2.ROTATE_90_CLOCKWISE,
    OperationKind.TURN_180: cv2.ROTATE_180,
    OperationKind.TURN_270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_FLIPS = {OperationKind.FLIP_HORIZONTAL: 1, OperationKind.FLIP_VERTICAL: 0}
_LEVELS = np.arange(256, dtype=np.float64)


def apply_operations(operations: Iterable[Operation], image: Image) -> Image:
    """Return what the operations make of an image, a golden reference or a mask.

    A shift, rotation, shear or elastic change shows its uncovered border as the mirror image of what lies beside it.

    Args:
        operations: in order; a composite is not among them, it needs a second image.
        image: `(height, width)` or `(height, width, channels)`; any type of value for what moves whole pixels, uint8
            for the rest.

    Returns:
        A contiguous array of its own.

    Raises:
        AugmentError: a crop reaches outside the image, or an operation needs bytes or a second image.
    """
    result = image
    for operation in operations:
        result = _apply(operation, result)
    return np.array(result, order="C") if np.may_share_memory(result, image) else np.ascontiguousarray(result)


def _apply(operation: Operation, image: Image) -> Image:
    kind = operation.kind
    if kind in {OperationKind.CROP, OperationKind.CUT}:
        x1, y1, x2, y2 = operation.window(image.shape[1], image.shape[0])
        return image[y1:y2, x1:x2]
    if kind is OperationKind.SHIFT:
        return _shifted(image, *(int(number) for number in operation.numbers))
    if kind in PHOTOMETRIC | LOOSENING:
        if image.dtype != np.uint8:
            message = f"{operation} needs an image of bytes, found {image.dtype}"
            raise AugmentError(message)
        pixels = np.asarray(image, dtype=np.uint8)
        return _warped(operation, pixels) if kind in LOOSENING else _LIGHT[kind](pixels, *operation.numbers)
    if kind is OperationKind.COMPOSITE:
        message = f"{operation} needs the image of its donor"
        raise AugmentError(message)
    return _move_fast(kind, image) if _suits_cv2(image) else _move(kind, image)


def _suits_cv2(image: Image) -> bool:
    """OpenCV drops a single channel's axis and knows few types, but mirrors three channels three times as fast."""
    return image.dtype in _CV2_TYPES and (image.ndim == 2 or 2 <= image.shape[2] <= 4)


def _move_fast(kind: OperationKind, image: Image) -> Image:
    moved: Image = cv2.rotate(image, _TURNS[kind]) if kind in _TURNS else cv2.flip(image, _FLIPS[kind])
    return moved


def _move(kind: OperationKind, image: Image) -> Image:
    match kind:
        case OperationKind.FLIP_HORIZONTAL:
            return image[:, ::-1]
        case OperationKind.FLIP_VERTICAL:
            return image[::-1]
        case OperationKind.TURN_90:
            return np.rot90(image, k=-1)
        case OperationKind.TURN_180:
            return image[::-1, ::-1]
        case _:
            return np.rot90(image, k=1)


def _shifted(image: Image, right: int, down: int) -> Image:
    height, width = image.shape[:2]
    if abs(right) > width or abs(down) > height:
        message = f"a shift by {right}, {down} leaves nothing of an image of {width} x {height} pixels"
        raise AugmentError(message)
    wide = ((max(down, 0), max(-down, 0)), (max(right, 0), max(-right, 0)), *[(0, 0)] * (image.ndim - 2))
    if _suits_cv2(image) and 2 * abs(right) <= width and 2 * abs(down) <= height:
        # what is mirrored lies in what is kept: one pass instead of a larger image that is cut again
        kept = image[max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
        moved: Image = cv2.copyMakeBorder(kept, *wide[0], *wide[1], cv2.BORDER_REFLECT)
        return moved
    padded = np.pad(image, wide, mode="symmetric")
    return padded[max(-down, 0) :, max(-right, 0) :][:height, :width]


def _warped(operation: Operation, image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    if operation.kind is OperationKind.ELASTIC:
        columns, rows = np.meshgrid(np.arange(width), np.arange(height))
        where = _centres_before(operation, np.column_stack([columns.ravel(), rows.ravel()]), image)
        x, y = (where[:, axis].reshape(height, width).astype(np.float32) for axis in (0, 1))
        moved: Pixels = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return moved.reshape(image.shape)
    # Rotation and shear are linear: where three centres come from says it for all, and OpenCV steps through the rows.
    origin, right, down = _centres_before(operation, np.array([[0, 0], [1, 0], [0, 1]]), image)
    matrix = np.column_stack([right - origin, down - origin, origin])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return moved.reshape(image.shape)


def _centres_before(operation: Operation, places: NDArray[np.generic], image: Pixels) -> NDArray[np.float64]:
    """Return where the centres of the result's pixels, `(n, 2)` columns and rows, come from, in columns and rows."""
    size = (image.shape[1], image.shape[0])
    return sources(operation.kind, operation.numbers, places.astype(np.float64) + 0.5, size) - 0.5


def _through_table(image: Pixels, levels: NDArray[np.float64]) -> Pixels:
    changed = np.array(image, order="C")
    # many bytes at a time, where OpenCV's LUT looks up one after the other
    stringzilla.translate(changed.data, np.rint(levels.clip(0, 255)).astype(np.uint8).tobytes(), inplace=True)
    return changed


def _brighten(image: Pixels, levels: float) -> Pixels:
    return _through_table(image, _LEVELS + levels)


def _stretch(image: Pixels, factor: float) -> Pixels:
    """Move levels away from the image's mean, or towards it: contrast changes and brightness stays."""
    mean = cv2.sumElems(image.reshape(len(image), -1))[0] / image.size
    return _through_table(image, mean + factor * (_LEVELS - mean))


def _bend(image: Pixels, exponent: float) -> Pixels:
    return _through_table(image, 255 * (_LEVELS / 255) ** exponent)


def _blur(image: Pixels, sigma: float) -> Pixels:
    blurred: Pixels = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return blurred.reshape(image.shape)


def _add_noise(image: Pixels, sigma: float, seed: float) -> Pixels:
    """Add normal noise, alike in all channels: grey images stay grey."""
    rng = np.random.Generator(np.random.PCG64(int(seed)))
    noise = rng.standard_normal(image.shape[:2], dtype=np.float32)
    noise *= np.float32(sigma)
    steps = np.rint(noise, out=noise).astype(np.int16)
    grown = steps if image.ndim == 2 else cv2.merge([steps] * image.shape[2])
    noisy: Pixels = cv2.add(image, grown.reshape(image.shape), dtype=cv2.CV_8U)
    return noisy.reshape(image.shape)


def _light_unevenly(image: Pixels, share: float, degrees: float) -> Pixels:
    """Brighten one side by a share and darken the other by the same; `degrees` is where it is bright, clockwise."""
    height, width = image.shape[:2]
    angle = math.radians(degrees)
    across, down = math.cos(angle), math.sin(angle)
    x, y = np.linspace(-across, across, width), np.linspace(-down, down, height)
    plane = 1 + share * (x + y[:, None]) / max(abs(across) + abs(down), 1e-9)
    lit = image * (plane if image.ndim == 2 else plane[:, :, None]).astype(np.float32)
    return np.asarray(np.rint(lit).clip(0, 255), dtype=np.uint8)


_LIGHT: dict[OperationKind, Callable[..., Pixels]] = {
    OperationKind.BRIGHTNESS: _brighten,
    OperationKind.CONTRAST: _stretch,
    OperationKind.GAMMA: _bend,
    OperationKind.BLUR: _blur,
    OperationKind.NOISE: _add_noise,
    OperationKind.UNEVEN_LIGHT: _light_unevenly,
}
