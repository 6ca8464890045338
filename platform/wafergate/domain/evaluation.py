"""Detections, and the figures that judge them (rules M7 to M9)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.bounds import lower_bound, upper_bound
from wafergate.domain.samples import LabelledBox
from wafergate.errors import TaxonomyError

__all__ = [
    "ClassFigures",
    "Comparison",
    "Detections",
    "ErrorKind",
    "Evaluation",
    "Figures",
    "OperatingPoint",
    "Paired",
    "Rate",
    "SliceFigures",
    "Truth",
]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Detections of one image, best score first.

    Attributes:
        boxes: `(n, 4)` float32, x1, y1, x2, y2 in pixels of the image as it was given.
        scores: `(n,)` float32 in 0..1.
        classes: `(n,)` int64 indices into the model's classes.
        embedding: `(k, c)` float32, the model's own view of the image: one row for each part it was shown in, so one
            for a whole image and more for one seen by tiles; None from a model or a file that gives none.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    embedding: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        n = len(self.scores)
        if self.boxes.shape != (n, 4) or self.classes.shape != (n,):
            message = f"{n} scores need boxes (n, 4) and classes (n,), found {self.boxes.shape}, {self.classes.shape}"
            raise ValueError(message)

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> "Detections":
        """Return no detection."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The defects of one image as they were labelled; none for an image without defect.

    Attributes:
        boxes: `(n, 4)` float64, x1, y1, x2, y2 in pixels of the image.
        classes: `(n,)` int64 indices into the model's classes.
    """

    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]

    def __post_init__(self) -> None:
        n = len(self.classes)
        if self.boxes.shape != (n, 4):
            message = f"{n} classes need boxes (n, 4), found {self.boxes.shape}"
            raise ValueError(message)

    def __len__(self) -> int:
        return len(self.classes)

    @classmethod
    def of(cls, boxes: Iterable[LabelledBox], classes: Sequence[str]) -> "Truth":
        """Return the labelled boxes of a sample as arrays, their classes as places in `classes`.

        Raises:
            TaxonomyError: a box has a defect class that is not in `classes`.
        """
        place = {name: index for index, name in enumerate(classes)}
        items = list(boxes)
        unknown = sorted({item.defect_class for item in items} - place.keys())
        if unknown:
            message = f"labels must be of the model's classes ({', '.join(classes)}); found {', '.join(unknown)}"
            raise TaxonomyError(message)
        corners = np.array([item.box.as_tuple() for item in items], dtype=np.float64).reshape(-1, 4)
        return cls(corners, np.array([place[item.defect_class] for item in items], dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Rate:
    """A proportion with its exact one-sided bounds.

    Attributes:
        hits: successes.
        trials: out of how many.
        lower: lower confidence bound, 0..1 (0 without trials).
        upper: upper confidence bound, 0..1 (1 without trials).
    """

    hits: int
    trials: int
    lower: float
    upper: float

    @property
    def value(self) -> float | None:
        """The proportion; None without trials."""
        return self.hits / self.trials if self.trials else None

    @classmethod
    def exact(cls, hits: int, trials: int, confidence: float) -> "Rate":
        """Return a proportion with its one-sided Clopper-Pearson bounds at `confidence`."""
        lower, upper = lower_bound(hits, trials, confidence), upper_bound(hits, trials, confidence)
        return cls(int(hits), int(trials), float(lower), float(upper))


class ErrorKind(StrEnum):
    """What a miss or a false alarm is; the values are stored and shown."""

    MISSED = "missed"  # a defect that no detection stands for
    BACKGROUND = "background"  # a detection where no defect is
    WRONG_CLASS = "wrong_class"  # the place is right, the class is not
    BADLY_PLACED = "badly_placed"  # the class is right, the overlap lies between 0.1 and the line's IoU
    DOUBLE = "double"  # a further detection of a defect that was found already


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The operating threshold of one class, frozen on validation, and what it does there.

    Attributes:
        defect_class: the class.
        threshold: the operating score: detections at or above it count.
        recall: on validation.
        false_alarms: on validation, at the threshold.
        basis: the rule that set it: `target`, `lowest_cost`, `overkill`, `best_f2` or `other_classes`.
        warning: one sentence where the threshold rests on little; empty otherwise.
        cost: expected cost of a part as far as this class goes, at the line's real rates; None where no cost is given.
    """

    defect_class: str
    threshold: float
    recall: Rate
    false_alarms: int
    basis: str
    warning: str = ""
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class SliceFigures:
    """Recall of a class on part of a test set.

    Attributes:
        key: what the images or boxes are told apart by: `lot`, `station`, `box_size` …
        value: which part.
        defect_class: the class.
        recall: in this part, with bounds.
    """

    key: str
    value: str
    defect_class: str
    recall: Rate


