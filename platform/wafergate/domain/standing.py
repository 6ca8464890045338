"""What an image has been to its line before, and what that still allows (rules M9, M10)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from wafergate.domain.splits import Side

__all__ = ["NO_PAST", "Past", "Renewal", "Standing", "bind_groups", "standing_of", "strongest"]


class Standing(StrEnum):
    """What an image was used for by earlier splits of its line, the strongest tie first.

    What taught once never judges again; what chose thresholds keeps choosing them; a retired test image may teach and
    never judges again; what judges keeps judging.
    """

    TRAIN = "train"
    VALIDATION = "validation"
    RETIRED = "retired"
    TEST = "test"


_STRENGTH = {standing: place for place, standing in enumerate(Standing)}


def strongest(standings: Iterable[Standing]) -> Standing:
    """Return the tie that decides where several meet."""
    return min(standings, key=_STRENGTH.__getitem__)


@dataclass(frozen=True, slots=True)
class Past:
    """What the samples of a dataset version were before.

    Attributes:
        images: the standing of each sample, in order; None for an image that no side has used.
        groups: the standing of each group that has one; it holds for every image of the group, new ones included.
    """

    images: Sequence[Standing | None] = ()
    groups: Mapping[str, Standing] = field(default_factory=dict)


NO_PAST = Past()
"""Of the first version of a line."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A worn test set retired on purpose; every test image of the line's splits up to then judges no more.

    Attributes:
        id: from the line and the test set.
        line: the production line.
        split_id: the split whose test set was worn.
        test_digest: the seal of that test set.
        images: how many images it held.
        looks: how often its most used image was looked at.
        actor: who retired it.
        reason: why.
        created_at: when.
    """

    id: str
    line: str
    split_id: str
    test_digest: str
    images: int
    looks: int
    actor: str
    reason: str
    created_at: datetime


def standing_of(side: Side, *, retired: bool) -> Standing | None:
    """Return what an image becomes on a side: nothing where it is unused, retired where its test set is.

    Args:
        side: where a split put it.
        retired: whether that split's test set was retired since.
    """
    if side is Side.UNUSED:
        return None
    return Standing.RETIRED if retired and side is Side.TEST else Standing(side.value)


def bind_groups(images: Sequence[Standing | None], groups: Sequence[str]) -> dict[str, Standing]:
    """Return the standing of every group that has one: the strongest of its images'.

    A group whose images stood on different sides (a link between them was found later) therefore follows the side that
    taught, and its test images leave the test: they show what a model may know by heart.

    Args:
        images: the standing of each image; None where it has none.
        groups: the group of each image, in the same order.
    """
    bound: dict[str, Standing] = {}
    for standing, group in zip(images, groups, strict=True):
        if standing is not None:
            bound[group] = strongest((standing, bound.get(group, standing)))
    return bound
