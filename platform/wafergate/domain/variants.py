"""Draw what may be made of an original: flips, turns, crops, cuts, shifts, changes of light, composites."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from wafergate.domain.augmentation import LOOSENING, AugmentPolicy, OperationKind, Variant
from wafergate.domain.composites import Backgrounds, pasteable, pasted_label
from wafergate.domain.geometry import Box
from wafergate.domain.moves import result_size, spoils, transform_labels
from wafergate.domain.operations import Operation
from wafergate.domain.samples import LabelledBox, Sample

__all__ = ["Candidate", "Drawer", "Family"]

_K = OperationKind
_Rng = np.random.Generator
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
_DRAWS = 8  # crops that are looked at for one image
_FEW_DRAWS = 4  # shifts, changes of shape, composites
# A crop keeps this share of the image's sides: scaled back to the model's input, a defect grows 1.2 to 2 times at most,
# which is about what distance and binning change between stations; smaller crops would teach a scale never inspected.
_CROP_SHARE = (0.5, 0.85)
_CONTEXT = 0.25  # of a defect's own size, kept around it on every side
_SHIFT_SHARE = 0.1  # of a side, at most
# What lamps, lenses and sensors of one station differ by over weeks, in the order light takes: a change that would hide
# a faint defect teaches to call it where nobody can see it.
_LIGHT: dict[OperationKind, Callable[[_Rng], tuple[float, ...]]] = {
    _K.UNEVEN_LIGHT: lambda rng: (_between(rng, 0.05, 0.15), int(rng.integers(360))),
    _K.BRIGHTNESS: lambda rng: (int(rng.integers(4, 17)) * int(rng.choice((-1, 1))),),
    _K.CONTRAST: lambda rng: (_factor(rng, 1.25),),
    _K.GAMMA: lambda rng: (_factor(rng, 1.2),),
    _K.BLUR: lambda rng: (_between(rng, 0.4, 0.8),),
    _K.NOISE: lambda rng: (_between(rng, 1.0, 4.0), int(rng.integers(2**31))),
}
_SHAPE: dict[OperationKind, Callable[[_Rng, Sample], tuple[float, ...]]] = {
    _K.ROTATE: lambda rng, _: (_between(rng, 1.0, 8.0) * int(rng.choice((-1, 1))),),
    _K.SHEAR: lambda rng, _: (_between(rng, 0.02, 0.1) * int(rng.choice((-1, 1))),),
    _K.ELASTIC: lambda rng, sample: _swing(rng, min(sample.width, sample.height)),
}


class Family(StrEnum):
    """The kinds of variant an original is turned into one after the other."""

    WHOLE = "whole"
    CROP = "crop"
    CUT = "cut"
    SHIFT = "shift"
    SHAPE = "shape"
    COMPOSITE = "composite"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A variant that could be planned, with the boxes it adds to each class."""

    family: Family
    variant: Variant
    counts: Mapping[str, int]


