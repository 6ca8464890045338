"""Detections, and the figures that judge them (rules M7 to M9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClassFigures", "Detections", "Evaluation", "Rate"]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Detections of one image, best score first.

    Attributes:
        boxes: `(n, 4)` float32, x1, y1, x2, y2 in pixels of the image as it was given.
        scores: `(n,)` float32 in 0..1.
        classes: `(n,)` int64 indices into the model's classes.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

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
    """

    defect_class: str
    recall: Rate
    precision: Rate
    f1: float | None
    ap50: float | None
    threshold: float


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

    def by_class(self) -> Mapping[str, ClassFigures]:
        """Return the figures keyed by defect class."""
        return {figures.defect_class: figures for figures in self.classes}
