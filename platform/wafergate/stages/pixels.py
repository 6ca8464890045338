"""Carry out augmentation operations on arrays, exact to the pixel: no value is interpolated."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.operations import Operation, parse_operations, result_size
from wafergate.domain.training import OperationKind

__all__ = ["apply_operations"]

Image = NDArray[np.generic]


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
        result = _apply(operation, result)
    return np.array(result, order="C")


def _apply(operation: Operation, image: Image) -> Image:
    match operation.kind:
        case OperationKind.FLIP_HORIZONTAL:
            return image[:, ::-1]
        case OperationKind.FLIP_VERTICAL:
            return image[::-1]
        case OperationKind.TURN_90:
            return np.rot90(image, k=-1)
        case OperationKind.TURN_180:
            return image[::-1, ::-1]
        case OperationKind.TURN_270:
            return np.rot90(image, k=1)
        case OperationKind.CROP:
            result_size((operation,), image.shape[1], image.shape[0])
            x1, y1, x2, y2 = operation.window
            return image[y1:y2, x1:x2]
