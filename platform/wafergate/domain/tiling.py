"""How an image is cut into tiles, and what becomes of the boxes that an edge crosses (rule M11)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from wafergate.domain.geometry import Box
from wafergate.domain.samples import LabelledBox
from wafergate.errors import ConfigError

__all__ = [
    "WHOLE",
    "Fate",
    "TileCount",
    "TilePolicy",
    "Tiling",
    "clip_polygon",
    "place_label",
    "require_room",
    "tile_side",
    "tile_windows",
]

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class TilePolicy:
    """How a line cuts its images, for training and wherever its models judge or inspect; 1 x 1 leaves them whole.

    Attributes:
        rows: tiles from top to bottom.
        columns: tiles from left to right.
        overlap: what neighbouring tiles share: pixels where it is 1 or more, else a share of a tile's side.
        min_visible: smallest share of a box's area that a tile must show to keep its label, 0..1.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    rows: Annotated[int, Ge(1), Le(64)] = 1
    columns: Annotated[int, Ge(1), Le(64)] = 1
    overlap: Annotated[float, Ge(0)] = 0.0
    min_visible: Annotated[float, Gt(0), Le(1)] = 0.5

    def __post_init__(self) -> None:
        if 0.5 < self.overlap < 1 or (self.overlap >= 1 and self.overlap != int(self.overlap)):
            message = f"overlap must be whole pixels, or a share of a tile's side up to 0.5; found {self.overlap:g}"
            raise ValueError(message)

    @property
    def active(self) -> bool:
        """Whether there is anything to cut."""
        return self.rows * self.columns > 1


WHOLE = TilePolicy()
"""Images stay as they are."""


class Fate(StrEnum):
    """What a tile does with a box that it shows."""

    WHOLE = "whole"  # the tile shows all of it that the image shows
    CLIPPED = "clipped"  # the tile's edge cuts it, and enough is left
    DROPPED = "dropped"  # the tile's edge cuts it, and too little is left


@dataclass(frozen=True, slots=True)
class TileCount:
    """What became of the boxes of one defect class.

    Attributes:
        defect_class: the class.
        boxes: of the images that were cut.
        whole: labels on tiles that show the whole box.
        clipped: labels on tiles that show a part of at least the smallest visible share.
        dropped: parts below that share, on tiles that therefore carry no label for them.
        lost: boxes that no tile carries, whole or clipped.
    """

    defect_class: str
    boxes: int
    whole: int
    clipped: int
    dropped: int
    lost: int


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a dataset version of tiles came out of another one.

    Attributes:
        id: from the version that was cut and the policy.
        dataset_id: the version of tiles.
        parent_id: the version that was cut; it stays as it is.
        policy: rows, columns, overlap, smallest visible share.
        images: how many were cut.
        tiles: how many samples came of them.
        left_out: tiles that show parts of defects and keep no label: neither defective nor normal.
        classes: what became of the boxes.
        created_at: when it became visible.
    """

    id: str
    dataset_id: str
    parent_id: str
    policy: TilePolicy
    images: int
    tiles: int
    left_out: int
    classes: tuple[TileCount, ...]
    created_at: datetime


def tile_windows(policy: TilePolicy, width: int, height: int) -> tuple[tuple[int, int, Box], ...]:
    """Return row, column (both from 1) and pixels of every tile, row by row.

    The tiles cover the image; neighbours share exactly the overlap and no others share a pixel; along an axis their
    sides differ by one pixel at most.

    Raises:
        ConfigError: an image of this size has no room for so many tiles.
    """
    columns = _spans(width, policy.columns, policy.overlap, "columns")
    rows = _spans(height, policy.rows, policy.overlap, "rows")
    return tuple(
        (row, column, Box(left, top, right, bottom))
        for row, (top, bottom) in enumerate(rows, start=1)
        for column, (left, right) in enumerate(columns, start=1)
    )


def tile_side(policy: TilePolicy, size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of a tile of an image of this size, pixels; at most the image's, where it has no room."""
    width, height = size
    return (
        min(width, _shared_and_stride(width, policy.columns, policy.overlap)[2]),
        min(height, _shared_and_stride(height, policy.rows, policy.overlap)[2]),
    )


def _shared_and_stride(length: int, count: int, overlap: float) -> tuple[int, int, int]:
    """Return what neighbours share, from where to where they step, and how long one is, pixels."""
    if count == 1:
        return 0, length, length
    shared = int(overlap) if overlap >= 1 else int(overlap * length / (count - (count - 1) * overlap))
    stride = (length - shared) // count
    return shared, stride, max(stride, 1) + shared


