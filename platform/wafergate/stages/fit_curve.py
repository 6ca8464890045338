"""Fit an inverse power law to recall by images, and tell what more labelled images would buy (rule M12)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from wafergate.domain.learning_curve import ClassCurve, CurvePoint, CurveValue, PowerLaw

__all__ = ["fit_curve"]

Values = NDArray[np.float64]

_RATES = np.geomspace(0.1, 2.0, 48)
_DRAWS = 400
_STEPS = 24
_FEWEST_SIZES = 3
_SURE = 0.01  # a gain whose lower bound reaches this is told
_LEVEL = 0.03  # one whose upper bound does not pass this is none,
_VAGUE = 0.2  # unless recall itself is not known better than so: points that fall by chance fit a level law best
_CHANCE, _OFF = 0.01, 0.1  # points less likely than this to lie so far, and farther off than this, carry no law
_FAR = 2.0  # times the largest number measured: past it a law is carried on, and the sentence says so


@dataclass(frozen=True, slots=True)
class _Laws:
    """One law for each draw: `a - b * n ** -c`."""

    a: Values
    b: Values
    c: Values

    def at(self, images: float) -> Values:
        return np.clip(self.a - self.b * images**-self.c, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Measured:
    """Points pooled by size.

    Attributes:
        images: `(k,)` mean training images of the class at each size, ascending.
        hits: `(k, courses)` instances found.
        trials: `(k, courses)` instances judged; 0 where a course lacks the size.
        instances: `(k,)` different instances that were judged at each size.
    """

    images: Values
    hits: Values
    trials: Values
    instances: NDArray[np.int64]

    @property
    def recall(self) -> Values:
        """`(k,)`: all that was found at a size over all that was judged."""
        return np.asarray(self.hits.sum(axis=1) / self.trials.sum(axis=1), dtype=np.float64)


def fit_curve(
    defect_class: str,
    points: Sequence[CurvePoint],
    *,
    images: int,
    more: int,
    same_judges: bool,
    confidence: float,
    seed: int,
) -> ClassCurve:
    """Fit `recall = a - b * n ** -c` with 0 <= a <= 1, b >= 0 and 0.1 <= c <= 2 by least squares.

    The inverse power law of learning curves: R. L. Figueroa et al., 'Predicting sample size required for classification
    performance', BMC Medical Informatics and Decision Making 12:8 (2012); that deep networks follow it: J. Hestness et
    al., 'Deep learning scaling is predictable, empirically' (2017). For each of 48 values of c the best a and b are
    known in closed form. Courses are pooled at each size.

    Bounds are a bootstrap's: courses are drawn with replacement, and what they found at a size is drawn again,
    binomial over the instances that were judged at (hits + 1/2) / (instances + 1). Where all courses were judged by the
    same images, more courses do not make more instances. Sizes are drawn independently, though the same images judged
    them: that widens the bounds of a difference rather than narrows them. Simulated with sizes 5 to 40, 20 to 400
    instances and five laws, 85 to 95 of 100 intervals between two bounds of 0.95 held the true gain of 50 more images.
    Trainings differ as well, which only more courses show: with recalls that scatter by 0.05 and 200 instances 61 to 72
    of 100 held it with one course and 92 to 95 with three, so a curve of one course says that it leaves this out.

    Args:
        defect_class: the class.
        points: one for each size and course.
        images: training images of the class that there are now.
        more: so many more are asked about, at least 1.
        same_judges: whether every course was judged by the same images.
        confidence: of each one-sided bound, between 0 and 1.
        seed: of the bootstrap.

    Returns:
        The curve; without a law where fewer than three different numbers of images were measured, no instance was
        judged or found, or the best law misses the points by more than chance: trainings too short jump so.
    """
    ordered = tuple(sorted(points, key=lambda point: (point.size, point.course)))
    # a fold may have been taught nothing of a class, or have nothing of it to judge: it says nothing about more images
    telling = [point for point in ordered if point.images and point.recall.trials]
    measured = _pool(telling, same_judges=same_judges)
    why = _why_not(measured) or _why_no_law(measured)
    if why:
        told = f"{defect_class}: cannot tell what {more} more labelled images would buy: {why}"
        return ClassCurve(defect_class, images, ordered, None, (), None, None, None, told)
    best = _fit(measured.images, measured.recall[None])
    law = PowerLaw(float(best.a[0]), float(best.b[0]), float(best.c[0]))
    laws = _fit(measured.images, _drawn(measured, np.random.default_rng(seed)))
    tails = (1 - confidence, confidence)
    gain = law(images + more) - law(images)
    low, high = (float(value) for value in np.quantile(laws.at(images + more) - laws.at(images), tails))
    line = tuple(
        CurveValue(count, law(count), *(float(value) for value in np.quantile(laws.at(count), tails)))
        for count in _counts(measured.images, images + more)
    )
    vague = float(np.ptp(np.quantile(laws.at(images), tails))) > _VAGUE
    told = f"{defect_class}: {_tell(law(images), gain, low, high, more=more, vague=vague)}"
    if len({point.course for point in telling}) == 1:
        told += "; of one training a size: how far trainings differ is not in it, give --repeats 3"
    if images + more > _FAR * measured.images[-1]:
        told += f"; carried on from {measured.images[-1]:.0f} images at most, train larger sizes to be surer"
    return ClassCurve(defect_class, images, ordered, law, line, gain, low, high, told)


def _pool(points: Sequence[CurvePoint], *, same_judges: bool) -> _Measured:
    courses = sorted({point.course for point in points})
    by_size: dict[int, list[CurvePoint]] = defaultdict(list)
    for point in points:
        by_size[point.size].append(point)
    hits, trials = (np.zeros((len(by_size), len(courses))) for _ in range(2))
    for row, at_size in enumerate(by_size.values()):
        for point in at_size:
            column = courses.index(point.course)
            hits[row, column], trials[row, column] = point.recall.hits, point.recall.trials
    images = np.array([np.mean([point.images for point in at_size]) for at_size in by_size.values()])
    judged = trials.max(axis=1, initial=0) if same_judges else trials.sum(axis=1)
    return _Measured(images, hits, trials, judged.astype(np.int64))


def _why_not(measured: _Measured) -> str:
    if not measured.instances.any():
        return "no instance of it was judged after a training that was taught it"
    sizes = len(set(measured.images[measured.images > 0].tolist()))
    if sizes < _FEWEST_SIZES or not measured.trials.sum(axis=1).all():
        return f"{sizes} different numbers of images were measured, a curve takes at least {_FEWEST_SIZES}"
    return ""


def _why_no_law(measured: _Measured) -> str:
    """Tell why the points carry no law: nothing was found, or they lie off the best one (chi-squared test)."""
    if not measured.hits.any():
        return "nothing was found at any size; train longer"
    best = _fit(measured.images, measured.recall[None])
    expected = np.array([float(best.at(count)[0]) for count in measured.images])
    sure = (expected * measured.instances + 0.5) / (measured.instances + 1)
    off = measured.recall - expected
    by_chance = float(chdtrc(len(off), (off**2 / (sure * (1 - sure) / measured.instances)).sum()))
    missed = float(np.sqrt((off**2).mean()))
    if by_chance < _CHANCE and missed > _OFF:
        return f"recall jumps from size to size, {missed:.2f} off the best curve; train longer or give --repeats"
    return ""


def _drawn(measured: _Measured, generator: np.random.Generator) -> Values:
    """Return `(draws, k)` recalls as they might have been measured."""
    courses = measured.hits.shape[1]
    chosen = generator.multinomial(courses, np.full(courses, 1 / courses), size=_DRAWS)
    trials = chosen @ measured.trials.T
    pooled = np.divide(chosen @ measured.hits.T, trials, out=np.zeros_like(trials), where=trials > 0)
    found = np.where(trials > 0, pooled, measured.recall) * measured.instances
    return np.asarray(
        generator.binomial(measured.instances, (found + 0.5) / (measured.instances + 1)) / measured.instances
    )


def _fit(images: Values, recalls: Values) -> _Laws:
    """Return the law of least squares for each row of `recalls`, `(draws, k)`, at `images`, `(k,)`."""
    terms = images[None, :] ** -_RATES[:, None]  # (rates, k)
    middle, mean = terms.mean(axis=1), recalls.mean(axis=1)
    apart = terms - middle[:, None]
    slope = np.maximum(-(recalls @ apart.T) / (apart**2).sum(axis=1), 0.0)  # (draws, rates)
    top = mean[:, None] + slope * middle
    over = top > 1
    held = ((1 - recalls) @ terms.T) / (terms**2).sum(axis=1)  # the slope of a law held at a = 1
    slope, top = np.where(over, held, slope), np.where(over, 1.0, top)
    error = ((top[..., None] - slope[..., None] * terms - recalls[:, None, :]) ** 2).sum(axis=2)
    best = error.argmin(axis=1)
    rows = np.arange(len(recalls))
    return _Laws(top[rows, best], slope[rows, best], _RATES[best])


def _counts(measured: Values, last: int) -> list[int]:
    first = max(int(measured.min()), 1)
    spaced = np.geomspace(first, max(last, first), _STEPS).round().astype(int).tolist()
    return sorted({*spaced, *(round(count) for count in measured.tolist() if count >= first)})


def _tell(now: float, gain: float, low: float, high: float, *, more: int, vague: bool) -> str:
    what = f"{more} more labelled images"
    if low >= _SURE:
        return f"{what} would raise recall from {now:.2f} by about {gain:.2f} ({low:.2f} to {high:.2f})"
    if high <= _LEVEL and not vague:
        return f"{what} would hardly raise recall of {now:.2f}: by {high:.2f} at most"
    return f"the fit cannot tell what {what} would buy: recall of {now:.2f} would rise by {low:.2f} to {high:.2f}"
