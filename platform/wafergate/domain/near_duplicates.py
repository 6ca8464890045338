"""Images that show the same part again, and from when on two images do (rules M10, M11)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from wafergate.domain.codes import MAX_RADIUS

__all__ = ["LikenessPolicy", "NearDuplicates", "SamePart"]


@dataclass(frozen=True, slots=True)
class LikenessPolicy:
    """From when on two images show the same part; the figures behind the defaults stand at `stages.near_duplicates`.

    Attributes:
        radius: perceptual hashes at most this many bits apart make two images candidates.
        correlation: of the detail of two registered candidates; at least this much for the same part.
        difference: largest local difference in detail, as a share of the detail there; at most this much.
        max_views: a part is photographed at most this often; images alike to more others show the product's pattern
            and are not joined by it.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    radius: Annotated[int, Ge(0), Le(MAX_RADIUS)] = MAX_RADIUS
    correlation: Annotated[float, Gt(0), Le(1)] = 0.95
    difference: Annotated[float, Gt(0)] = 0.12
    max_views: Annotated[int, Ge(1)] = 12


@dataclass(frozen=True, slots=True)
class SamePart:
    """Two images of a dataset version that show the same part, with the likeness that was measured.

    Attributes:
        first: name of the one that comes first in the version.
        second: name of the other.
        correlation: -1..1.
        difference: 0 and more.
    """

    first: str
    second: str
    correlation: float
    difference: float


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """What the search found in a dataset version.

    Attributes:
        id: from dataset version and policy.
        dataset_id: the version.
        images: how many were looked at.
        candidates: pairs near by hash that were checked on their pixels.
        pairs: those that show the same part.
        groups: how many parts they show, joined over chains of pairs.
        look_alikes: images left out because they are alike to more than `max_views` others.
        created_at: when it became visible.
        crowds: names of the images that pairs left out hold together, crowd by crowd.
    """

    id: str
    dataset_id: str
    images: int
    candidates: int
    pairs: tuple[SamePart, ...]
    groups: int
    look_alikes: int
    created_at: datetime
    crowds: tuple[tuple[str, ...], ...] = ()
