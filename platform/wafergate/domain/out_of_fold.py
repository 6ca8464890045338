"""What a set too small to spare a test says of itself: an estimate, which no gate accepts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wafergate.domain.evaluation import ClassFigures, Rate

__all__ = ["FoldRun", "OutOfFold"]


@dataclass(frozen=True, slots=True)
class FoldRun:
    """One fold: a model taught on the other folds said what it sees in this one.

    Attributes:
        id: from dataset version, folds, what is trained and the fold.
        dataset_id: the version.
        fold: 1, 2, 3 …
        folds: how many there are.
        taught: images the model learnt from.
        judged: images of this fold.
        predictions: SHA-256 of the raw predictions of this fold (Parquet) in S3.
        seconds: training time.
        created_at: when it became visible.
    """

    id: str
    dataset_id: str
    fold: int
    folds: int
    taught: int
    judged: int
    predictions: str
    seconds: float
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """An estimate of a line's recall by grouped k-fold: every image judged by a model that learnt from other groups.

    It is no `Evaluation`, and nothing turns it into one: no single model stands behind it, its thresholds come from
    the very set it describes, and each model learnt from less than the line has. The gate reads evaluations alone, in
    its types, in the job and by the database's foreign key.

    Attributes:
        id: from the folds and the gate's settings.
        line: the production line.
        dataset_id: the version.
        candidate: what was trained.
        folds: how many.
        epochs: of each training.
        seed: of the folds.
        iou: intersection over union from which a detection counts.
        confidence: of the one-sided bounds, e.g. 0.95.
        images: all of the version's that are in no test set; of images with equal bytes one.
        groups: how many units the folds were made of.
        classes: figures of every defect class; a threshold is the median over the folds.
        thresholds: the threshold of every class in each fold, set on the other folds' predictions.
        escapes: defective images on which nothing was found.
        overkill: images without defect on which something was found.
        baseline_accuracy: what calling every image normal would score.
        confusion: as in `Evaluation`.
        predictions: SHA-256 of all raw predictions (Parquet) in S3, in the order of the version.
        warnings: sentences for a person.
        created_at: when it became visible.
    """

    id: str
    line: str
    dataset_id: str
    candidate: str
    folds: int
    epochs: int
    seed: int
    iou: float
    confidence: float
    images: int
    groups: int
    classes: tuple[ClassFigures, ...]
    thresholds: tuple[Mapping[str, float], ...]
    escapes: Rate
    overkill: Rate
    baseline_accuracy: float
    confusion: tuple[tuple[int, ...], ...]
    predictions: str
    warnings: tuple[str, ...]
    created_at: datetime
