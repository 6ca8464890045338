"""Which detection finds which defect, over whole sets of images at once, as COCO does it.

Within an image and a class the detections, best score first, each take the free instance they overlap most (T.-Y. Lin
et al., 'Microsoft COCO: Common Objects in Context', ECCV 2014, and its reference code, also in its ties: of two equal
overlaps the later instance is taken, of two equal scores the earlier detection goes first). Two differences are
meant: no detection is dropped after the 100th, and no instance is ignored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.words import counted
from wafergate.errors import TrainingError

__all__ = [
    "NEAR",
    "FlatBoxes",
    "Matching",
    "Pairs",
    "Scene",
    "flatten",
    "flatten_scene",
    "greedy",
    "match",
    "pair_up",
]

Indices = NDArray[np.int64]
Values = NDArray[np.float64]

NEAR = 0.1
"""Overlap below which a box has nothing to do with a defect (D. Bolya et al., 'TIDE', ECCV 2020)."""

_PAIRS_AT_ONCE = 200_000  # some 20 MB of working memory; larger blocks fall out of the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class FlatBoxes:
    """The boxes of many images in one piece, in the order of the images.

    Attributes:
        boxes: `(n, 4)` x1, y1, x2, y2 in pixels.
        classes: `(n,)` class indices.
        offsets: `(images + 1,)`; the boxes of image i are `offsets[i]` to `offsets[i + 1]`.
    """

    boxes: Values
    classes: Indices
    offsets: Indices

    @property
    def images(self) -> Indices:
        """`(n,)` index of the image of every box."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The truth and the detections of the same images; `scores` is `(detections,)`."""

    truth: FlatBoxes
    detections: FlatBoxes
    scores: NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Detections and instances of the same image that overlap.

    Attributes:
        detections: `(p,)` indices of detections.
        instances: `(p,)` indices of instances.
        iou: `(p,)` their intersection over union.
    """

    detections: Indices
    instances: Indices
    iou: Values

    def where(self, keep: NDArray[np.bool_]) -> "Pairs":
        """Return the pairs that a mask keeps."""
        return Pairs(self.detections[keep], self.instances[keep], self.iou[keep])


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """What became of every detection and every instance, whatever the operating threshold.

    A detection's match never depends on detections of lower score, so one matching over all scores serves every
    threshold: what lies below it is simply left out.

    Attributes:
        ious: the overlaps from which a detection counts; the first is the line's.
        rank: `(detections,)` place by score in the whole set, 0 for the best; of equal scores the earlier comes first.
        hits: `(len(ious), detections)` whether a detection found an instance of its class.
        instance: `(detections,)` the instance found at the line's IoU; -1 for none.
        same: `(detections,)` largest IoU with an instance of its class; 0 when below `NEAR`.
        other: `(detections,)` largest IoU with an instance of another class; 0 when below `NEAR`.
        found: `(instances,)` score of the detection that found it at the line's IoU; -1 when none did.
        near: `(instances,)` best score of a detection of its class that lies near but found nothing; -1 for none.
        crossings: pairs of different classes whose IoU is at least the line's.
    """

    ious: tuple[float, ...]
    rank: Indices
    hits: NDArray[np.bool_]
    instance: Indices
    same: Values
    other: Values
    found: Values
    near: Values
    crossings: Pairs


def flatten(items: Sequence[Truth] | Sequence[Detections]) -> FlatBoxes:
    """Put the boxes of many images into one piece."""
    offsets = np.zeros(len(items) + 1, dtype=np.int64)
    np.cumsum([len(item) for item in items], out=offsets[1:])
    if not offsets[-1]:
        return FlatBoxes(np.zeros((0, 4)), np.zeros(0, np.int64), offsets)
    boxes = np.concatenate([item.boxes for item in items], dtype=np.float64)
    return FlatBoxes(boxes, np.concatenate([item.classes for item in items], dtype=np.int64), offsets)


def flatten_scene(truth: Sequence[Truth], detections: Sequence[Detections], classes: int) -> Scene:
    """Put truth and detections of the same images into one piece each and check them once.

    Args:
        truth: labelled boxes of every image.
        detections: of the same images in the same order.
        classes: how many classes there are.

    Raises:
        TrainingError: a score or a box is not a finite number: the model is broken.
        ValueError: the sequences differ in length, or an index is no class.
    """
    if len(truth) != len(detections):
        message = f"every image needs its truth and its detections, found {len(truth)} and {len(detections)}"
        raise ValueError(message)
    known, said = flatten(truth), flatten(detections)
    for boxes, what in ((known, "instance"), (said, "detection")):
        if len(boxes.classes) and not 0 <= boxes.classes.min() <= boxes.classes.max() < classes:
            message = f"class indices must lie in 0..{classes - 1}, found another at some {what}"
            raise ValueError(message)
    scores = np.concatenate([np.zeros(0, np.float32), *(item.scores for item in detections)])
    broken = np.flatnonzero(~(np.isfinite(scores) & np.isfinite(said.boxes).all(axis=1)))
    if len(broken):
        message = (
            f"scores and boxes must be finite, found {counted(len(broken), 'detection')} that are not, the first on "
            f"image {said.images[broken[0]]} of the set: the model is broken; train it again with a lower learning rate"
        )
        raise TrainingError(message)
    return Scene(known, said, scores)


def _overlaps(truth: FlatBoxes, detections: FlatBoxes, found: Indices, instances: Indices, least: float) -> Pairs:
    a, b = detections.boxes, truth.boxes
    width = np.minimum(a[found, 2], b[instances, 2]) - np.maximum(a[found, 0], b[instances, 0])
    touching = np.flatnonzero(width > 0)  # most pairs end here, before the dearer half of the arithmetic
    found, instances, width = found[touching], instances[touching], width[touching]
    height = np.minimum(a[found, 3], b[instances, 3]) - np.maximum(a[found, 1], b[instances, 1])
    shared = width * np.clip(height, 0, None)
    area_a = (a[found, 2] - a[found, 0]) * np.clip(a[found, 3] - a[found, 1], 0, None)
    area_b = (b[instances, 2] - b[instances, 0]) * np.clip(b[instances, 3] - b[instances, 1], 0, None)
    union = area_a + area_b - shared
    iou = np.divide(shared, union, out=np.zeros_like(union), where=union > 0)
    return Pairs(found, instances, iou).where(iou >= least)


def pair_up(truth: FlatBoxes, detections: FlatBoxes, *, least: float) -> Iterator[Pairs]:
    """Yield all pairs of a detection and an instance of the same image with an IoU of at least `least`.

    The pairs come in blocks of whole images, so that memory depends on the block and not on the set.
    """
    per_image = np.diff(truth.offsets)
    image_of = detections.images
    possible = per_image[image_of]
    ends = np.concatenate([[0], np.cumsum(possible)])[detections.offsets]  # possible pairs before each image
    first = 0
    while first < len(per_image):
        last = max(first + 1, int(np.searchsorted(ends, ends[first] + _PAIRS_AT_ONCE, side="right")) - 1)
        block = np.arange(detections.offsets[first], detections.offsets[last])
        if ends[last] > ends[first]:
            parts = [
                _overlaps(truth, detections, *_candidates(truth, part, possible[part], image_of[part]), least)
                for part in _portions(block, possible[block])
            ]
            yield _joined(parts)
        first = last


def _portions(block: Indices, possible: Indices) -> list[Indices]:
    total = np.cumsum(possible)
    if total[-1] <= _PAIRS_AT_ONCE:
        return [block]
    return np.split(block, np.flatnonzero(np.diff(total // _PAIRS_AT_ONCE)) + 1)


def _candidates(truth: FlatBoxes, block: Indices, possible: Indices, image_of: Indices) -> tuple[Indices, Indices]:
    found = np.repeat(block, possible)
    start = truth.offsets[image_of] - (np.cumsum(possible) - possible)
    return found, np.arange(len(found)) + np.repeat(start, possible)


def greedy(rank: Indices, pairs: Pairs) -> Pairs:
    """Let detections in the order of `rank` each take the free instance they overlap most.

    All images and classes are solved side by side: every detection asks for the instance it overlaps most, an instance
    keeps the best-ranked that asks, the others ask for their next. As all instances rank the detections alike, the
    only stable outcome (D. Gale and L. S. Shapley, 1962) is the one that taking turns gives.

    Args:
        rank: `(detections,)` distinct places, 0 first.
        pairs: the pairs that count, all of them.

    Returns:
        The pairs that came together: no detection and no instance twice.
    """
    return _settle(_in_turn(rank, pairs))


def _in_turn(rank: Indices, pairs: Pairs) -> Pairs:
    order = np.lexsort((-pairs.instances, -pairs.iou, rank[pairs.detections]))
    return Pairs(pairs.detections[order], pairs.instances[order], pairs.iou[order])


def _settle(pairs: Pairs) -> Pairs:
    """Solve pairs sorted by rank and, within a detection, by preference."""
    if not len(pairs.iou):
        return pairs
    base = pairs.instances.min()
    wanted = pairs.instances - base
    starts = np.flatnonzero(np.diff(pairs.detections, prepend=-1))
    ends = np.append(starts[1:], len(wanted))
    nobody = len(starts)  # detections are numbered 0, 1 … by rank here, so that the smaller number is the better
    holder = np.full(wanted.max() + 1, nobody, dtype=np.int64)
    place = starts.copy()
    asking = np.arange(nobody)
    while len(asking):
        target = wanted[place[asking]]
        before = holder[target]
        np.minimum.at(holder, target, asking)
        after = holder[target]
        ousted = np.unique(before[(before != after) & (before < nobody)])
        asking = np.concatenate([asking[asking != after], ousted])
        place[asking] += 1
        asking = asking[place[asking] < ends[asking]]
    chosen = place[holder[holder < nobody]]
    return Pairs(pairs.detections[chosen], pairs.instances[chosen], pairs.iou[chosen])


def match(scene: Scene, ious: Sequence[float]) -> Matching:
    """Match the detections of a whole set with its instances, class by class.

    Args:
        scene: truth and detections.
        ious: overlaps from which a detection counts; the first is the line's, the others only fill `hits`.
    """
    truth, detections, scores = scene.truth, scene.detections, scene.scores
    count, instances = len(scores), len(truth.classes)
    rank = np.empty(count, dtype=np.int64)
    rank[np.argsort(-scores, kind="stable")] = np.arange(count)
    hits = np.zeros((len(ious), count), dtype=np.bool_)
    instance = np.full(count, -1, dtype=np.int64)
    same, other = np.zeros(count), np.zeros(count)
    found, near = np.full(instances, -1.0), np.full(instances, -1.0)
    crossings = [_joined([])]
    for block in pair_up(truth, detections, least=min(NEAR, *ious)):
        agree = detections.classes[block.detections] == truth.classes[block.instances]
        own, foreign = _in_turn(rank, block.where(agree)), block.where(~agree)
        np.maximum.at(same, own.detections, own.iou)
        np.maximum.at(other, foreign.detections, foreign.iou)
        crossings.append(foreign.where(foreign.iou >= ious[0]))
        for row, iou in enumerate(ious):
            settled = _settle(own.where(own.iou >= iou))
            hits[row, settled.detections] = True
            if row == 0:
                instance[settled.detections] = settled.instances
                found[settled.instances] = scores[settled.detections]
        idle = own.where(~hits[0, own.detections] & (own.iou < ious[0]))
        np.maximum.at(near, idle.instances, scores[idle.detections].astype(np.float64))
    return Matching(tuple(ious), rank, hits, instance, same, other, found, near, _joined(crossings))


def _joined(parts: Sequence[Pairs]) -> Pairs:
    return Pairs(
        np.concatenate([np.zeros(0, np.int64), *(part.detections for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.instances for part in parts)]),
        np.concatenate([np.zeros(0), *(part.iou for part in parts)]),
    )