class Drawer:
    """Draws candidates from one seed."""

    def __init__(self, policy: AugmentPolicy, backgrounds: Backgrounds, rng: _Rng) -> None:
        allowed = set(policy.operations)
        self._rng = rng
        self._backgrounds = backgrounds
        self._pasted = frozenset(policy.composite_classes)
        self._layings = [laying for laying in _LAYINGS if set(laying) <= allowed]
        self._light = [kind for kind in _LIGHT if kind in allowed]
        self._shape = [kind for kind in _SHAPE if kind in allowed]
        ways: dict[Family, tuple[bool, Callable[[str, Sample], Iterator[Candidate]]]] = {
            Family.WHOLE: (len(self._layings) > 1 or bool(self._light), self._wholes),
            Family.CROP: (_K.CROP in allowed, self._crops),
            Family.CUT: (_K.CUT in allowed, self._cuts),
            Family.SHIFT: (_K.SHIFT in allowed, self._shifts),
            Family.SHAPE: (bool(allowed & LOOSENING), self._shapes),
            Family.COMPOSITE: (_K.COMPOSITE in allowed and len(backgrounds) > 0, self._composites),
        }
        self._ways = {family: way for family, (is_allowed, way) in ways.items() if is_allowed}

    @property
    def families(self) -> tuple[Family, ...]:
        """Those the policy and the images allow."""
        return tuple(self._ways)

    def draw(self, family: Family, name: str, sample: Sample) -> Iterator[Candidate]:
        """Draw variants of a sample that show a class; none where the family suits the sample badly."""
        for candidate in self._ways[family](name, sample):
            if name in candidate.counts:
                yield candidate

    def _wholes(self, _name: str, sample: Sample) -> Iterator[Candidate]:
        for place in self._shuffled(len(self._layings)):
            laying = self._layings[place]
            light = self._lights(least=0 if laying else 1)
            if laying or light:
                yield _candidate(Family.WHOLE, sample, light, (), laying)

    def _crops(self, name: str, sample: Sample) -> Iterator[Candidate]:
        around = [label.box for label in sample.boxes if label.defect_class == name]
        for _ in range(_DRAWS):
            crop = _draw_crop(sample, around[int(self._rng.integers(len(around)))], self._rng)
            yield from self._framed(Family.CROP, sample, crop)

    def _cuts(self, _name: str, sample: Sample) -> Iterator[Candidate]:
        for place in self._shuffled(4):
            yield from self._framed(Family.CUT, sample, Operation(_K.CUT, (place // 2, place % 2)))

    def _shifts(self, _name: str, sample: Sample) -> Iterator[Candidate]:
        widest, highest = int(_SHIFT_SHARE * sample.width), int(_SHIFT_SHARE * sample.height)
        for _ in range(_FEW_DRAWS):
            right = int(self._rng.integers(-widest, widest + 1))
            down = int(self._rng.integers(-highest, highest + 1))
            if right or down:
                yield from self._framed(Family.SHIFT, sample, Operation(_K.SHIFT, (right, down)))

    def _shapes(self, _name: str, sample: Sample) -> Iterator[Candidate]:
        for _ in range(_FEW_DRAWS):
            kind = self._shape[int(self._rng.integers(len(self._shape)))]
            yield from self._framed(Family.SHAPE, sample, Operation(kind, _SHAPE[kind](self._rng, sample)))

    def _composites(self, name: str, sample: Sample) -> Iterator[Candidate]:
        if self._pasted and name not in self._pasted:
            return
        liftable = [n for n, box in enumerate(sample.boxes) if box.defect_class == name and pasteable(sample, n)]
        for _ in range(_FEW_DRAWS if liftable else 0):
            index = liftable[int(self._rng.integers(len(liftable)))]
            drawn = self._backgrounds.draw(sample, index, self._rng)
            if drawn:
                background, pasting = drawn
                light = (pasting, *self._lights())
                label = pasted_label(sample, pasting)
                yield _candidate(Family.COMPOSITE, background, light, (), self._laying(), boxes=(label,), donor=sample)

    def _framed(self, family: Family, sample: Sample, framing: Operation | None) -> Iterator[Candidate]:
        if framing and not any(spoils(framing, box.box, sample.width, sample.height) for box in sample.boxes):
            yield _candidate(family, sample, self._lights(), (framing,), self._laying())

    def _shuffled(self, count: int) -> list[int]:
        return [int(place) for place in self._rng.permutation(np.arange(count))]

    def _laying(self) -> tuple[OperationKind, ...]:
        return self._layings[int(self._rng.integers(len(self._layings)))]

    def _lights(self, *, least: int = 0) -> tuple[Operation, ...]:
        """Draw none, one or two changes of light."""
        count = min(int(self._rng.integers(least, 3)), len(self._light))
        chosen = sorted(self._rng.choice(len(self._light), count, replace=False).tolist()) if count else []
        return tuple(Operation(self._light[place], _LIGHT[self._light[place]](self._rng)) for place in chosen)


def _candidate(
    family: Family,
    canvas: Sample,
    light: Sequence[Operation],
    framing: Sequence[Operation],
    laying: Sequence[OperationKind],
    *,
    boxes: Sequence[LabelledBox] | None = None,
    donor: Sample | None = None,
) -> Candidate:
    """Return the candidate; light comes first, since only the image is lit and not its golden reference."""
    operations = (*light, *framing, *(Operation(kind) for kind in laying))
    labels = transform_labels(operations, canvas.boxes if boxes is None else boxes, canvas.width, canvas.height)
    width, height = result_size(operations, canvas.width, canvas.height)
    texts = tuple(str(operation) for operation in operations)
    variant = Variant(canvas.name, texts, labels, width, height, donor.name if donor else "")
    return Candidate(family, variant, Counter(label.defect_class for label in labels))


def _draw_crop(sample: Sample, box: Box, rng: _Rng) -> Operation | None:
    """Draw a crop of the image's own proportions around a box; None if it cannot be smaller than the image."""
    grown = 1 + 2 * _CONTEXT
    least = max(_CROP_SHARE[0], grown * box.width / sample.width, grown * box.height / sample.height)
    if least > _CROP_SHARE[1]:
        return None
    share = rng.uniform(least, _CROP_SHARE[1])
    x1, x2 = _draw_span(box.x1, box.x2, sample.width, share, rng)
    y1, y2 = _draw_span(box.y1, box.y2, sample.height, share, rng)
    whole = (x2 - x1, y2 - y1) == (sample.width, sample.height)
    return None if whole else Operation(OperationKind.CROP, (x1, y1, x2, y2))


def _draw_span(low: float, high: float, side: int, share: float, rng: _Rng) -> tuple[int, int]:
    """Place a span of `share` of a side so that it holds low..high with its context where the image has it."""
    length = min(max(round(share * side), 1), side)
    context = _CONTEXT * (high - low)
    first = max(0, math.ceil(min(high + context, side) - length))
    last = min(side - length, math.floor(max(low - context, 0)))
    start = int(rng.integers(first, last + 1)) if first <= last else min(max(first, 0), side - length)
    return start, start + length


def _between(rng: _Rng, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 2)


def _factor(rng: _Rng, most: float) -> float:
    """Draw a factor that is as likely below 1 as above; never 1 itself."""
    factor = round(float(rng.uniform(1.05, most)), 2)
    return factor if rng.integers(2) else round(1 / factor, 2)


def _swing(rng: _Rng, side: int) -> tuple[float, ...]:
    wavelength = round(float(rng.uniform(0.3, 0.7)) * side, 1)
    phases = (_between(rng, 0, 2 * math.pi), _between(rng, 0, 2 * math.pi))
    return round(wavelength / 12 * float(rng.uniform(0.1, 0.6)), 2), wavelength, *phases
