"""The review list: labels that look grossly wrong, for a person to look at; nothing here ever changes one (rule M4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wafergate.domain.geometry import Box
from wafergate.domain.identity import identify

__all__ = [
    "Answer",
    "ReviewAnswer",
    "ReviewItem",
    "ReviewState",
    "Suspected",
    "Suspicion",
    "item_of",
    "standing",
]


class Suspicion(StrEnum):
    """Why a person should look, the worst first; the last three come from a model's doubts."""

    NO_AREA = "no_area"
    OUTSIDE = "outside_image"
    WHOLE_IMAGE = "whole_image"
    DUPLICATE = "duplicate"
    SIZE_OUTLIER = "size_outlier"
    ASPECT = "aspect"
    SMALL = "small"
    MISSED = "missed_label"
    SWAPPED = "swapped_label"
    BADLY_PLACED = "badly_placed"


@dataclass(frozen=True, slots=True)
class Suspected:
    """What a producer of suspicions tells of one box.

    Attributes:
        sample: name of the image in its dataset version.
        box_index: 0-based place of the box in its image; None where no box was drawn (`missed_label`).
        label: the label it was drawn under, or the class that a model sees where none was drawn.
        box: as it was drawn, or where a model sees a defect.
        kind: what is suspected.
        score: larger is worse; comparable within one kind.
        detail: one sentence for a person, with the number.
    """

    sample: str
    box_index: int | None
    label: str
    box: Box
    kind: Suspicion
    score: float
    detail: str


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One suspicion about one box of one dataset version.

    Attributes:
        id: from the dataset version and the key.
        key: from image bytes, label, corners and kind: the same box keeps its key from version to version, so that an
            answer that it is right holds for good.
        dataset_id: the version.
        line: the production line.
        sample: name of the image.
        image: SHA-256 of the image.
        box_index: as in `Suspected`, and so are the fields after it.
        label: the label.
        box: the box.
        kind: the suspicion.
        score: how bad.
        detail: one sentence.
        created_at: when it was suspected.
    """

    id: str
    key: str
    dataset_id: str
    line: str
    sample: str
    image: str
    box_index: int | None
    label: str
    box: Box
    kind: Suspicion
    score: float
    detail: str
    created_at: datetime


class Answer(StrEnum):
    """What a person decided: the label is right as it is, or it was corrected in a later version."""

    KEPT = "kept"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class ReviewAnswer:
    """A person's answer to an item; never changed or taken back, a later one goes before an earlier one.

    Attributes:
        id: from the item, the answer and the version it led to.
        item_id: the item.
        key: the item's key.
        answer: what was decided.
        actor: who.
        reason: why.
        corrected_in: the dataset version that holds the correction; None where the label was kept.
        created_at: when.
    """

    id: str
    item_id: str
    key: str
    answer: Answer
    actor: str
    reason: str
    corrected_in: str | None
    created_at: datetime


class ReviewState(StrEnum):
    """Where an item stands; derived from its answers, never stored."""

    OPEN = "open"
    KEPT = "kept"
    CORRECTED = "corrected"


def item_of(suspected: Suspected, *, dataset_id: str, line: str, image: str, now: datetime) -> ReviewItem:
    """Return the item of a suspicion."""
    key = identify("box", image, suspected.label, suspected.box, suspected.kind)
    return ReviewItem(
        id=identify("review", dataset_id, suspected.sample, suspected.box_index, key),
        key=key,
        dataset_id=dataset_id,
        line=line,
        sample=suspected.sample,
        image=image,
        box_index=suspected.box_index,
        label=suspected.label,
        box=suspected.box,
        kind=suspected.kind,
        score=suspected.score,
        detail=suspected.detail,
        created_at=now,
    )


def standing(items: Sequence[ReviewItem], answers: Iterable[ReviewAnswer]) -> dict[str, ReviewState]:
    """Return where each item stands, by its id.

    An answer holds for its own item; that a label is right also holds for the same box of every other version.

    Args:
        items: any items.
        answers: every answer to them or to items with their keys.
    """
    own: dict[str, ReviewAnswer] = {}
    kept = set()
    for answer in sorted(answers, key=lambda answer: (answer.created_at, answer.id)):
        own[answer.item_id] = answer
        if answer.answer is Answer.KEPT:
            kept.add(answer.key)
    states = {}
    for item in items:
        answer_of_item = own.get(item.id)
        if answer_of_item is not None:
            states[item.id] = ReviewState(answer_of_item.answer.value)
        else:
            states[item.id] = ReviewState.KEPT if item.key in kept else ReviewState.OPEN
    return states
