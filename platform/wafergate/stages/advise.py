"""What moved, and what to do about it: the one place of both rules."""

from collections.abc import Sequence

from wafergate.domain.drift import (
    FOCUS,
    LIGHT,
    NOVELTY,
    Advice,
    DriftCause,
    DriftVerdict,
    FeatureDrift,
    is_mix,
)

__all__ = ["LASTING", "advise", "tell_cause"]

LASTING = 3
"""So many windows in a row with another class mix are the line's new normal."""


def tell_cause(features: Sequence[FeatureDrift]) -> DriftCause:
    """Tell what moved from the features that drifted.

    - Light or focus: features of the image moved.
    - New pattern: the embedding moved away from training while the images as images did not, or by more of its own
      spread than any of theirs: a change of light moves the embedding too, but the image more.
    - Product mix: what is found moved, in number or by class, and neither of the two did.
    - Unclear: only scores or sizes of what is found moved.
    """
    drifted = [feature for feature in features if feature.drifted]
    seen = [abs(feature.shift) for feature in drifted if feature.feature in (*LIGHT, *FOCUS)]
    new = [feature.shift for feature in drifted if feature.feature == NOVELTY and feature.shift > 0]
    if new and max(new) > max(seen, default=0.0):
        return DriftCause.NEW_PATTERN
    if seen:
        return DriftCause.LIGHT_OR_FOCUS
    return DriftCause.PRODUCT_MIX if any(is_mix(feature.feature) for feature in drifted) else DriftCause.UNCLEAR


def advise(
    verdict: DriftVerdict, cause: DriftCause | None, *, new_labels: int, needed: int, in_a_row: int
) -> tuple[Advice, str]:
    """Return what to do, and why in one sentence.

    Args:
        verdict: of the window.
        cause: what moved, if it drifted.
        new_labels: labelled images that the champion has not learnt from.
        needed: how many of them a retraining asks for.
        in_a_row: how many windows in a row, this one included, drifted by this cause.
    """
    if verdict is DriftVerdict.NOT_ENOUGH:
        return Advice.WAIT, "too few images to tell; wait for more"
    if verdict is DriftVerdict.STABLE or cause is None:
        return Advice.WAIT, "nothing has moved; go on"
    if cause is DriftCause.LIGHT_OR_FOCUS:
        return Advice.RECALIBRATE, "light or focus has moved: set the station right, then watch again"
    labelled = f"{new_labels} newly labelled images of {needed} needed"
    if cause is DriftCause.PRODUCT_MIX and in_a_row < LASTING:
        return Advice.WAIT, (
            f"the class mix has moved, which leaves the recall of each class as it was: wait whether it lasts "
            f"({in_a_row} of {LASTING} windows)"
        )
    if new_labels >= needed:
        return Advice.RETRAIN, f"{_MOVED[cause]}, and enough is labelled ({labelled}): retrain"
    return Advice.RELABEL, f"{_MOVED[cause]}: label a sample of the new images ({labelled}), then retrain"


_MOVED = {
    DriftCause.PRODUCT_MIX: "the class mix has moved for good",
    DriftCause.NEW_PATTERN: "the champion sees patterns it was not trained on",
    DriftCause.UNCLEAR: "predictions have moved, and the images do not say why",
}
