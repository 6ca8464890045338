"""What differs between two dataset versions: image by image, box by box.

Matching is ours. Images belong together by name, else by their bytes. Boxes of an image belong together when they are
drawn alike, exact matches first; what is left is paired by largest overlap. Nothing here judges who is right.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.geometry import iou_matrix
from wafergate.domain.samples import LabelledBox, Sample

__all__ = [
    "SAME_BOX_IOU",
    "BoxChange",
    "BoxChangeKind",
    "Changes",
    "ImageChange",
    "ImageChangeKind",
    "compare_boxes",
    "compare_samples",
]

SAME_BOX_IOU = 0.1
"""Overlap from which two boxes may be one box drawn anew; below it they have nothing to do with each other (D. Bolya et
al., 'TIDE', ECCV 2020)."""


class BoxChangeKind(StrEnum):
    """What became of a box."""

    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"
    RELABELLED = "relabelled"


class ImageChangeKind(StrEnum):
    """What became of an image; `changed` where its file is untouched and what is told of it is not."""

    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    REPLACED = "replaced"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class BoxChange:
    """One box that differs.

    Attributes:
        kind: `relabelled` where the label differs, moved as well or not; `moved` where corners or outline differ.
        before: the older box; None where it was added.
        after: the newer box; None where it was removed.
        before_index: its 0-based place among the older image's boxes.
        after_index: its 0-based place among the newer image's boxes.
        iou: overlap of the two, 0..1, swapped corners put right first; None where there is only one.
    """

    kind: BoxChangeKind
    before: LabelledBox | None
    after: LabelledBox | None
    before_index: int | None
    after_index: int | None
    iou: float | None

    def __str__(self) -> str:
        """Tell it in one line."""
        if self.before is None or self.after is None:
            return f"{self.kind} {_told(self.after or self.before)}"
        if self.kind is BoxChangeKind.RELABELLED:
            moved = "" if self.before.box == self.after.box else f", now {_corners(self.after)} (IoU {self.iou:.2f})"
            return f"{self.kind} {_told(self.before)} to {_name(self.after)}{moved}"
        if self.before.box == self.after.box:
            return f"{self.kind} {_told(self.before)}: its outline"
        return f"{self.kind} {_told(self.before)} to {_corners(self.after)} (IoU {self.iou:.2f})"


@dataclass(frozen=True, slots=True)
class ImageChange:
    """One image that differs.

    Attributes:
        kind: what became of its file.
        name: its name in the newer version, or in the older where it was removed.
        before: its name in the older version; empty where it was added.
        boxes: its boxes that differ; every box of an image that came or went.
        told: what else is told otherwise, sorted: metadata keys, and `golden reference`.
    """

    kind: ImageChangeKind
    name: str
    before: str
    boxes: tuple[BoxChange, ...]
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that differs between two dataset versions.

    Attributes:
        images: the images that differ, in the order of their names.
        unchanged: how many images are the same in everything.
    """

    images: tuple[ImageChange, ...]
    unchanged: int

    @property
    def image_counts(self) -> dict[ImageChangeKind, int]:
        """How many images came to each end, every kind named."""
        found = Counter(image.kind for image in self.images)
        return {kind: found[kind] for kind in ImageChangeKind}

    @property
    def box_counts(self) -> dict[BoxChangeKind, int]:
        """How many boxes came to each end, every kind named."""
        found = Counter(box.kind for image in self.images for box in image.boxes)
        return {kind: found[kind] for kind in BoxChangeKind}


def compare_samples(before: Sequence[Sample], after: Sequence[Sample]) -> Changes:
    """Return what differs between the samples of two dataset versions.

    An image found under its name is the same image (`replaced` where its bytes differ); one whose name is gone and
    whose bytes stand under a new name was renamed, in order of names where several have the same bytes.
    """
    old, new = ({sample.name: sample for sample in samples} for samples in (before, after))
    pairs: list[tuple[Sample | None, Sample | None]] = [(old[name], new[name]) for name in old.keys() & new.keys()]
    pairs += _by_bytes(
        [old[name] for name in sorted(old.keys() - new.keys())], [new[name] for name in sorted(new.keys() - old.keys())]
    )
    changed = [change for change in (_image_change(*pair) for pair in pairs) if change is not None]
    changed.sort(key=lambda change: (change.name, change.kind))
    return Changes(tuple(changed), len(pairs) - len(changed))


def _by_bytes(gone: Sequence[Sample], come: Sequence[Sample]) -> list[tuple[Sample | None, Sample | None]]:
    waiting: dict[str, list[Sample]] = defaultdict(list)
    for sample in reversed(gone):
        waiting[sample.image].append(sample)
    pairs: list[tuple[Sample | None, Sample | None]] = [
        (waiting[sample.image].pop() if waiting[sample.image] else None, sample) for sample in come
    ]
    return pairs + [(sample, None) for left in waiting.values() for sample in left]


