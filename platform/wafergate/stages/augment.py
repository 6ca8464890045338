"""Plan what is added to a training side: rare classes first, within caps, before a pixel is made (rules M5, M6)."""

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from wafergate.domain.geometry import Box
from wafergate.domain.operations import Operation, crop_cuts, result_size, transform_labels
from wafergate.domain.samples import LabelledBox, Sample, count_classes
from wafergate.domain.training import AugmentationPlan, AugmentPolicy, Bound, ClassPlan, OperationKind, PlannedImage
from wafergate.errors import AugmentError

__all__ = ["plan"]

_K = OperationKind
# The eight ways to lay a rectangle on itself, each written in one way only, so that no result is made twice.
_LAYINGS: tuple[tuple[OperationKind, ...], ...] = (
    (),
    (_K.FLIP_HORIZONTAL,),
    (_K.FLIP_VERTICAL,),
    (_K.TURN_90,),
    (_K.TURN_180,),
    (_K.TURN_270,),
    (_K.TURN_90, _K.FLIP_HORIZONTAL),
    (_K.TURN_90, _K.FLIP_VERTICAL),
)
_CROP_DRAWS = 8
# A crop keeps this share of the image's sides: scaled back to the model's input, a defect grows 1.2 to 2 times at most,
# which is about what distance and binning change between stations; smaller crops would teach a scale never inspected.
_CROP_SHARE = (0.5, 0.85)
_CONTEXT = 0.25  # of a defect's own size, kept around it on every side
_LISTED = 8


@dataclass(frozen=True, slots=True)
class _Candidate:
    operations: tuple[Operation, ...]
    boxes: tuple[LabelledBox, ...]
    counts: Mapping[str, int]


@dataclass(slots=True)
class _Books:
    """What was planned so far against what may be."""

    have: dict[str, int]
    caps: dict[str, int]
    target: int
    total: int
    per_original: int
    added: Counter[str] = field(default_factory=Counter)
    uses: Counter[int] = field(default_factory=Counter)
    crops: Counter[int] = field(default_factory=Counter)
    made: dict[int, set[tuple[Operation, ...]]] = field(default_factory=dict)
    images: list[PlannedImage] = field(default_factory=list)

    def count(self, name: str) -> int:
        return self.have[name] + self.added[name]

    def fits(self, counts: Mapping[str, int]) -> bool:
        return all(self.added[name] + extra <= self.caps[name] for name, extra in counts.items())

    def surplus(self, counts: Mapping[str, int]) -> int:
        """Instances of classes that have their target already."""
        return sum(extra for name, extra in counts.items() if self.count(name) >= self.target)


