"""Leave copies out of a split and overlapping tiles out of its test, so that no pixel judges twice (rule M11)."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from wafergate.domain.geometry import Box
from wafergate.domain.samples import Sample, count_classes
from wafergate.domain.splits import Assignment, Side, SplitPolicy
from wafergate.errors import SplitError

__all__ = ["copies_aside", "leave_overlaps_out", "without_copies"]


def without_copies(samples: Sequence[Sample]) -> list[int]:
    """Return the places of the images that are split: of those with equal bytes the first by name."""
    first: dict[str, int] = {}
    for place in sorted(range(len(samples)), key=lambda own: samples[own].name):
        first.setdefault(samples[place].image, place)
    return sorted(first.values())


def copies_aside(groups: Sequence[str], places: Sequence[int], assignment: Assignment) -> Assignment:
    """Return an assignment of all images from that of those at `places`; the others are unused and counted nowhere.

    Args:
        groups: the group of every image.
        places: of the images that were assigned, as `without_copies` gives them.
        assignment: their sides; returned as it is where there is no copy.
    """
    copies = len(groups) - len(places)
    if not copies:
        return assignment
    side_of = dict(zip(places, assignment.sides, strict=True))
    sides = tuple(side_of.get(place, Side.UNUSED) for place in range(len(groups)))
    are = "image is a copy" if copies == 1 else "images are copies"
    warning = (
        f"{copies} {are} of others, byte for byte: of each the first by name is used, so that nothing counts twice"
    )
    return replace(assignment, sides=sides, groups=tuple(groups), warnings=(*assignment.warnings, warning))


def leave_overlaps_out(
    samples: Sequence[Sample], assignment: Assignment, classes: Sequence[str], policy: SplitPolicy
) -> Assignment:
    """Mark as unused the tiles of test that share pixels with another tile of test; those that judge are apart.

    Of the tiles of one image those with the scarcest defects stay first. Where the classes are uneven then, further
    tiles of the largest ones are left out. Training and validation keep all of theirs: there an overlap repeats
    pixels, as augmentation does, and proves nothing.

    Args:
        samples: the images that were split.
        assignment: what the splitter decided; returned as it is where no tiles of test overlap.
        classes: defect classes.
        policy: when a test counts as even, and how many instances a class needs there.

    Raises:
        SplitError: what is left makes no even test.
    """
    dropped = _overlapping(samples, assignment)
    if not dropped:
        return assignment
    overlapping = len(dropped)
    test = [place for place, side in enumerate(assignment.sides) if side is Side.TEST and place not in dropped]
    counts = dict(count_classes((samples[place] for place in test), classes)[0])
    while (excess := _most(counts, policy)) and (place := _spare(samples, test, counts, excess)) is not None:
        test.remove(place)
        dropped.add(place)
        counts = dict(count_classes((samples[place] for place in test), classes)[0])
    if excess or min(counts.values()) < min(policy.min_test_per_class, policy.test_per_class):
        left = ", ".join(f"{name} {count}" for name, count in counts.items())
        message = (
            f"a test must hold every class evenly; {overlapping} of its tiles overlap others, and without them it "
            f"holds {left}: cut with overlap = 0, or label more"
        )
        raise SplitError(message)
    return _without(samples, assignment, classes, dropped, overlapping)


def _most(counts: Mapping[str, int], policy: SplitPolicy) -> str:
    """Return the largest class where it lies too far above the smallest; else, or where a class is missing, nothing."""
    name, least = max(counts, key=lambda own: counts[own]), min(counts.values())
    return name if least and counts[name] > (1 + policy.tolerance) * least else ""


def _spare(samples: Sequence[Sample], test: Sequence[int], counts: Mapping[str, int], excess: str) -> int | None:
    """Return a tile that shows the largest class and none of the smallest."""
    least = min(counts.values())
    for place in reversed(test):
        shown = Counter(samples[place].classes)
        if shown[excess] and samples[place].part and all(counts[name] - shown[name] >= least for name in shown):
            return place
    return None


def _without(
    samples: Sequence[Sample], assignment: Assignment, classes: Sequence[str], dropped: set[int], overlapping: int
) -> Assignment:
    sides = tuple(Side.UNUSED if place in dropped else side for place, side in enumerate(assignment.sides))
    held = {side: [sample for sample, own in zip(samples, sides, strict=True) if own is side] for side in Side}
    counts = {side: count_classes(held[side], classes)[0] for side in Side}
    test = counts[Side.TEST].values()
    warning = (
        f"{overlapping} tiles of test overlap others and {len(dropped) - overlapping} more would make it uneven: they "
        "are left unused, so that no pixel judges twice"
    )
    return replace(
        assignment,
        sides=sides,
        counts={side.value: counts[side] for side in Side},
        images={side.value: len(held[side]) for side in Side},
        normal_images={side.value: sum(not sample.boxes for sample in held[side]) for side in Side},
        evenness=dict(assignment.evenness) | {Side.TEST.value: max(test) / min(test)},
        warnings=(*assignment.warnings, warning),
    )


def _overlapping(samples: Sequence[Sample], assignment: Assignment) -> set[int]:
    """Return the places of the tiles to leave out."""
    families: dict[str, list[int]] = defaultdict(list)
    for place, (sample, side) in enumerate(zip(samples, assignment.sides, strict=True)):
        if sample.part is not None and side is Side.TEST:
            families[sample.part.image].append(place)
    have = Counter(name for places in families.values() for place in places for name in samples[place].classes)
    dropped = set()
    for places in families.values():
        kept: list[Box] = []
        for place in sorted(places, key=lambda own: (-sum(1 / have[name] for name in samples[own].classes), own)):
            part = samples[place].part
            if part is None:
                continue
            if any(_overlap(part.region, other) for other in kept):
                dropped.add(place)
            else:
                kept.append(part.region)
    return dropped


def _overlap(first: Box, second: Box) -> bool:
    return min(first.x2, second.x2) > max(first.x1, second.x1) and min(first.y2, second.y2) > max(first.y1, second.y1)