def _spans(length: int, count: int, overlap: float, axis: str) -> list[tuple[int, int]]:
    if count == 1:
        return [(0, length)]
    shared, stride, _ = _shared_and_stride(length, count, overlap)
    if stride < max(shared, 1):
        message = (
            f"[tile] {axis} = {count} with an overlap of {shared} pixels does not fit into {length} pixels: a tile "
            f"would share more than half of itself; lower {axis} or overlap"
        )
        raise ConfigError(message)
    ends = [place * (length - shared) // count for place in range(count + 1)]
    return [(ends[place], ends[place + 1] + shared) for place in range(count)]


def require_room(cuts: Iterable[TilePolicy], width: int, height: int) -> None:
    """Check that an image can be cut as often as is asked, each time the tiles of the time before.

    Args:
        cuts: the first one first.
        width: of the image, pixels.
        height: of the image, pixels.

    Raises:
        ConfigError: it is too small; says along which side.
    """
    sizes = {(width, height)}
    for policy in cuts:
        windows = [window for size in sizes for _, _, window in tile_windows(policy, *size)]
        sizes = {(int(window.x2 - window.x1), int(window.y2 - window.y1)) for window in windows}


def place_label(
    label: LabelledBox, window: Box, width: int, height: int, *, min_visible: float
) -> tuple[Fate, LabelledBox] | None:
    """Return what a tile does with a label, and the label in the tile's pixels; None where the tile shows none of it.

    One rule, whatever the class: a box that the tile shows as far as the image does is kept as it was drawn; of a box
    that the tile's edge cuts, the part inside is kept where it is at least `min_visible` of the box's area in the
    image, and is dropped otherwise. Nothing is corrected here: the original keeps its box, and the tile's box is that
    very box seen through a smaller window. A box without area, or wholly outside its image, is kept by the tile
    nearest to its upper left corner, so that validation still reports it.

    Args:
        label: in the pixels of the image.
        window: the tile's pixels of the image.
        width: of the image, pixels.
        height: of the image, pixels.
        min_visible: smallest share of a box's area, 0..1.
    """
    box = label.box
    seen = _shared(box, Box(0, 0, width, height))
    if not seen.area:
        x, y = min(max(box.x1, 0), width - 1), min(max(box.y1, 0), height - 1)
        inside = window.x1 <= x < window.x2 and window.y1 <= y < window.y2
        return (Fate.WHOLE, _shifted(label, window)) if inside else None
    part = _shared(seen, window)
    if not part.area:
        return None
    if part == seen:
        return Fate.WHOLE, _shifted(label, window)
    cut = replace(label, box=part, polygon=clip_polygon(label.polygon, window))
    return (Fate.CLIPPED if part.area >= min_visible * seen.area else Fate.DROPPED), _shifted(cut, window)


def _shared(first: Box, second: Box) -> Box:
    return Box(max(first.x1, second.x1), max(first.y1, second.y1), min(first.x2, second.x2), min(first.y2, second.y2))


def _shifted(label: LabelledBox, window: Box) -> LabelledBox:
    x, y = window.x1, window.y1
    box = Box(label.box.x1 - x, label.box.y1 - y, label.box.x2 - x, label.box.y2 - y)
    return replace(label, box=box, polygon=tuple((px - x, py - y) for px, py in label.polygon))


def clip_polygon(polygon: Sequence[Point], window: Box) -> tuple[Point, ...]:
    """Return the part of an outline inside a window; empty where there is none.

    Edge by edge (I. E. Sutherland, G. W. Hodgman, 'Reentrant polygon clipping', 1974): a concave outline that falls
    into several parts comes back as one, its parts joined along the window's edge.
    """
    points = list(polygon)
    for axis, limit, sign in ((0, window.x1, 1), (0, window.x2, -1), (1, window.y1, 1), (1, window.y2, -1)):
        kept: list[Point] = []
        for first, second in zip(points, points[1:] + points[:1], strict=True):
            before, after = sign * (first[axis] - limit), sign * (second[axis] - limit)
            if before >= 0:
                kept.append(first)
            if before * after < 0:
                share = before / (before - after)
                kept.append((first[0] + share * (second[0] - first[0]), first[1] + share * (second[1] - first[1])))
        points = kept
    return tuple(points)
