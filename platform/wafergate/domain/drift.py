"""Drift between what a model was trained on and what the line shows now."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

__all__ = ["FEATURES", "DriftPolicy", "DriftReport", "DriftVerdict", "FeatureDrift"]

FEATURES = ("brightness", "contrast", "sharpness", "noise", "saturation_share", "edge_density")


class DriftVerdict(StrEnum):
    """Too few images is not the same as no drift."""

    STABLE = "stable"
    DRIFTED = "drifted"
    NOT_ENOUGH = "not_enough"


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """How drift is measured, fixed so that the same data give the same answer.

    Attributes:
        method: Evidently's name of the distance or test, the same for every feature.
        threshold: p-value at or below which a feature has drifted for the test `ks`; distance at or above which it has
            for the others. On random windows of both real sets `ks` at 1e-4 called 2 of 2,000 drifted, where
            `wasserstein` at 0.3 called up to one in two of the small ones; for windows of thousands of images, in
            which a test finds every trifle, take `wasserstein` and 0.3.
        share: the line has drifted when at least this share of features has; the default is any one of six.
        min_images: with fewer the answer is `not_enough`.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    method: str = "ks"
    threshold: Annotated[float, Gt(0)] = 1e-4
    share: Annotated[float, Gt(0), Le(1)] = 0.16
    min_images: Annotated[int, Ge(2)] = 30


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature's distance between reference and now, with the two means for a reader.

    `distance` at or above `threshold` has drifted, whatever the method: of a p-value both are -log10.
    """

    feature: str
    distance: float
    threshold: float
    drifted: bool
    reference_mean: float
    current_mean: float


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The comparison of one window with the training reference; `report` is Evidently's HTML in S3 (SHA-256)."""

    id: str
    line: str
    dataset_id: str
    source: str
    reference_images: int
    current_images: int
    verdict: DriftVerdict
    share: float
    features: tuple[FeatureDrift, ...]
    policy: DriftPolicy
    report: str | None
    created_at: datetime
