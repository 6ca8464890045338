"""Whether the images of a window still look like those of the reference, to the camera and to the model."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from wafergate.domain.discoveries import discovery_cutoff
from wafergate.domain.drift import FEATURES, NOVELTY, DriftPolicy, DriftVerdict, FeatureDrift, class_feature
from wafergate.domain.inspection import FoundBox
from wafergate.domain.samples import ImageRecord

__all__ = ["common_limit", "feature_table", "judge", "measurable", "seen_table", "weigh"]

_SMALLEST_P = 1e-300
_SQUEEZED = ("sharpness", "noise")
_LEAST_VALUES = 2


def feature_table(records: Sequence[ImageRecord]) -> pd.DataFrame:
    """Return one row for each image, one column for each of `FEATURES`, in the units of `ImageRecord`."""
    return pd.DataFrame(
        {feature: pd.Series([getattr(record, feature) for record in records], dtype="float64") for feature in FEATURES}
    )


def seen_table(
    records: Sequence[ImageRecord],
    novelty: Sequence[float | None],
    found: Sequence[Sequence[FoundBox]],
    classes: Sequence[str],
) -> pd.DataFrame:
    """Return the features of each image, of its embedding and of the predictions on it, one row an image.

    Predictions on one image hang together, so each image gives one value: how many there are, their mean score and
    median area (not a number where there is none), and how many there are of each class.

    Args:
        records: of the images.
        novelty: of the same images in the same order; None where it was not measured.
        found: detections at or above their thresholds, likewise.
        classes: defect classes.
    """
    table = feature_table(records)
    table[NOVELTY] = np.array([math.nan if value is None else value for value in novelty], np.float64)
    table["boxes"] = np.array([len(boxes) for boxes in found], np.float64)
    table["score"] = [float(np.mean([box[1] for box in boxes])) if boxes else math.nan for boxes in found]
    table["box_area"] = [float(np.median([_area(box) for box in boxes])) if boxes else math.nan for boxes in found]
    for name in classes:
        table[class_feature(name)] = np.array([sum(box[0] == name for box in boxes) for boxes in found], np.float64)
    return table


def _area(box: FoundBox) -> float:
    return (box[4] - box[2]) * (box[5] - box[3])


def measurable(reference: pd.DataFrame, current: pd.DataFrame) -> list[str]:
    """Return the columns that hold at least two finite values on both sides, in order."""
    return [
        str(column)
        for column in reference.columns
        if min(np.isfinite(side[column]).sum() for side in (reference, current)) >= _LEAST_VALUES
    ]


def common_limit(scores: Iterable[Mapping[str, float]], policy: DriftPolicy, unjudged: Iterable[str] = ()) -> float:
    """Return what every feature of a report is held against: a p-value or a distance.

    Args:
        scores: by feature, of the window as a whole and of each of its slices.
        policy: the line's `[drift]`.
        unjudged: features that do not count.
    """
    if not policy.tests:
        return policy.threshold
    left_out = set(unjudged)
    judged = [score for item in scores for feature, score in item.items() if feature not in left_out]
    return discovery_cutoff(judged, policy.threshold)


def weigh(
    scores: Mapping[str, float],
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    limit: float,
    policy: DriftPolicy,
    unjudged: Iterable[str] = (),
) -> list[FeatureDrift]:
    """Hold each feature against the common limit.

    Images that lie nearer to training than the training images themselves, left out, do to each other are no drift.

    Args:
        scores: by feature, as the meter gives them.
        reference: one column for each feature.
        current: the same columns.
        limit: of `common_limit`.
        policy: the line's `[drift]`.
        unjudged: features that do not count.
    """
    left_out = set(unjudged)
    threshold = _readable(limit, policy)
    found = []
    for feature, score in scores.items():
        before, now = (side[feature][np.isfinite(side[feature])] for side in (reference, current))
        distance, shift = _readable(score, policy), _shift(feature, before, now)
        counts = feature not in left_out
        means = float(before.mean()), float(now.mean())
        drifted = counts and distance >= threshold and not (feature == NOVELTY and shift <= 0)
        found.append(FeatureDrift(feature, distance, threshold, drifted, *means, shift, judged=counts))
    return found


def _shift(feature: str, before: "pd.Series[float]", now: "pd.Series[float]") -> float:
    """Return the difference of the means in standard deviations of the reference.

    Sharpness and noise span decades and end at 0, where a fall is squeezed: it is told in logarithms.
    """
    falls = float(now.mean()) < float(before.mean())
    if feature in _SQUEEZED and falls and min(before.min(), now.min()) > 0:
        before, now = before.map(math.log), now.map(math.log)
    spread = float(before.std(ddof=0))
    return (float(now.mean()) - float(before.mean())) / spread if spread > 0 else 0.0


def _readable(score: float, policy: DriftPolicy) -> float:
    """Return a score so that more is farther: of a p-value -log10."""
    return -math.log10(max(score, _SMALLEST_P)) + 0.0 if policy.tests else score


def judge(
    features: Sequence[FeatureDrift], *, reference_images: int, current_images: int, policy: DriftPolicy
) -> tuple[DriftVerdict, float]:
    """Judge a window, or a slice of one, by the share of its judged features that drifted.

    Args:
        features: the measured features; may be empty where there were too few images to measure.
        reference_images: how many images the reference holds.
        current_images: how many images the window holds.
        policy: the line's `[drift]`.

    Returns:
        The verdict and the share of drifted features, 0..1. The verdict is `not_enough` when either side holds fewer
        than `policy.min_images` or nothing was measured, whatever the features say.
    """
    judged = [feature for feature in features if feature.judged]
    share = sum(feature.drifted for feature in judged) / len(judged) if judged else 0.0
    if not judged or min(reference_images, current_images) < policy.min_images:
        return DriftVerdict.NOT_ENOUGH, share
    return (DriftVerdict.DRIFTED if share >= policy.share else DriftVerdict.STABLE), share