def _image_change(before: Sample | None, after: Sample | None) -> ImageChange | None:
    boxes = compare_boxes(before.boxes if before else (), after.boxes if after else ())
    if before is None or after is None:
        kind = ImageChangeKind.REMOVED if after is None else ImageChangeKind.ADDED
        only = after or before
        return ImageChange(kind, only.name if only else "", before.name if before else "", boxes)
    told = _told_otherwise(before.metadata, after.metadata)
    if before.reference != after.reference:
        told = tuple(sorted({*told, "golden reference"}))
    if before.image != after.image:
        kind = ImageChangeKind.REPLACED
    else:
        kind = ImageChangeKind.CHANGED if before.name == after.name else ImageChangeKind.RENAMED
    if kind is ImageChangeKind.CHANGED and not boxes and not told:
        return None
    return ImageChange(kind, after.name, before.name, boxes, told)


def _told_otherwise(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)))


def compare_boxes(before: Sequence[LabelledBox], after: Sequence[LabelledBox]) -> tuple[BoxChange, ...]:
    """Return the boxes of one image that differ; their order in the image does not count.

    First equal boxes are taken out, then boxes with equal corners are paired (same label first), then the pair with the
    largest overlap, again and again, down to `SAME_BOX_IOU`; of equal overlaps one with the same label goes first. What
    is left was added or removed. A corrected box that no longer overlaps its old self counts as removed and added.

    Returns:
        Changes in the order of the older boxes, then what was added.

    Example:
        >>> from wafergate.domain.geometry import Box
        >>> old, new = (LabelledBox("spur", "spur", Box(0, 0, 10, side)) for side in (10, 8))
        >>> [str(change) for change in compare_boxes([old], [new])]
        ['moved spur [0, 0, 10, 10] to [0, 0, 10, 8] (IoU 0.80)']
    """
    olds, news = _without_equal(before, after)
    pairs: list[tuple[int, int, float]] = []
    if olds and news:
        pairs = _paired(before, after, olds, news)
    found = [_change(before, after, old, new, iou) for old, new, iou in pairs]
    used_old, used_new = {old for old, _, _ in pairs}, {new for _, new, _ in pairs}
    found += [
        BoxChange(BoxChangeKind.REMOVED, before[old], None, old, None, None) for old in olds if old not in used_old
    ]
    found.sort(key=lambda change: change.before_index or 0)
    added = [BoxChange(BoxChangeKind.ADDED, None, after[new], None, new, None) for new in news if new not in used_new]
    return (*found, *added)


def _without_equal(before: Sequence[LabelledBox], after: Sequence[LabelledBox]) -> tuple[list[int], list[int]]:
    waiting: dict[LabelledBox, list[int]] = defaultdict(list)
    for index in reversed(range(len(before))):
        waiting[before[index]].append(index)
    news = []
    for index, box in enumerate(after):
        if waiting[box]:
            waiting[box].pop()
        else:
            news.append(index)
    return sorted(index for left in waiting.values() for index in left), news


def _paired(
    before: Sequence[LabelledBox], after: Sequence[LabelledBox], olds: Sequence[int], news: Sequence[int]
) -> list[tuple[int, int, float]]:
    first, second = _upright([before[index] for index in olds]), _upright([after[index] for index in news])
    iou = iou_matrix(first, second)
    # equal corners are the same box even where it has no area and so overlaps nothing
    iou[(first[:, None, :] == second[None, :, :]).all(axis=2)] = 1.0
    rows, columns = np.nonzero(iou >= SAME_BOX_IOU)
    old_names, new_names = [_name(before[index]) for index in olds], [_name(after[index]) for index in news]
    other = np.array(old_names, dtype=object)[rows] != np.array(new_names, dtype=object)[columns]
    ranked = np.lexsort([columns, rows, other.astype(np.int64), -iou[rows, columns]])
    pairs, free_old, free_new = [], set(range(len(olds))), set(range(len(news)))
    for row, column in zip(rows[ranked].tolist(), columns[ranked].tolist(), strict=True):
        if row in free_old and column in free_new:
            free_old.remove(row)
            free_new.remove(column)
            pairs.append((olds[row], news[column], float(iou[row, column])))
    return pairs


def _upright(boxes: Sequence[LabelledBox]) -> NDArray[np.float64]:
    corners = np.array([item.box.as_tuple() for item in boxes], dtype=np.float64)
    left_top = np.minimum(corners[:, :2], corners[:, 2:])
    return np.hstack([left_top, np.maximum(corners[:, :2], corners[:, 2:])])


def _change(before: Sequence[LabelledBox], after: Sequence[LabelledBox], old: int, new: int, iou: float) -> BoxChange:
    relabelled = _name(before[old]) != _name(after[new])
    kind = BoxChangeKind.RELABELLED if relabelled else BoxChangeKind.MOVED
    return BoxChange(kind, before[old], after[new], old, new, iou)


def _name(box: LabelledBox) -> str:
    """Name a box by its class, and by the label it was drawn under where that is another."""
    same = box.raw_label == box.defect_class
    return box.defect_class if same else f"{box.defect_class} ({box.raw_label})"


def _corners(box: LabelledBox) -> str:
    return f"[{', '.join(f'{value:.6g}' for value in box.box.as_tuple())}]"


def _told(box: LabelledBox | None) -> str:
    return f"{_name(box)} {_corners(box)}" if box else ""
