"""Carry out augmentation operations on arrays, exact to the pixel: no value is interpolated."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wafergate.domain.operations import Operation, parse_operations, result_size
from wafergate.domain.training import OperationKind

__all__ = ["apply_operations"]

Image = NDArray[np.generic]
_CV2_TYPES = (np.uint8, np.uint16, np.float32)
_TURNS = {
    OperationKind.TURN_90: cv2.ROTATE_90_CLOCKWISE,
    OperationKind.TURN_180: cv2.ROTATE_180,
    OperationKind.TURN_270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_FLIPS = {OperationKind.FLIP_HORIZONTAL: 1, OperationKind.FLIP_VERTICAL: 0}


def apply_operations(operations: Sequence[str], image: Image) -> Image:
    """Return what the operations make of an image, a golden reference or a mask.

    Args:
        operations: as stored, e.g. `("crop:10,20,106,116", "turn_90")`; applied in order.
        image: `(height, width)` or `(height, width, channels)`, any type of value.

    Returns:
        A contiguous array of its own with the same values, moved.

    Raises:
        AugmentError: a text is no operation, or a crop reaches outside the image.
    """
    result = image
    for operation in parse_operations(operations):
        if operation.kind is OperationKind.CROP:
            result_size((operation,), result.shape[1], result.shape[0])
            x1, y1, x2, y2 = operation.window
            result = result[y1:y2, x1:x2]
        elif _suits_cv2(result):
            result = _move_fast(operation, result)
        else:
            result = _move(operation, result)
    return np.array(result, order="C") if np.may_share_memory(result, image) else np.ascontiguousarray(result)


def _suits_cv2(image: Image) -> bool:
    """OpenCV drops a single channel's axis and knows few types, but mirrors three channels three times as fast."""
    return image.dtype in _CV2_TYPES and (image.ndim == 2 or 2 <= image.shape[2] <= 4)


def _move_fast(operation: Operation, image: Image) -> Image:
    moved: Image
    if operation.kind in _TURNS:
        moved = cv2.rotate(image, _TURNS[operation.kind])
    else:
        moved = cv2.flip(image, _FLIPS[operation.kind])
    return moved


def _move(operation: Operation, image: Image) -> Image:
    match operation.kind:
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
