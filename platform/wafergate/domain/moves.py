"""What operations do to sizes, boxes and outlines.

Whole-pixel operations leave a box as exact as it was drawn. What the loosening ones do to it stands at
`transform_labels`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from wafergate.domain.augmentation import LOOSENING, OperationKind
from wafergate.domain.geometry import Box
from wafergate.domain.operations import Operation, changes_light
from wafergate.domain.samples import LabelledBox
from wafergate.domain.warps import outline_after, reach
from wafergate.errors import AugmentError

__all__ = ["result_size", "source_region", "spoils", "transform_box", "transform_labels"]

_K = OperationKind
_TURNED = {_K.TURN_90, _K.TURN_270}
_INVERSE = {_K.TURN_90: _K.TURN_270, _K.TURN_270: _K.TURN_90}
_MIRRORING = LOOSENING | {_K.SHIFT}
_POLYGON_SLACK = 1.0  # an outline through the centres of border pixels lies half a pixel inside its box on every side


def result_size(operations: Sequence[Operation], width: int, height: int) -> tuple[int, int]:
    """Return width and height, pixels, of what the operations make of an image.

    Raises:
        AugmentError: a crop reaches outside the image.
    """
    for operation in operations:
        x1, y1, x2, y2 = operation.window(width, height)
        width, height = x2 - x1, y2 - y1
        if operation.kind in _TURNED:
            width, height = height, width
    return width, height


def transform_box(operations: Sequence[Operation], box: Box, width: int, height: int) -> Box:
    """Return where a box lies after the operations; nothing clips it.

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


# Where x1, y1, x2, y2 of a box lie after the image of this width and height was laid anew.
_LAID: dict[OperationKind, Callable[[float, float, float, float, int, int], Box]] = {
    _K.FLIP_HORIZONTAL: lambda x1, y1, x2, y2, width, _: Box(width - x2, y1, width - x1, y2),
    _K.FLIP_VERTICAL: lambda x1, y1, x2, y2, _, height: Box(x1, height - y2, x2, height - y1),
    _K.TURN_90: lambda x1, y1, x2, y2, _, height: Box(height - y2, x1, height - y1, x2),
    _K.TURN_180: lambda x1, y1, x2, y2, width, height: Box(width - x2, height - y2, width - x1, height - y1),
    _K.TURN_270: lambda x1, y1, x2, y2, width, _: Box(y1, width - x2, y2, width - x1),
}


def _move(operation: Operation, box: Box, width: int, height: int) -> Box:
    x1, y1, x2, y2 = box.as_tuple()
    if operation.kind in _LAID:
        return _LAID[operation.kind](x1, y1, x2, y2, width, height)
    if operation.kind in LOOSENING:
        return _warped(operation, ((x1, y1), (x2, y1), (x2, y2), (x1, y2)), 0.0, (width, height))
    right, down = operation.numbers if operation.kind is _K.SHIFT else (0, 0)
    left, top = operation.window(width, height)[:2]
    return Box(x1 - left + right, y1 - top + down, x2 - left + right, y2 - top + down)


def _warped(operation: Operation, outline: Sequence[tuple[float, float]], slack: float, size: tuple[int, int]) -> Box:
    """Return the axis-aligned box of an outline after a smooth change of shape, `slack` pixels wider on each side."""
    corners = np.asarray(outline, dtype=np.float64)
    steps = max(2, int(np.abs(np.diff(corners, axis=0, append=corners[:1])).max()) + 1)
    share = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    # along the edges as well: a bent edge may bulge beyond its ends
    dense = (corners + share * (np.roll(corners, -1, axis=0) - corners)).reshape(-1, 2)
    moved = outline_after(operation.kind, operation.numbers, dense, size)
    (x1, y1), (x2, y2) = moved.min(axis=0) - slack, moved.max(axis=0) + slack
    return Box(float(x1), float(y1), float(x2), float(y2))


def transform_labels(
    operations: Sequence[Operation], labels: Iterable[LabelledBox], width: int, height: int
) -> tuple[LabelledBox, ...]:
    """Return the labels that remain after the operations, moved; outlines are moved with their boxes.

    A crop keeps what lies inside and drops what lies outside. After a rotation, shear or elastic change the box is the
    smallest one around the moved outline where an outline was drawn, which fits the defect; else around the moved
    rectangle, which is larger than the defect by as much as the rectangle's corners stick out.

    Raises:
        AugmentError: an operation `spoils` a label, or a crop reaches outside the image.
    """
    kept = list(labels)
    for operation in operations:
        for label in kept:
            if spoils(operation, label.box, width, height):
                message = f"{operation} cuts or mirrors the box {label.box.as_tuple()}"
                raise AugmentError(message)
        kept = [
            _move_label(operation, label, width, height)
            for label in kept
            if _shown(operation, label.box, width, height)
        ]
        width, height = result_size((operation,), width, height)
    return tuple(kept)


