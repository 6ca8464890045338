"""Recall by images per class, and the inverse power law through it: what more labels would buy (rule M12)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wafergate.domain.evaluation import ClassFigures, Rate

__all__ = ["ClassCurve", "CurvePoint", "CurveRun", "CurveValue", "LearningCurve", "PowerLaw"]


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """`recall(n) = a - b * n ** -c`, cut to 0..1.

    Attributes:
        a: what recall tends to, 0..1.
        b: what is missing at one image, 0 or more.
        c: how fast the missing part is made up for, above 0.
    """

    a: float
    b: float
    c: float

    def __call__(self, images: float) -> float:
        """Return the recall at `images` training images of a class, 1 or more."""
        return min(max(self.a - self.b * math.pow(images, -self.c), 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One class in one training.

    Attributes:
        size: images of every class that were asked for.
        course: 1, 2, 3 …: which order of the images, or which fold.
        images: training images that showed this class; fewer than `size` where there are no more.
        recall: instances found on the judged side, with exact one-sided bounds.
    """

    size: int
    course: int
    images: int
    recall: Rate


@dataclass(frozen=True, slots=True)
class CurveValue:
    """What the fitted law says of a number of images; `lower` and `upper` are one-sided bounds by bootstrap."""

    images: int
    recall: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class ClassCurve:
    """The curve of one class.

    Attributes:
        defect_class: the class.
        images: training images of this class that there are now.
        points: what was measured, by size and course.
        law: fitted to the points; None where they do not carry one.
        line: the law with its bounds at growing numbers of images, up to `images + more`; empty without a law.
        gain: how much higher recall would be with `more` images than with those there are; None without a law.
        gain_lower: its one-sided lower bound.
        gain_upper: its one-sided upper bound.
        told: one sentence for a person.
    """

    defect_class: str
    images: int
    points: tuple[CurvePoint, ...]
    law: PowerLaw | None
    line: tuple[CurveValue, ...]
    gain: float | None
    gain_lower: float | None
    gain_upper: float | None
    told: str


@dataclass(frozen=True, slots=True)
class CurveRun:
    """One short training on a subset, judged; never a reason to promote anything.

    Attributes:
        id: from the images taught and judged, start and model settings; a rerun finds it.
        dataset_id: the version.
        taught: different images it learnt from.
        judged: images it was judged on.
        images: of those it learnt from, how many show each class.
        score: the operating score at which recall was counted.
        classes: figures on the judged images.
        seconds: of training.
        created_at: when it became visible.
    """

    id: str
    dataset_id: str
    taught: int
    judged: int
    images: Mapping[str, int]
    score: float
    classes: tuple[ClassFigures, ...]
    seconds: float
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """What more labelled images would buy, class by class.

    Attributes:
        id: from its runs and how they are read.
        line: the production line.
        dataset_id: the version whose images were taught and judged.
        split_id: the split whose training side was taught and whose validation side judged; None with folds.
        folds: how many folds judged each other; 0 where validation judged.
        candidate: what was trained.
        epochs: of each training; all see about the same number of images.
        score: the operating score at which recall was counted.
        confidence: of the one-sided bounds, e.g. 0.95.
        seed: of the subsets and the bootstrap.
        sizes: images a class, ascending.
        more: for so many more images the gain is told.
        runs: ids of the `CurveRun`s, by course and size.
        classes: a curve each.
        created_at: when it became visible.
    """

    id: str
    line: str
    dataset_id: str
    split_id: str | None
    folds: int
    candidate: str
    epochs: int
    score: float
    confidence: float
    seed: int
    sizes: tuple[int, ...]
    more: int
    runs: tuple[str, ...]
    classes: tuple[ClassCurve, ...]
    created_at: datetime
