"""What a person may decide about something in quarantine, and what intake makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wafergate.domain.identity import identify
from wafergate.domain.samples import Quarantined, QuarantineReason
from wafergate.errors import QuarantineError

__all__ = ["INSTEAD", "RELEASE_MEANS", "QuarantineChange", "QuarantineState", "Released", "Unlabelled", "change"]

Released = frozenset[tuple[str, QuarantineReason]]
"""Paths of a source that a person let in, each with the one reason that no longer keeps it out."""


class Unlabelled(StrEnum):
    """`[intake] unlabelled`: what an image without a label file is."""

    FORMAT = "format"
    """What its format says: normal in YOLO beside a folder of labels, set aside everywhere else."""
    NORMAL = "normal"
    """An image without defect."""
    QUARANTINE = "quarantine"
    """Set aside, whatever the format says."""


class QuarantineState(StrEnum):
    """Where an entry stands."""

    OPEN = "open"
    RELEASED = "released"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class QuarantineChange:
    """What somebody decided about an entry; the newest one holds, and none is ever rewritten.

    Attributes:
        id: from entry and step, so that of two people deciding at once only one is first.
        quarantined_id: the entry.
        step: 1, 2, 3 … for each entry.
        line: the production line.
        state: released or dropped.
        actor: who.
        reason: why.
        created_at: when.
    """

    id: str
    quarantined_id: str
    step: int
    line: str
    state: QuarantineState
    actor: str
    reason: str
    created_at: datetime


RELEASE_MEANS: Mapping[QuarantineReason, str] = {
    QuarantineReason.WRONG_SUFFIX: "it enters as what its content is, under the name it has",
    QuarantineReason.SIZE_MISMATCH: "its boxes enter as they stand, in pixels of the image as it is",
    QuarantineReason.DUPLICATE: "it enters as well, with the labels it shares",
    QuarantineReason.IMAGE_WITHOUT_LABEL: "it enters as an image without defect",
}
"""The reasons a person may overrule, and what the next intake then does with the file."""

INSTEAD: Mapping[QuarantineReason, str] = {
    QuarantineReason.UNREADABLE_IMAGE: "nobody can say what its pixels are; put a whole image file in its place",
    QuarantineReason.MISSING_IMAGE: "the file is not there; add it to the source",
    QuarantineReason.UNREADABLE_LABEL: "nobody can say what its boxes are; correct the label file",
    QuarantineReason.LABEL_WITHOUT_IMAGE: "there is no image to enter; add it to the source",
    QuarantineReason.REFERENCE_MISMATCH: (
        "an image is compared with its golden reference pixel by pixel; give it one of its own size"
    ),
    QuarantineReason.TOO_LARGE: "the limit holds for every file; raise [intake] max_pixels in the line file",
    QuarantineReason.TOO_SMALL: "the model judges by tiles; inspect whole images of the size it was trained on",
    QuarantineReason.UNSAFE_PATH: "its name or link may lead outside the source; rename it, or put the file there",
    QuarantineReason.DUPLICATE_LABEL: "two entries describe one image; remove the one that is wrong",
    QuarantineReason.OUTLINE_NOT_KEPT: (
        "the boxes entered and the label file is kept as it is; draw each object as one polygon"
    ),
}
"""The reasons nobody can overrule, and what helps instead."""


def change(
    entry: Quarantined,
    before: Sequence[QuarantineChange],
    state: QuarantineState,
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> QuarantineChange:
    """Return the next decision about an entry.

    Args:
        entry: what was set aside.
        before: every earlier decision about it.
        state: released or dropped.
        actor: who decides.
        reason: why.
        now: when.

    Raises:
        QuarantineError: it stands so already, nobody and no reason is given, or its reason cannot be overruled.
    """
    if not actor.strip() or not reason.strip():
        message = f"a decision about {entry.path} needs who (--as) and why (--reason)"
        raise QuarantineError(message)
    last = max(before, key=lambda item: item.step, default=None)
    if last is not None and last.state is state:
        message = f"{entry.path} was {state.value} before, by {last.actor} on {last.created_at:%Y-%m-%d}: {last.reason}"
        raise QuarantineError(message)
    if state is QuarantineState.RELEASED and entry.reason not in RELEASE_MEANS:
        message = (
            f"{entry.path} cannot be released ({entry.reason.value}): {INSTEAD[entry.reason]}, then run intake again"
        )
        raise QuarantineError(message)
    step = last.step + 1 if last else 1
    row_id = identify("quarantine-change", entry.id, step)
    return QuarantineChange(row_id, entry.id, step, entry.line, state, actor, reason, now)