def _move_label(operation: Operation, label: LabelledBox, width: int, height: int) -> LabelledBox:
    if operation.kind in LOOSENING and len(label.polygon) > 2:
        points = np.asarray(label.polygon, dtype=np.float64)
        moved = outline_after(operation.kind, operation.numbers, points, (width, height))
        box = _warped(operation, label.polygon, _slack(label), (width, height))
        return replace(label, box=box, polygon=tuple((float(x), float(y)) for x, y in moved))
    polygon = tuple(_move_point(operation, point, width, height) for point in label.polygon)
    return replace(label, box=_move(operation, label.box, width, height), polygon=polygon)


def _slack(label: LabelledBox) -> float:
    """Return how far a box stands out from its outline on every side, 0..1 pixel."""
    xs, ys = zip(*label.polygon, strict=True)
    box = label.box
    least: float = min(min(xs) - box.x1, min(ys) - box.y1, box.x2 - max(xs), box.y2 - max(ys))
    return min(max(least, 0.0), _POLYGON_SLACK)


def _move_point(operation: Operation, point: tuple[float, float], width: int, height: int) -> tuple[float, float]:
    moved = _move(operation, Box(*point, *point), width, height)
    return moved.x1, moved.y1


def spoils(operation: Operation, box: Box, width: int, height: int) -> bool:
    """Tell whether an operation would leave a box that no longer says what the image shows.

    A crop spoils a box of which it shows a part but not all that the image shows of it. A shift, rotation, shear or
    elastic change spoils a box in the band along the border that it pushes out or mirrors in.
    """
    left, top, right, bottom = _visible(box, width, height)
    if operation.kind in _MIRRORING:
        x, y = _band(operation, width, height)
        return left < x or right > width - x or top < y or bottom > height - y
    x1, y1, x2, y2 = operation.window(width, height)
    apart = right <= x1 or left >= x2 or bottom <= y1 or top >= y2
    return not apart and not (x1 <= left and y1 <= top and right <= x2 and bottom <= y2)


def _band(operation: Operation, width: int, height: int) -> tuple[float, float]:
    if operation.kind is OperationKind.SHIFT:
        return abs(operation.numbers[0]), abs(operation.numbers[1])
    return reach(operation.kind, operation.numbers, (width, height))


def _visible(box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    """Return what the image shows of a box: one may reach a little beyond the edge, and only this can be cut."""
    return max(box.x1, 0), max(box.y1, 0), min(box.x2, width), min(box.y2, height)


def _shown(operation: Operation, box: Box, width: int, height: int) -> bool:
    """Tell whether a box that is not spoilt is still in the image; only a crop leaves boxes out."""
    if operation.kind not in {OperationKind.CROP, OperationKind.CUT}:
        return True
    x1, y1, x2, y2 = operation.window(width, height)
    left, top, right, bottom = _visible(box, width, height)
    return left < right and top < bottom and x1 <= left < x2 and y1 <= top < y2


def source_region(operations: Sequence[Operation], width: int, height: int) -> Box:
    """Return the part of the original, in its pixels, that the result shows; after a change of shape, all that it may.

    Raises:
        AugmentError: a crop reaches outside the image.
    """
    sizes = [(width, height)]
    for operation in operations:
        sizes.append(result_size((operation,), *sizes[-1]))
    region = Box(0, 0, *sizes[-1])
    for operation, before, after in zip(reversed(operations), reversed(sizes[:-1]), reversed(sizes[1:]), strict=True):
        region = _region_before(operation, region, before, after)
    return region


def _region_before(operation: Operation, region: Box, before: tuple[int, int], after: tuple[int, int]) -> Box:
    if operation.kind in {OperationKind.CROP, OperationKind.CUT}:
        left, top = operation.window(*before)[:2]
        return Box(region.x1 + left, region.y1 + top, region.x2 + left, region.y2 + top)
    if operation.kind is OperationKind.SHIFT:
        right, down = operation.numbers
        x1, x2 = _unmirrored(region.x1 - right, region.x2 - right, before[0])
        y1, y2 = _unmirrored(region.y1 - down, region.y2 - down, before[1])
        return Box(x1, y1, x2, y2)
    if operation.kind in LOOSENING:
        return Box(0, 0, *before)
    if changes_light(operation):
        return region
    return _move(Operation(_INVERSE.get(operation.kind, operation.kind)), region, *after)


def _unmirrored(low: float, high: float, side: int) -> tuple[float, float]:
    """Return the span of a side that a span reaching past its ends shows, what is mirrored there included."""
    ends: list[float] = []
    if low < side and high > 0:
        ends += [max(low, 0.0), min(high, side)]
    if low < 0:
        ends += [max(-high, 0.0), min(-low, side)]
    if high > side:
        ends += [max(2 * side - high, 0.0), min(2 * side - low, side)]
    return min(ends), max(ends)
