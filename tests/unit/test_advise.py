"""What moved, and what follows from it."""

import itertools

import pytest

from wafergate.domain.drift import Advice, DriftCause, DriftVerdict, FeatureDrift
from wafergate.stages.advise import LASTING, advise, tell_cause

pytestmark = pytest.mark.unit


def moved(**shifts: float) -> list[FeatureDrift]:
    """Return features: those named drifted by so many standard deviations, one more did not."""
    drifted = [FeatureDrift(name.replace("_of_", " "), 9, 3, True, 0, 1, shift) for name, shift in shifts.items()]
    return [*drifted, FeatureDrift("contrast", 1, 3, False, 0, 1, 99.0)]


@pytest.mark.parametrize(
    ("features", "cause"),
    [
        (moved(brightness=-2), DriftCause.LIGHT_OR_FOCUS),
        (moved(sharpness=-0.6), DriftCause.LIGHT_OR_FOCUS),
        (moved(brightness=-2, novelty=1), DriftCause.LIGHT_OR_FOCUS),
        (moved(novelty=1), DriftCause.NEW_PATTERN),
        (moved(novelty=3, edge_density=1), DriftCause.NEW_PATTERN),
        (moved(novelty=1, class_of_pit=1), DriftCause.NEW_PATTERN),
        (moved(class_of_pit=1), DriftCause.PRODUCT_MIX),
        (moved(boxes=1, score=-1), DriftCause.PRODUCT_MIX),
        (moved(boxes=1, brightness=0.4), DriftCause.LIGHT_OR_FOCUS),
        (moved(score=-1), DriftCause.UNCLEAR),
        (moved(novelty=-1), DriftCause.UNCLEAR),
    ],
)
def test_what_moved_is_told_apart(features: list[FeatureDrift], cause: DriftCause) -> None:
    assert tell_cause(features) is cause


@pytest.mark.parametrize(
    ("cause", "labels", "in_a_row", "advice"),
    [
        (DriftCause.LIGHT_OR_FOCUS, 999, 9, Advice.RECALIBRATE),
        (DriftCause.NEW_PATTERN, 29, 1, Advice.RELABEL),
        (DriftCause.NEW_PATTERN, 30, 1, Advice.RETRAIN),
        (DriftCause.PRODUCT_MIX, 999, LASTING - 1, Advice.WAIT),
        (DriftCause.PRODUCT_MIX, 30, LASTING, Advice.RETRAIN),
        (DriftCause.PRODUCT_MIX, 0, LASTING, Advice.RELABEL),
        (DriftCause.UNCLEAR, 0, 1, Advice.RELABEL),
    ],
)
def test_each_cause_ends_in_one_advice(cause: DriftCause, labels: int, in_a_row: int, advice: Advice) -> None:
    said, reason = advise(DriftVerdict.DRIFTED, cause, new_labels=labels, needed=30, in_a_row=in_a_row)
    assert said is advice
    assert len(reason) > 20


def test_without_drift_there_is_nothing_to_do_but_wait() -> None:
    for verdict, cause in itertools.product((DriftVerdict.STABLE, DriftVerdict.NOT_ENOUGH), (None,)):
        assert advise(verdict, cause, new_labels=999, needed=1, in_a_row=9)[0] is Advice.WAIT
