"""Prove that nothing that teaches stands in what judges (rules M10, M11)."""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

from wafergate.domain.composites import paste_window
from wafergate.domain.geometry import Box
from wafergate.domain.moves import source_region
from wafergate.domain.operations import parse_operations
from wafergate.domain.samples import Sample
from wafergate.domain.splits import LeakItem, LeakKind, LeakProof
from wafergate.domain.training_rows import TrainingItem

__all__ = ["check_leaks", "item_of_sample", "item_of_training", "items_of_training"]

_EXAMPLES = 5
_Placed = tuple[int, LeakItem]  # side and item; 0 train, 1 validation, 2 test
_SIDE_NAMES = ("train", "validation", "test")


def check_leaks(
    train: Sequence[LeakItem],
    validation: Sequence[LeakItem],
    test: Sequence[LeakItem],
    *,
    near_duplicates: Iterable[tuple[str, str]] = (),
    crowds: Iterable[Sequence[str]] = (),
) -> LeakProof:
    """Compare every pair of images on different sides, and every pair inside the test set.

    Across sides a leak is: the same bytes, the same group, a near-duplicate, one image made from the other, or two
    parts of one original that overlap. Inside the test set a leak is the same bytes under two names, an image beside a
    part of it, or two overlapping parts: the same pixels would judge twice. Disjoint tiles of one image may judge
    together.

    Near-duplicates are an input because what counts as one depends on the product: perceptual hashes alone throw
    different binarised boards together.

    Args:
        train: what is really trained on, augmented files included.
        validation: what chooses thresholds and stops training.
        test: what judges.
        near_duplicates: pairs of item names (or of their originals' names) that show the same thing.
        crowds: names of images that look alike and were not joined; those that cross into test are counted apart.

    Returns:
        The proof. `pairs` counts every pair that a rule was applied to; joins on equal keys look at all of them
        without walking through each.
    """
    placed = [(side, item) for side, items in enumerate((train, validation, test)) for item in items]
    sizes = [len(train), len(validation), len(test)]
    pairs = sum(a * b for a, b in combinations(sizes, 2)) + math.comb(sizes[2], 2)
    found = {
        LeakKind.SAME_BYTES: _same_key(placed, lambda item: item.image, inside_test=True),
        LeakKind.NEAR_DUPLICATE: _near(placed, near_duplicates),
        LeakKind.SAME_GROUP: _same_key(placed, lambda item: item.group),
        **_relatives(placed),
    }
    examples = [
        f"{kind}: {_SIDE_NAMES[a[0]]} {a[1].name} and {_SIDE_NAMES[b[0]]} {b[1].name}"
        for kind, edges in found.items()
        for a, b in edges[1]
    ]
    kinds: dict[str, int] = {kind: found[kind][0] for kind in LeakKind}
    return LeakProof(pairs, sum(kinds.values()), kinds, tuple(examples[:_EXAMPLES]), _crossing(placed, crowds))


def _crossing(placed: Sequence[_Placed], crowds: Iterable[Sequence[str]]) -> int:
    """Count the images of crowds that stand in test and on another side."""
    sides: dict[str, set[int]] = {}
    for side, item in placed:
        for name in {item.name, item.origin}:
            sides.setdefault(name, set()).add(side)
    count = 0
    for crowd in crowds:
        stands = [sides[name] for name in crowd if name in sides]
        reached = set().union(*stands)
        count += len(stands) if 2 in reached and len(reached) > 1 else 0
    return count


_Edges = tuple[int, list[tuple[_Placed, _Placed]]]


def _sharing(placed: Sequence[_Placed], key: Callable[[LeakItem], Hashable]) -> Iterable[list[_Placed]]:
    """Gather the items whose key is not empty and occurs more than once."""
    first: dict[Hashable, _Placed] = {}
    shared: dict[Hashable, list[_Placed]] = {}
    for entry in placed:
        if not (value := key(entry[1])):
            continue
        earlier = first.setdefault(value, entry)
        if earlier is not entry:
            shared.setdefault(value, [earlier]).append(entry)
    return shared.values()


def _same_key(placed: Sequence[_Placed], key: Callable[[LeakItem], Hashable], *, inside_test: bool = False) -> _Edges:
    """Count pairs on different sides, or inside the test as well, whose key is equal and not empty; keep a few."""
    count, examples = 0, []
    for members in _sharing(placed, key):
        held = [[entry for entry in members if entry[0] == side] for side in range(len(_SIDE_NAMES))]
        for first, second in combinations(held, 2):
            count += len(first) * len(second)
            if first and second:
                examples.append((first[0], second[0]))
        test = held[-1] if inside_test else []
        count += math.comb(len(test), 2)
        examples += pairwise(test)
    return count, examples[:_EXAMPLES]


