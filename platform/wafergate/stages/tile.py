"""Cut a sample into tiles: which pixels, which labels, what is counted (rule M11)."""

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from wafergate.domain.augmentation import OperationKind
from wafergate.domain.geometry import Box
from wafergate.domain.samples import LabelledBox, Part, Sample
from wafergate.domain.tiling import Fate, TileCount, TilePolicy, place_label, tile_side, tile_windows

__all__ = ["PlannedTile", "TaughtTile", "TilePlan", "count_fates", "plan_tiles", "taught_tiles"]


@dataclass(frozen=True, slots=True)
class PlannedTile:
    """A tile before a pixel is cut: its name, its pixels of the sample, its lineage and its labels."""

    name: str
    window: Box
    part: Part
    boxes: tuple[LabelledBox, ...]


@dataclass(frozen=True, slots=True)
class TilePlan:
    """What comes of one sample.

    Attributes:
        tiles: row by row.
        left_out: tiles that show parts of defects but keep no label; they would pass for normal images.
        fates: how often each class met each fate.
        boxes: boxes per class.
        lost: boxes per class that no tile carries.
    """

    tiles: tuple[PlannedTile, ...]
    left_out: int
    fates: Mapping[tuple[str, Fate], int]
    boxes: Mapping[str, int]
    lost: Mapping[str, int]


def plan_tiles(sample: Sample, policy: TilePolicy) -> TilePlan:
    """Plan the tiles of a sample; `place_label` states the rule for boxes that an edge cuts.

    A tile of a tile goes back to the first original, so that lineage never has more than one step.

    Raises:
        ConfigError: the image has no room for so many tiles.
    """
    tiles, left_out = [], 0
    fates: Counter[tuple[str, Fate]] = Counter()
    carried: set[int] = set()
    for row, column, window in tile_windows(policy, sample.width, sample.height):
        kept, dropped = [], 0
        for place, label in enumerate(sample.boxes):
            placed = place_label(label, window, sample.width, sample.height, min_visible=policy.min_visible)
            if placed is None:
                continue
            fate, cut = placed
            fates[label.defect_class, fate] += 1
            if fate is Fate.DROPPED:
                dropped += 1
            else:
                kept.append(cut)
                carried.add(place)
        if dropped and not kept:
            left_out += 1
            continue
        name = f"{sample.name}.r{row}c{column}.png"
        tiles.append(PlannedTile(name, window, _part(sample, window), tuple(kept)))
    lost = Counter(label.defect_class for place, label in enumerate(sample.boxes) if place not in carried)
    return TilePlan(tuple(tiles), left_out, fates, Counter(sample.classes), lost)


def _part(sample: Sample, window: Box) -> Part:
    if sample.part is None:
        return Part(sample.name, sample.image, window)
    x, y = sample.part.region.x1, sample.part.region.y1
    region = Box(window.x1 + x, window.y1 + y, window.x2 + x, window.y2 + y)
    return Part(sample.part.name, sample.part.image, region)


def count_fates(plans: Iterable[TilePlan], classes: Iterable[str]) -> tuple[TileCount, ...]:
    """Add up what became of the boxes, every class of `classes` named."""
    fates: Counter[tuple[str, Fate]] = Counter()
    boxes: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for plan in plans:
        fates.update(plan.fates)
        boxes.update(plan.boxes)
        lost.update(plan.lost)
    return tuple(
        TileCount(
            name, boxes[name], fates[name, Fate.WHOLE], fates[name, Fate.CLIPPED], fates[name, Fate.DROPPED], lost[name]
        )
        for name in classes
    )


@dataclass(frozen=True, slots=True)
class TaughtTile:
    """A tile that training reads: its pixels of the image, and its labels in its own pixels."""

    window: Box
    boxes: tuple[LabelledBox, ...]


def taught_tiles(
    boxes: Sequence[LabelledBox],
    size: tuple[int, int],
    policy: TilePolicy,
    *,
    operations: Sequence[str] = (),
    seed: str = "",
) -> tuple[TaughtTile, ...]:
    """Cut an image of a training set into the tiles that a model learns from.

    An original gives the tiles of the policy, those without defect too. An augmented image was made for its defects, so
    it gives one tile for each, as large as the policy's, somewhere around it, unless an earlier one shows it whole: a
    grid could cut the very defect it was made for. A tile that shows parts of defects and keeps no label is left out,
    for it would pass for a normal one.

    Args:
        boxes: labels in the pixels of the image.
        size: of the image, width and height, pixels.
        policy: rows, columns, overlap, smallest visible share.
        operations: what made the image, as `wafergate.domain.operations` writes them; nothing for an original.
        seed: where a defect comes to lie in its tile; the same words give the same place.

    Raises:
        ConfigError: an original has no room for so many tiles.
    """
    if not operations:
        windows = [window for _, _, window in tile_windows(policy, *size)]
    else:
        turns = sum(operation in {OperationKind.TURN_90, OperationKind.TURN_270} for operation in operations)
        turned = replace(policy, rows=policy.columns, columns=policy.rows) if turns % 2 else policy
        chance = random.Random(seed)  # noqa: S311 - chooses a place, no secret
        windows = _around(boxes, size, tile_side(turned, size), chance)
    tiles = []
    for window in windows:
        placed = [place_label(box, window, *size, min_visible=policy.min_visible) for box in boxes]
        kept = tuple(label for fate, label in filter(None, placed) if fate is not Fate.DROPPED)
        if kept or (not operations and not any(placed)):
            tiles.append(TaughtTile(window, kept))
    return tuple(tiles)


def _around(
    boxes: Sequence[LabelledBox], size: tuple[int, int], side: tuple[int, int], chance: random.Random
) -> list[Box]:
    """Return a window for each box that no earlier window shows whole."""
    windows: list[Box] = []
    for label in boxes:
        box = label.box
        if any(w.x1 <= box.x1 and w.y1 <= box.y1 and box.x2 <= w.x2 and box.y2 <= w.y2 for w in windows):
            continue
        left = _start(box.x1, box.x2, side[0], size[0], chance)
        top = _start(box.y1, box.y2, side[1], size[1], chance)
        windows.append(Box(left, top, left + side[0], top + side[1]))
    return windows


def _start(low: float, high: float, side: int, length: int, chance: random.Random) -> int:
    """Return where a window of this side begins that shows all from low to high, or else the middle of it."""
    first, last = max(0, math.ceil(high) - side), min(math.floor(low), length - side)
    if first <= last:
        return chance.randint(first, last)
    return min(max(0, round((low + high - side) / 2)), length - side)
