"""Drift between what a model is held against and what the line shows now."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

__all__ = [
    "DISTANCES",
    "FEATURES",
    "FOCUS",
    "LIGHT",
    "NOVELTY",
    "PREDICTIONS",
    "P_VALUES",
    "Advice",
    "DriftCause",
    "DriftPolicy",
    "DriftReport",
    "DriftSlice",
    "DriftVerdict",
    "FeatureDrift",
    "ReferenceKind",
    "class_feature",
    "counted_class",
    "is_mix",
]

LIGHT = ("brightness", "contrast", "saturation_share")
FOCUS = ("sharpness", "noise", "edge_density")
FEATURES = ("brightness", "contrast", "sharpness", "noise", "saturation_share", "edge_density")
"""Of the image, from intake."""
NOVELTY = "novelty"
"""Distance from training in the model's own embedding."""
PREDICTIONS = ("boxes", "score", "box_area")
"""Of the predictions on one image: how many, their mean score, their median area in pixels."""
_CLASS = "class "

DISTANCES = ("hellinger", "jensenshannon", "kl_div", "psi", "wasserstein")
"""Methods that give a distance free of the feature's unit: 0 is the same, more is farther."""
P_VALUES = ("ks",)
"""Methods that give a p-value: a threshold holds for windows of any size, and features can be judged together."""


def class_feature(defect_class: str) -> str:
    """Return the feature that counts the predictions of a class on one image."""
    return _CLASS + defect_class


def counted_class(feature: str) -> str | None:
    """Return the class whose predictions a feature counts; None of any other feature."""
    return feature.removeprefix(_CLASS) if feature.startswith(_CLASS) else None


def is_mix(feature: str) -> bool:
    """Tell whether a feature says how much of what is found, which is the class mix."""
    return feature.startswith(_CLASS) or feature == "boxes"


class DriftVerdict(StrEnum):
    """Too few images is not the same as no drift."""

    STABLE = "stable"
    DRIFTED = "drifted"
    NOT_ENOUGH = "not_enough"


class ReferenceKind(StrEnum):
    """What a window is held against; the values are stored and shown."""

    TRAINING = "training"  # the images the champion learnt from
    ACCEPTED = "accepted"  # the champion's first windows in production that were found stable


class DriftCause(StrEnum):
    """What moved, told apart; the values are stored and shown."""

    LIGHT_OR_FOCUS = "light_or_focus"
    PRODUCT_MIX = "product_mix"
    NEW_PATTERN = "new_pattern"
    UNCLEAR = "unclear"


class Advice(StrEnum):
    """What to do next; each report ends in one."""

    RECALIBRATE = "recalibrate"
    RELABEL = "relabel"
    RETRAIN = "retrain"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """`[drift]`: how drift is measured, fixed so that the same data give the same answer.

    Attributes:
        method: Evidently's name of the distance or test, the same for every feature.
        threshold: for the test `ks` the false discovery rate over all features of a report and its slices
            (Benjamini-Hochberg), which for windows without drift is the chance that any is called drifted; for the
            other methods the distance at or above which a feature has drifted. For windows of thousands of images,
            in which a test finds every trifle, take `wasserstein` and 0.3.
        share: the line has drifted when at least this share of its features has; the default is any one.
        min_images: with fewer the answer is `not_enough`; so it is for each slice.
        window: what one report is about: `day`, `lot`, or a number: so many newest images.
        reference_images: so many images of stable windows of the champion replace the training images as the
            reference; 0 keeps the training images for good.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    method: str = "ks"
    threshold: Annotated[float, Gt(0)] = 1e-3
    share: Annotated[float, Gt(0), Le(1)] = 0.01
    min_images: Annotated[int, Ge(2)] = 30
    window: str = "day"
    reference_images: Annotated[int, Ge(0)] = 1000

    def __post_init__(self) -> None:
        """Refuse a kind of window there is not.

        Raises:
            ValueError: `window` is neither `day` nor `lot` nor a number from 1 on.
        """
        if self.window not in {"day", "lot"} and not (self.window.isdecimal() and int(self.window)):
            message = f"window must be day, lot or a number of images, found {self.window!r}"
            raise ValueError(message)

    @property
    def tests(self) -> bool:
        """Whether the method gives p-values, which are judged together."""
        return self.method in P_VALUES


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature's distance between reference and now, with the two means for a reader.

    `distance` at or above `threshold` has drifted, whatever the method: of a p-value both are -log10, and the threshold
    is the one that all features of the report are judged by together. Novelty drifts in one direction only: images that
    lie nearer to training are not new.

    Attributes:
        feature: its name.
        distance: how far apart reference and window are.
        threshold: from where that is drift.
        drifted: whether it is; never where it is not judged.
        reference_mean: mean over the reference.
        current_mean: mean over the window.
        shift: difference of the means in standard deviations of the reference, a fall of sharpness or noise told in
            logarithms; 0 where the reference has no spread.
        judged: whether it counts; what a model says of images it has learnt from is shown, not judged.
    """

    feature: str
    distance: float
    threshold: float
    drifted: bool
    reference_mean: float
    current_mean: float
    shift: float = 0.0
    judged: bool = True


@dataclass(frozen=True, slots=True)
class DriftSlice:
    """The part of a window that one station, product or lot stands for.

    Attributes:
        key: `station`, `product` or `lot`.
        value: which one.
        images: how many of the window's images.
        verdict: of this part alone.
        drifted: names of its drifted features, the farthest first.
        cause: what moved; None unless it drifted.
    """

    key: str
    value: str
    images: int
    verdict: DriftVerdict
    drifted: tuple[str, ...] = ()
    cause: DriftCause | None = None


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The comparison of one window with its reference.

    Attributes:
        id: from the line, the model, the policy, the reference and the window's images.
        line: the production line.
        dataset_id: the dataset version its model was trained on.
        source: where the images came from: a source read for this, or `inspections`.
        reference_images: how many images the reference holds.
        current_images: how many images the window holds.
        verdict: of the window as a whole.
        share: share of judged features that drifted, 0..1.
        features: every feature measured over the whole window.
        policy: how it was measured.
        report: Evidently's HTML in S3 (SHA-256); None where nothing was measured.
        created_at: when.
        model_id: the model the window was held against.
        window: `folder`, `day 2026-03-01`, `lot A12` or `last 500`.
        since: capture of its first image; None for a folder.
        until: capture of its last image; None for a folder.
        reference: which images it was held against.
        slices: by station, product and lot, where the images tell of several.
        cause: what moved; None unless it drifted.
        advice: what to do; None in reports from before advice was given.
        reason: the advice in one sentence for a person.
    """

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
    model_id: str = ""
    window: str = "folder"
    since: datetime | None = None
    until: datetime | None = None
    reference: ReferenceKind = ReferenceKind.TRAINING
    slices: tuple[DriftSlice, ...] = ()
    cause: DriftCause | None = None
    advice: Advice | None = None
    reason: str = ""