def _near(placed: Sequence[_Placed], pairs: Iterable[tuple[str, str]]) -> _Edges:
    """Count near-duplicate pairs on different sides; what was made of an original is as near as the original."""
    known = tuple(pairs)
    by_name: dict[str, list[_Placed]] = {name: [] for pair in known for name in pair}
    for entry in placed if known else ():
        for name in {entry[1].name, entry[1].origin}:
            if name in by_name:
                by_name[name].append(entry)
    edges = [(a, b) for first, second in known for a in by_name[first] for b in by_name[second] if a[0] != b[0]]
    return len(edges), edges[:_EXAMPLES]


def _relatives(placed: Sequence[_Placed]) -> dict[LeakKind, _Edges]:
    """Find parents, children and overlapping parts among images that go back to one original."""
    families = _sharing(placed, lambda item: item.origin or item.name)
    edges: dict[LeakKind, list[tuple[_Placed, _Placed]]] = {
        LeakKind.PARENT: [],
        LeakKind.CHILD: [],
        LeakKind.OVERLAP: [],
    }
    for kind, first, second in _related(families):
        edges[kind].append((first, second))
    return {kind: (len(found), found[:_EXAMPLES]) for kind, found in edges.items()}


def _related(families: Iterable[Sequence[_Placed]]) -> Iterator[tuple[LeakKind, _Placed, _Placed]]:
    for family in families:
        for first, second in combinations(family, 2):
            inside_test = first[0] == second[0] == 2
            if (first[0] == second[0] and not inside_test) or first[1].name == second[1].name:
                continue
            # `placed` runs from train to test, so `second` is the one that judges.
            if second[1].origin and second[1].origin == first[1].name:
                yield LeakKind.PARENT, first, second
            elif first[1].origin and first[1].origin == second[1].name:
                yield LeakKind.CHILD, first, second
            elif _overlap(first[1].region, second[1].region):
                yield LeakKind.OVERLAP, first, second


def _overlap(first: Box | None, second: Box | None) -> bool:
    """Tell whether two parts share a pixel; None is the whole image, which shares one with every part."""
    if first is None or second is None:
        return True
    width = min(first.x2, second.x2) - max(first.x1, second.x1)
    height = min(first.y2, second.y2) - max(first.y1, second.y1)
    return width > 0 and height > 0


def item_of_sample(sample: Sample, group: str) -> LeakItem:
    """Return a sample as the leak check sees it."""
    if sample.part is None:
        return LeakItem(sample.name, sample.image, group)
    return LeakItem(sample.name, sample.image, group, sample.part.name, sample.part.region)


def item_of_training(item: TrainingItem, original: Sample, group: str) -> LeakItem:
    """Return a training item as the leak check sees it.

    Args:
        item: what is trained on.
        original: the sample it was made from.
        group: the group of that sample.
    """
    if not item.operations:
        # The trained file may hold composed channels; the original's bytes are what may lie on another side.
        return item_of_sample(original, group)
    operations = parse_operations(item.operations)
    name = f"{original.name}#{','.join(item.operations)}"
    region = source_region(operations, original.width, original.height)
    return _placed(LeakItem(name, item.image, group, original.name, region), original)


def _placed(item: LeakItem, original: Sample) -> LeakItem:
    """Return an item that shows pixels of a tile as one of the image that the tile was cut from."""
    if original.part is None or item.region is None:
        return item
    left, top = original.part.region.x1, original.part.region.y1
    shown = item.region
    whole = Box(shown.x1 + left, shown.y1 + top, shown.x2 + left, shown.y2 + top)
    return replace(item, origin=original.part.name, region=whole)


def items_of_training(item: TrainingItem, parents: Sequence[tuple[Sample, str]]) -> list[LeakItem]:
    """Return a training item as the leak check sees it, once for each of its parents.

    Args:
        item: what is trained on.
        parents: sample and group of its origin and, for a composite, of the donor whose defect was pasted.
    """
    items = [item_of_training(item, *parents[0])]
    for donor, group in parents[1:]:
        index = int(parse_operations(item.operations)[0].numbers[0])
        window = paste_window(donor.boxes[index], donor.width, donor.height)
        name = f"{donor.name}#{item.origin},{','.join(item.operations)}"
        items.append(_placed(LeakItem(name, item.image, group, donor.name, Box(*window)), donor))
    return items
