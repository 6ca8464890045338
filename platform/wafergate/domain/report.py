"""What the page about a gate decision shows beyond the stored figures."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from wafergate.domain.evaluation import Rate
from wafergate.domain.geometry import Box

__all__ = ["Certificate", "ClassCurves", "DecisionReport", "Measure", "Spot", "Standing"]

Points = tuple[tuple[float, float], ...]
Standing = Literal["acceptable", "marginal", "unacceptable", "not measured"]


@dataclass(frozen=True, slots=True)
class DecisionReport:
    """The page about a gate decision, kept for good.

    Attributes:
        id: from the decision.
        line: the production line.
        decision_id: what it tells of.
        page: SHA-256 of the self-contained HTML page in S3.
        sheet: SHA-256 of the picture sheet of mistakes (PNG) in S3; empty where no mistake was made.
        created_at: when it became visible.
    """

    id: str
    line: str
    decision_id: str
    page: str
    sheet: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Spot:
    """One miss or false alarm.

    Attributes:
        image: place of the image in the set.
        defect_class: of the instance that was missed, or of the detection that found nothing.
        kind: its `ErrorKind`.
        box: where, pixels of the image.
        score: of the false alarm; None for a miss.
        other: class a missed instance was taken for, or that is labelled where a false alarm lies; empty where none.
    """

    image: int
    defect_class: str
    kind: str
    box: Box
    score: float | None = None
    other: str = ""


@dataclass(frozen=True, slots=True)
class ClassCurves:
    """The curves of one class on the test set, and where its frozen threshold lies on them.

    Attributes:
        defect_class: the class.
        threshold: frozen on validation.
        precision_recall: (recall, precision) as the threshold falls, both 0..1.
        operating: (recall, precision) at the frozen threshold; None where either is not defined.
        missed: (threshold, share of instances missed).
        alarmed: (threshold, share of images without defect on which the class alarms).
        cost: (threshold, expected cost of 1,000 parts at the real rates); empty where the line gives no cost.
    """

    defect_class: str
    threshold: float
    precision_recall: Points
    operating: tuple[float, float] | None
    missed: Points
    alarmed: Points
    cost: Points


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of the measurement-system analysis.

    Attributes:
        name: as the manual calls it.
        rate: its counts and bounds.
        acceptable: limit of `acceptable`.
        marginal: limit of `marginal`.
        higher_is_better: whether the limits are least or largest values.
        standing: what the point comes to.
    """

    name: str
    rate: Rate
    acceptable: float
    marginal: float
    higher_is_better: bool
    standing: Standing


@dataclass(frozen=True, slots=True)
class Certificate:
    """A model as an attribute measurement system: part by part, defective or not.

    Attributes:
        parts: images of the study.
        defective: those with a defect by their labels.
        repeated: images that were taken again.
        changes: what was changed in each of the small re-imagings, in words.
        measures: effectiveness, miss rate, false-alarm rate, repeatability.
        kappa: agreement with the labels beyond chance (Cohen 1960), -1..1; None where one verdict alone occurs.
    """

    parts: int
    defective: int
    repeated: int
    changes: tuple[str, ...]
    measures: tuple[Measure, ...]
    kappa: float | None
