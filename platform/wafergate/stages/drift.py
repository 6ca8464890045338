"""Whether the images of a window still look like those the model was trained on."""

from collections.abc import Sequence

import pandas as pd

from wafergate.domain.drift import FEATURES, DriftPolicy, DriftVerdict, FeatureDrift
from wafergate.domain.samples import ImageRecord

__all__ = ["feature_table", "judge"]


def feature_table(records: Sequence[ImageRecord]) -> pd.DataFrame:
    """Return one row for each image, one column for each of `FEATURES`, in the units of `ImageRecord`."""
    return pd.DataFrame(
        {feature: pd.Series([getattr(record, feature) for record in records], dtype="float64") for feature in FEATURES}
    )


def judge(
    features: Sequence[FeatureDrift], *, reference_images: int, current_images: int, policy: DriftPolicy
) -> tuple[DriftVerdict, float]:
    """Judge a window by the share of its features that drifted.

    Args:
        features: the measured features; may be empty where there were too few images to measure.
        reference_images: how many images the reference holds.
        current_images: how many images the window holds.
        policy: the line's `[drift]`.

    Returns:
        The verdict and the share of drifted features, 0..1. The verdict is `not_enough` when either side holds fewer
        than `policy.min_images` or nothing was measured, whatever the features say.
    """
    share = sum(feature.drifted for feature in features) / len(features) if features else 0.0
    if not features or min(reference_images, current_images) < policy.min_images:
        return DriftVerdict.NOT_ENOUGH, share
    return (DriftVerdict.DRIFTED if share >= policy.share else DriftVerdict.STABLE), share
