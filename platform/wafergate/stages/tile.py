"""Cut a sample into tiles: which pixels, which labels, what is counted (rule M11)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wafergate.domain.geometry import Box
from wafergate.domain.samples import LabelledBox, Part, Sample
from wafergate.domain.tiling import Fate, TileCount, TilePolicy, place_label, tile_windows

__all__ = ["PlannedTile", "TilePlan", "count_fates", "plan_tiles"]


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