@dataclass(frozen=True, slots=True)
class Paired:
    """Two models on the same instances of one class.

    Attributes:
        defect_class: the class.
        both: instances both found.
        only_champion: instances the challenger lost.
        only_challenger: instances the challenger gained.
        neither: instances both missed.
        change_upper: upper bound of the challenger's recall minus the champion's, by bootstrap over groups; None when
            no groups were given.
    """

    defect_class: str
    both: int
    only_champion: int
    only_challenger: int
    neither: int
    change_upper: float | None = None

    @property
    def instances(self) -> int:
        """How many instances both were asked for."""
        return self.both + self.only_champion + self.only_challenger + self.neither


@dataclass(frozen=True, slots=True)
class Comparison:
    """A model beside its line's champion on the test images that neither has learnt from.

    Attributes:
        id: from evaluation, champion and settings.
        evaluation_id: the challenger's evaluation on its test side.
        champion_id: the model that judged the line at that time.
        images: test images both were run on.
        left_out: test images that were not used because the champion, or a group of theirs, had been trained on.
        paired: class by class, for every class both detect.
        reason: why nothing could be compared, as one sentence; empty where something was.
        predictions: SHA-256 of the champion's raw predictions (Parquet) in S3; empty where nothing was compared.
        created_at: when it became visible.
    """

    id: str
    evaluation_id: str
    champion_id: str
    images: int
    left_out: int
    paired: tuple[Paired, ...]
    reason: str
    predictions: str
    created_at: datetime

    def by_class(self) -> Mapping[str, Paired]:
        """Return the pairs keyed by defect class."""
        return {pair.defect_class: pair for pair in self.paired}


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """How well one defect class was found at its operating threshold.

    Attributes:
        defect_class: the class.
        recall: found instances over all instances, with bounds.
        precision: right detections over all detections, with bounds.
        f1: harmonic mean of the two points; None when neither exists.
        ap50: average precision at the line's IoU over all scores, 0..1; None without instances.
        threshold: the operating score.
        ap50_95: average precision over IoU 0.50 to 0.95, 0..1; None without instances.
        misses: instances not found, by `ErrorKind`.
        false_alarms: detections that found nothing, by `ErrorKind`.
        grouped_recall: recall with bounds by bootstrap over groups; None when no groups were given.
        real_precision: precision re-weighted to the line's real defect rates; None where they are not stated.
    """

    defect_class: str
    recall: Rate
    precision: Rate
    f1: float | None
    ap50: float | None
    threshold: float
    ap50_95: float | None = None
    misses: Mapping[str, int] = field(default_factory=dict)
    false_alarms: Mapping[str, int] = field(default_factory=dict)
    grouped_recall: Rate | None = None
    real_precision: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """All that a set of predictions says about a model; the fields mean what they mean in `Evaluation`."""

    images: int
    classes: tuple[ClassFigures, ...]
    escapes: Rate
    overkill: Rate
    baseline_accuracy: float
    confusion: tuple[tuple[int, ...], ...]
    real_false_alarm_share: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model judged on one side of a split.

    Attributes:
        id: from model, split, side and settings.
        model_id: the model.
        split_id: the split.
        side: `test` judges; `validation` only informs.
        iou: intersection over union from which a detection counts.
        confidence: of the one-sided bounds, e.g. 0.95.
        images: how many were looked at.
        classes: figures of every defect class of the line.
        escapes: defective images on which nothing was found.
        overkill: images without defect on which something was found.
        baseline_accuracy: what calling every image normal would score: shown, never a gate (rule M7).
        predictions: SHA-256 of the raw predictions (Parquet) in S3.
        look: how many times this test set had been used, this one included.
        created_at: when it became visible.
        confusion: instances (rows) by what was said of them (columns), classes in order, then background: the last
            column counts the missed, the last row the false alarms. The diagonal holds the hits of `recall`.
        slices: recall on parts of the set.
        real_false_alarm_share: of the images called defective on the line, the share without defect, at the line's real
            defect rates; None where they are not stated.
    """

    id: str
    model_id: str
    split_id: str
    side: str
    iou: float
    confidence: float
    images: int
    classes: tuple[ClassFigures, ...]
    escapes: Rate
    overkill: Rate
    baseline_accuracy: float
    predictions: str
    look: int
    created_at: datetime
    confusion: tuple[tuple[int, ...], ...] = ()
    slices: tuple[SliceFigures, ...] = ()
    real_false_alarm_share: float | None = None

    def by_class(self) -> Mapping[str, ClassFigures]:
        """Return the figures keyed by defect class."""
        return {figures.defect_class: figures for figures in self.classes}
