"""Golden parts: images with known answers, of which the inspection must say what it always said."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from wafergate.domain.inspection import FoundBox
from wafergate.domain.samples import LabelledBox

__all__ = [
    "DifferenceKind",
    "GoldenAnswers",
    "GoldenDifference",
    "GoldenPart",
    "GoldenPolicy",
    "GoldenRun",
    "GoldenSet",
]


@dataclass(frozen=True, slots=True)
class GoldenPolicy:
    """`[golden]`: how far an answer may lie from the sealed one and still be the same.

    Two runtimes, or two processors, round differently: the defaults leave room for that and for nothing else.

    Attributes:
        iou: least overlap of a box with the sealed one.
        score: largest difference of the scores.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    iou: Annotated[float, Ge(0.5), Le(1)] = 0.9
    score: Annotated[float, Gt(0), Le(1)] = 0.05


@dataclass(frozen=True, slots=True)
class GoldenPart:
    """One image of the set: its path in the source, its file and golden reference by SHA-256, its labelled defects."""

    name: str
    image: str
    reference: str | None
    boxes: tuple[LabelledBox, ...]


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """A sealed set of golden parts; the newest of a line is checked.

    Attributes:
        id: from the line, the digest of the parts and the set before it.
        line: the production line.
        digest: SHA-256 over names, files and labels of the parts.
        parts: what is checked.
        left_out: images of the source that the champion did not answer as labelled, or that could not be read.
        sealed_by: who sealed it.
        reason: why.
        created_at: when.
    """

    id: str
    line: str
    digest: str
    parts: tuple[GoldenPart, ...]
    left_out: int
    sealed_by: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GoldenAnswers:
    """What one model said of a set when it was sealed, or at the first check after the model became champion.

    Attributes:
        id: from the set and the model.
        set_id: the set.
        line: the production line.
        model_id: the model.
        answers: the detections of each part by its name.
        actor: who sealed it; `first check` where a new champion answered every part as it is labelled.
        created_at: when.
    """

    id: str
    set_id: str
    line: str
    model_id: str
    answers: Mapping[str, tuple[FoundBox, ...]]
    actor: str
    created_at: datetime


class DifferenceKind(StrEnum):
    """How an answer differs from the known one."""

    MISSING = "missing"  # a box is not found any more
    EXTRA = "extra"
    CLASS = "class"
    BOX = "box"  # overlaps, and less than `[golden] iou`
    SCORE = "score"
    UNREAD = "unread"  # the inspection has no answer for the part


@dataclass(frozen=True, slots=True)
class GoldenDifference:
    """One difference: what was expected and what was found; None for nothing."""

    kind: DifferenceKind
    name: str
    image: str
    expected: FoundBox | None
    found: FoundBox | None
    detail: str


@dataclass(frozen=True, slots=True)
class GoldenRun:
    """One check of the golden parts.

    Attributes:
        id: from the set, the model and the time.
        line: the production line.
        set_id: the set that was checked.
        model_id: the champion.
        answers_id: the sealed answers; empty where a new champion was held to the labels.
        parts: how many were checked.
        differences: every one found; none where all is as it was.
        picture: SHA-256 of a sheet (PNG) that shows the first; empty where there is none.
        policy: the tolerances in force.
        created_at: when.
    """

    id: str
    line: str
    set_id: str
    model_id: str
    answers_id: str
    parts: int
    differences: tuple[GoldenDifference, ...]
    picture: str
    policy: GoldenPolicy
    created_at: datetime
