"""The geometry of augmentation: operations as text, and what they do to sizes and boxes, exact to the pixel.

An operation is stored as `flip_horizontal`, `turn_90` or `crop:x1,y1,x2,y2`; a list of them is applied in order, each
to the result of the one before. Free rotation, shear and elastic change are not here: the axis-aligned box of a rotated
box is larger than the defect, so labels would loosen without anybody having drawn them (rule M4).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from wafergate.domain.geometry import Box
from wafergate.domain.samples import LabelledBox
from wafergate.domain.training import OperationKind
from wafergate.errors import AugmentError

__all__ = [
    "Operation",
    "crop_cuts",
    "parse_operations",
    "result_size",
    "source_region",
    "transform_box",
    "transform_labels",
]

_TURNED = {OperationKind.TURN_90, OperationKind.TURN_270}
_INVERSE = {OperationKind.TURN_90: OperationKind.TURN_270, OperationKind.TURN_270: OperationKind.TURN_90}


@dataclass(frozen=True, slots=True)
class Operation:
    """One augmentation step.

    Attributes:
        kind: what is done; turns are clockwise.
        window: for a crop, the pixels that are kept: x1, y1, x2, y2, the last two not included; else empty.
    """

    kind: OperationKind
    window: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if (not self._opens()) if self.kind is OperationKind.CROP else bool(self.window):
            message = f"{self.kind} cannot have the window {self.window}; a crop needs 0 <= x1 < x2 and 0 <= y1 < y2"
            raise AugmentError(message)

    def _opens(self) -> bool:
        if len(self.window) != 4:
            return False
        x1, y1, x2, y2 = self.window
        return 0 <= x1 < x2 and 0 <= y1 < y2

    def __str__(self) -> str:
        """Write the operation as it is stored."""
        return f"{self.kind}:{','.join(map(str, self.window))}" if self.window else str(self.kind)


def parse_operations(texts: Iterable[str]) -> tuple[Operation, ...]:
    """Read operations as they are stored.

    Raises:
        AugmentError: a text names no operation or has a wrong window.
    """
    return tuple(_parse(text) for text in texts)


def _parse(text: str) -> Operation:
    name, _, numbers = text.partition(":")
    try:
        kind = OperationKind(name)
        window = tuple(int(number) for number in numbers.split(",")) if numbers else ()
    except ValueError as error:
        message = f"{text!r} is no operation; there are {', '.join(OperationKind)}, a crop as crop:x1,y1,x2,y2"
        raise AugmentError(message) from error
    return Operation(kind, window)


def result_size(operations: Sequence[Operation], width: int, height: int) -> tuple[int, int]:
    """Return width and height, pixels, of what the operations make of an image.

    Raises:
        AugmentError: a crop reaches outside the image.
    """
    for operation in operations:
        if operation.kind is OperationKind.CROP:
            x1, y1, x2, y2 = operation.window
            if x2 > width or y2 > height:
                message = f"{operation} reaches outside an image of {width} x {height} pixels"
                raise AugmentError(message)
            width, height = x2 - x1, y2 - y1
        elif operation.kind in _TURNED:
            width, height = height, width
    return width, height


def transform_box(operations: Sequence[Operation], box: Box, width: int, height: int) -> Box:
    """Return where a box lies after the operations; a crop shifts it and never clips it.

    Args:
        operations: in order.
        box: pixels of the image.
        width: of the image, pixels.
        height: of the image, pixels.
    """
    for operation in operations:
        box = _move(operation, box, width, height)
        width, height = result_size((operation,), width, height)
    return box


def _move(operation: Operation, box: Box, width: int, height: int) -> Box:
    x1, y1, x2, y2 = box.as_tuple()
    match operation.kind:
        case OperationKind.FLIP_HORIZONTAL:
            return Box(width - x2, y1, width - x1, y2)
        case OperationKind.FLIP_VERTICAL:
            return Box(x1, height - y2, x2, height - y1)
        case OperationKind.TURN_90:
            return Box(height - y2, x1, height - y1, x2)
        case OperationKind.TURN_180:
            return Box(width - x2, height - y2, width - x1, height - y1)
        case OperationKind.TURN_270:
            return Box(y1, width - x2, y2, width - x1)
        case OperationKind.CROP:
            left, top = operation.window[:2]
            return Box(x1 - left, y1 - top, x2 - left, y2 - top)


def transform_labels(
    operations: Sequence[Operation], labels: Iterable[LabelledBox], width: int, height: int
) -> tuple[LabelledBox, ...]:
    """Return the labels that remain after the operations, moved; outlines are moved with their boxes.

    A crop keeps what lies inside and drops what lies outside.

    Raises:
        AugmentError: a crop cuts a box, or reaches outside the image.
    """
    kept = list(labels)
    for operation in operations:
        if operation.kind is OperationKind.CROP:
            result_size((operation,), width, height)
            kept = [label for label in kept if _inside(operation, label.box, width, height)]
        kept = [
            replace(
                label,
                box=_move(operation, label.box, width, height),
                polygon=tuple(_move_point(operation, point, width, height) for point in label.polygon),
            )
            for label in kept
        ]
        width, height = result_size((operation,), width, height)
    return tuple(kept)


def _move_point(operation: Operation, point: tuple[float, float], width: int, height: int) -> tuple[float, float]:
    moved = _move(operation, Box(*point, *point), width, height)
    return moved.x1, moved.y1


def crop_cuts(crop: Operation, box: Box, width: int, height: int) -> bool:
    """Tell whether a crop shows a part of a box but not all that the image shows of it."""
    x1, y1, x2, y2 = crop.window
    left, top, right, bottom = _visible(box, width, height)
    apart = right <= x1 or left >= x2 or bottom <= y1 or top >= y2
    return not apart and not (x1 <= left and y1 <= top and right <= x2 and bottom <= y2)


def _visible(box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    """Return what the image shows of a box: one may reach a little beyond the edge, and only this can be cut."""
    return max(box.x1, 0), max(box.y1, 0), min(box.x2, width), min(box.y2, height)


def _inside(crop: Operation, box: Box, width: int, height: int) -> bool:
    if crop_cuts(crop, box, width, height):
        message = f"{crop} cuts the box {box.as_tuple()}"
        raise AugmentError(message)
    x1, y1, x2, y2 = crop.window
    left, top, right, bottom = _visible(box, width, height)
    return left < right and top < bottom and x1 <= left < x2 and y1 <= top < y2


def source_region(operations: Sequence[Operation], width: int, height: int) -> Box:
    """Return the part of the original, in its pixels, that the result of the operations shows."""
    sizes = [(width, height)]
    for operation in operations:
        sizes.append(result_size((operation,), *sizes[-1]))
    region = Box(0, 0, *sizes[-1])
    for operation, size in zip(reversed(operations), reversed(sizes[1:]), strict=True):
        if operation.kind is OperationKind.CROP:
            left, top = operation.window[:2]
            region = Box(region.x1 + left, region.y1 + top, region.x2 + left, region.y2 + top)
        else:
            region = _move(Operation(_INVERSE.get(operation.kind, operation.kind)), region, *size)
    return region
