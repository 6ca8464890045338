"""What more augmentation bought: short trainings at several factors, judged on validation (rule M6)."""

from dataclasses import dataclass
from datetime import datetime

from wafergate.domain.evaluation import ClassFigures

__all__ = ["Ablation", "FactorRun"]


@dataclass(frozen=True, slots=True)
class FactorRun:
    """One short training.

    Attributes:
        id: from training set, start and model settings; a rerun finds it.
        training_set_id: what it was trained on.
        factor: augmented images of one original, boxes of a class per own box, and images per original, at most.
        augmented: images the plan added.
        epochs: it was trained for.
        score: the operating score at which recall was counted.
        classes: figures on validation.
        seconds: of training.
        created_at: when it became visible.
    """

    id: str
    training_set_id: str
    factor: int
    augmented: int
    epochs: int
    score: float
    classes: tuple[ClassFigures, ...]
    seconds: float
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Ablation:
    """The runs of one question, in the order of their factors; never a reason to promote anything.

    Attributes:
        id: from its runs.
        line: the production line.
        split_id: the split whose training side was augmented and whose validation side judged.
        candidate: the catalogue entry.
        originals: images of the training side.
        runs: ids of the `FactorRun`s.
        finding: one sentence for a person.
        created_at: when it became visible.
    """

    id: str
    line: str
    split_id: str
    candidate: str
    originals: int
    runs: tuple[str, ...]
    finding: str
    created_at: datetime
