"""Plan what is added to a training side: rare classes first, within caps, before a pixel is made (rules M5, M6)."""

import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from wafergate.domain.augmentation import Augmentation, AugmentPolicy, Bound, ClassPlan, OperationKind, Variant
from wafergate.domain.composites import Backgrounds
from wafergate.domain.samples import Sample, count_classes
from wafergate.domain.variants import Candidate, Drawer, Family
from wafergate.errors import AugmentError

__all__ = ["plan"]

_LISTED = 8


@dataclass(slots=True)
class _Books:
    """What was planned so far against what may be."""

    have: dict[str, int]
    caps: dict[str, int]
    target: int
    total: int
    per_original: int
    backgrounds: Backgrounds
    added: Counter[str] = field(default_factory=Counter)
    synthetic: Counter[str] = field(default_factory=Counter)
    uses: Counter[int] = field(default_factory=Counter)
    families: Counter[tuple[int, Family]] = field(default_factory=Counter)
    overall: Counter[Family] = field(default_factory=Counter)
    made: dict[int, set[tuple[str, ...]]] = field(default_factory=dict)
    images: list[Variant] = field(default_factory=list)

    def count(self, name: str) -> int:
        return self.have[name] + self.added[name]

    def fits(self, counts: Mapping[str, int]) -> bool:
        return all(self.added[name] + extra <= self.caps[name] for name, extra in counts.items())

    def surplus(self, counts: Mapping[str, int]) -> int:
        """Instances of classes that have their target already."""
        return sum(extra for name, extra in counts.items() if self.count(name) >= self.target)

    def book(self, place: int, candidate: Candidate) -> None:
        variant = candidate.variant
        self.images.append(variant)
        self.added.update(candidate.counts)
        self.uses[place] += 1
        self.families[place, candidate.family] += 1
        self.overall[candidate.family] += 1
        self.made.setdefault(place, set()).add((variant.origin, *variant.operations))
        if variant.donor:
            self.synthetic.update(candidate.counts)
            self.backgrounds.book(variant.origin)


def plan(samples: Sequence[Sample], classes: Sequence[str], policy: AugmentPolicy) -> Augmentation:
    """Plan augmented images of the training side.

    The class with the fewest instances is served first, from the original of it that was used least. An original is
    turned into the allowed families of variants one after the other: whole (flips, turns, light), crop around a
    defect, quarter, shift, change of shape, composite. A variant that adds to classes with enough instances is taken
    only if no family has one that does not. No original gives the same pixels twice.

    A target of `median` or `max` is followed as far as the caps allow, and each class's row names what ended it.

    Args:
        samples: the training side of a split, images without defect included.
        classes: defect classes of the line.
        policy: target, caps, operations the product allows, seed.

    Returns:
        The plan, the same for the same samples (in any order), classes and policy.

    Raises:
        AugmentError: a target given as a number cannot be reached under the caps; the message has the numbers.
    """
    ordered = sorted(samples, key=lambda sample: sample.name)
    have, images = count_classes(ordered, classes)
    target = _target(have, policy)
    caps = {name: math.floor(policy.per_class * have[name]) for name in classes}
    key = policy.product_key if OperationKind.COMPOSITE in policy.operations else ""
    backgrounds = Backgrounds(ordered, key, per_original=policy.per_original)
    books = _Books(have, caps, target, math.floor(policy.total * len(ordered)), policy.per_original, backgrounds)
    _refuse_beyond_caps(books, policy)
    rng = np.random.Generator(np.random.PCG64(policy.seed))
    bounds = _fill(ordered, books, Drawer(policy, backgrounds, rng), rng)
    rows = tuple(
        ClassPlan(name, images[name], have[name], books.added[name], target, bounds[name], books.synthetic[name])
        for name in classes
    )
    _refuse_unreached(rows, policy)
    return Augmentation(len(ordered), tuple(books.images), rows, _notes(policy, backgrounds, rows))


def _notes(policy: AugmentPolicy, backgrounds: Backgrounds, rows: Sequence[ClassPlan]) -> tuple[str, ...]:
    wanted = OperationKind.COMPOSITE in policy.operations and any(row.added_instances for row in rows)
    if not wanted or any(row.synthetic_instances for row in rows):
        return ()
    if not len(backgrounds):
        return ("no composites: the training side holds no image without defect to paste onto",)
    return ("no composites: no defect could be lifted off its image onto a normal one of the same product",)


def _target(have: Mapping[str, int], policy: AugmentPolicy) -> int:
    counts = list(have.values())
    if policy.target == "median":
        return int(np.median(counts)) if counts else 0
    if policy.target == "max":
        return max(counts, default=0)
    return int(policy.target)