def plan(samples: Sequence[Sample], classes: Sequence[str], policy: AugmentPolicy) -> AugmentationPlan:
    """Plan augmented images of the training side.

    The class with the fewest instances is served first, from the original of it that was used least. What is made of
    an original is a flip, a turn, or a crop around one of its defects with context and jitter that cuts no box; the
    variant that adds least to classes with enough instances is taken, crops and whole images in turn. No original
    gives the same pixels twice.

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
    books = _Books(have, caps, target, math.floor(policy.total * len(ordered)), policy.per_original)
    _refuse_beyond_caps(books, policy)
    rng = np.random.default_rng(policy.seed)
    bounds = _fill(ordered, books, policy, rng)
    rows = tuple(ClassPlan(name, images[name], have[name], books.added[name], target, bounds[name]) for name in classes)
    _refuse_unreached(rows, policy)
    return AugmentationPlan(len(ordered), tuple(books.images), rows)


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


def _fill(
    samples: Sequence[Sample], books: _Books, policy: AugmentPolicy, rng: np.random.Generator
) -> dict[str, Bound]:
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
        bound = _bound(name, books, queues[name], bool(policy.operations)) or _add_one(
            name, samples, books, queues[name], policy, rng
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
    name: str,
    samples: Sequence[Sample],
    books: _Books,
    queue: list[tuple[int, int, int]],
    policy: AugmentPolicy,
    rng: np.random.Generator,
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
        best = _best_candidate(name, samples[place], place, books, policy, rng)
        if best is None:
            spent = False
            continue
        _book(samples[place], place, best, books)
        heapq.heappush(queue, (uses + 1, rank, place))
        return None
    return Bound.PER_ORIGINAL if spent else Bound.OPERATIONS


def _book(sample: Sample, place: int, best: _Candidate, books: _Books) -> None:
    width, height = result_size(best.operations, sample.width, sample.height)
    operations = tuple(str(operation) for operation in best.operations)
    books.images.append(PlannedImage(sample.name, operations, best.boxes, width, height))
    books.added.update(best.counts)
    books.uses[place] += 1
    books.crops[place] += _is_crop(best)
    books.made.setdefault(place, set()).add(best.operations)


def _is_crop(candidate: _Candidate) -> bool:
    return candidate.operations[0].kind is OperationKind.CROP


def _best_candidate(
    name: str, sample: Sample, place: int, books: _Books, policy: AugmentPolicy, rng: np.random.Generator
) -> _Candidate | None:
    made = books.made.get(place, set())
    crop_next = books.crops[place] * 2 <= books.uses[place]
    best, best_rank = None, (math.inf, 0, 0.0)
    for candidate in _candidates(name, sample, policy, rng):
        if name not in candidate.counts:
            continue
        rank = (books.surplus(candidate.counts), int(_is_crop(candidate) is not crop_next), float(rng.random()))
        if rank < best_rank and candidate.operations not in made and books.fits(candidate.counts):
            best, best_rank = candidate, rank
    return best


def _candidates(name: str, sample: Sample, policy: AugmentPolicy, rng: np.random.Generator) -> Iterator[_Candidate]:
    """Draw variants of a sample that show the class: every allowed flip and turn, and a few crops."""
    layings = [laying for laying in _LAYINGS if set(laying) <= set(policy.operations)]
    for laying in layings[1:]:
        yield _candidate(tuple(Operation(kind) for kind in laying), sample)
    if OperationKind.CROP not in policy.operations:
        return
    around = [label.box for label in sample.boxes if label.defect_class == name]
    for _ in range(_CROP_DRAWS):
        crop = _draw_crop(sample, around[int(rng.integers(len(around)))], rng)
        laying = layings[int(rng.integers(len(layings)))]
        if crop is not None:
            yield _candidate((crop, *(Operation(kind) for kind in laying)), sample)


def _candidate(operations: tuple[Operation, ...], sample: Sample) -> _Candidate:
    boxes = transform_labels(operations, sample.boxes, sample.width, sample.height)
    return _Candidate(operations, boxes, Counter(label.defect_class for label in boxes))


def _draw_crop(sample: Sample, box: Box, rng: np.random.Generator) -> Operation | None:
    """Draw a crop of the image's own proportions around a box; None if it would cut a box or keep the whole image."""
    grown = 1 + 2 * _CONTEXT
    least = max(_CROP_SHARE[0], grown * box.width / sample.width, grown * box.height / sample.height)
    if least > _CROP_SHARE[1]:
        return None
    share = rng.uniform(least, _CROP_SHARE[1])
    x1, x2 = _draw_span(box.x1, box.x2, sample.width, share, rng)
    y1, y2 = _draw_span(box.y1, box.y2, sample.height, share, rng)
    crop = Operation(OperationKind.CROP, (x1, y1, x2, y2))
    whole = (x2 - x1, y2 - y1) == (sample.width, sample.height)
    cut = any(crop_cuts(crop, label.box, sample.width, sample.height) for label in sample.boxes)
    return None if whole or cut else crop


def _draw_span(low: float, high: float, side: int, share: float, rng: np.random.Generator) -> tuple[int, int]:
    """Place a span of `share` of a side so that it holds low..high with its context where the image has it."""
    length = min(max(round(share * side), 1), side)
    context = _CONTEXT * (high - low)
    first = max(0, math.ceil(min(high + context, side) - length))
    last = min(side - length, math.floor(max(low - context, 0)))
    start = int(rng.integers(first, last + 1)) if first <= last else min(max(first, 0), side - length)
    return start, start + length