def _refuse_beyond_caps(books: _Books, policy: AugmentPolicy) -> None:
    if policy.target in {"median", "max"}:
        return
    short = [
        f"{name} has {count} instances, {books.target} ask for {books.target - count} more, "
        f"per_class = {policy.per_class:g} allows {books.caps[name]}"
        for name, count in books.have.items()
        if books.target - count > books.caps[name]
    ]
    if short:
        raise AugmentError(_refusal(short))


def _refuse_unreached(rows: Sequence[ClassPlan], policy: AugmentPolicy) -> None:
    if policy.target in {"median", "max"}:
        return
    caps = {
        Bound.TOTAL: f"total = {policy.total:g} of the originals",
        Bound.PER_ORIGINAL: f"per_original = {policy.per_original}",
        Bound.PER_CLASS: f"per_class = {policy.per_class:g}",
        Bound.OPERATIONS: "the allowed operations make nothing more of its originals",
    }
    short = [
        f"{row.defect_class} reaches {row.original_instances + row.added_instances} of {row.target} "
        f"({caps[Bound(row.bound_by)]})"
        for row in rows
        if row.bound_by in caps
    ]
    if short:
        raise AugmentError(_refusal(short))


def _refusal(short: Sequence[str]) -> str:
    rest = f"; and {len(short) - _LISTED} more classes" if len(short) > _LISTED else ""
    return (
        f"[augment] target passes its caps: {'; '.join(short[:_LISTED])}{rest}; "
        "collect originals, or lower target: too many copies of few images overfit"
    )


def _fill(samples: Sequence[Sample], books: _Books, drawer: Drawer, rng: np.random.Generator) -> dict[str, Bound]:
    """Add images until every class is bound by something; return by what."""
    rank = rng.permutation(len(samples)).tolist()
    queues: dict[str, list[tuple[int, int, int]]] = {name: [] for name in books.have}
    for place, sample in enumerate(samples):
        for name in set(sample.classes):
            queues[name].append((0, rank[place], place))
    for queue in queues.values():
        heapq.heapify(queue)
    bounds = {name: Bound.NONE for name, count in books.have.items() if count >= books.target}
    waiting = [(count, name) for name, count in books.have.items() if name not in bounds]
    heapq.heapify(waiting)
    while waiting:
        _, name = heapq.heappop(waiting)
        bound = _bound(name, books, queues[name], bool(drawer.families)) or _add_one(
            name, samples, books, queues[name], drawer
        )
        if bound is None:
            heapq.heappush(waiting, (books.count(name), name))
        else:
            bounds[name] = bound
    return bounds


def _bound(name: str, books: _Books, queue: Sequence[object], operations: bool) -> Bound | None:
    if books.count(name) >= books.target:
        return Bound.TARGET
    if books.added[name] >= books.caps[name]:
        return Bound.PER_CLASS
    if len(books.images) >= books.total:
        return Bound.TOTAL
    if not operations:
        return Bound.OPERATIONS
    return None if queue else Bound.PER_ORIGINAL


def _add_one(
    name: str, samples: Sequence[Sample], books: _Books, queue: list[tuple[int, int, int]], drawer: Drawer
) -> Bound | None:
    """Add one image that shows the class; return what stood in the way of every original, if something did."""
    spent = True  # whether every original that left the queue had given all it may
    while queue:
        uses, rank, place = heapq.heappop(queue)
        if books.uses[place] >= books.per_original:
            continue
        if uses != books.uses[place]:
            heapq.heappush(queue, (books.uses[place], rank, place))
            continue
        best = _best_candidate(name, samples[place], place, books, drawer)
        if best is None:
            spent = False
            continue
        books.book(place, best)
        heapq.heappush(queue, (uses + 1, rank, place))
        return None
    return Bound.PER_ORIGINAL if spent else Bound.OPERATIONS


def _best_candidate(name: str, sample: Sample, place: int, books: _Books, drawer: Drawer) -> Candidate | None:
    """Return the first fresh candidate of the least used family that adds nothing beyond a target, else the nearest."""
    made = books.made.get(place, set())
    best, least = None, math.inf
    # least used for this original, then least used of all: with few images each, no family is always the last
    for family in sorted(drawer.families, key=lambda family: (books.families[place, family], books.overall[family])):
        for candidate in drawer.draw(family, name, sample):
            variant, surplus = candidate.variant, books.surplus(candidate.counts)
            if surplus >= least or (variant.origin, *variant.operations) in made or not books.fits(candidate.counts):
                continue
            if not surplus:
                return candidate
            best, least = candidate, surplus
    return best
