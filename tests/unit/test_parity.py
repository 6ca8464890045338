"""A checkpoint and its export: equal ones agree in all, and each kind of difference is seen by its own figure."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wafergate.domain.evaluation import Detections, Truth
from wafergate.domain.parity import compare_exports

pytestmark = pytest.mark.unit

CLASSES = ("open", "short")
Said = tuple[float, float, int, float]  # left edge, width, class, score; every box is 100 high


def said_of(*boxes: Said) -> Detections:
    ordered = sorted(boxes, key=lambda box: -box[3])
    rows = np.array([[left, 0.0, left + width, 100.0] for left, width, *_ in ordered], dtype=np.float32).reshape(-1, 4)
    scores = np.array([box[3] for box in ordered], dtype=np.float32)
    return Detections(rows, scores, np.array([box[2] for box in ordered], dtype=np.int64))


def truth_of(*boxes: tuple[float, float, int]) -> Truth:
    rows = np.array([[left, 0.0, left + width, 100.0] for left, width, _ in boxes]).reshape(-1, 4)
    return Truth(rows, np.array([label for *_, label in boxes], dtype=np.int64))


NOTHING = (truth_of(),)
DETECTION = st.tuples(st.integers(0, 20).map(lambda at: at * 200.0), st.just(100.0), st.integers(0, 1), st.floats(0, 1))


@given(st.lists(st.lists(DETECTION, max_size=8, unique_by=lambda box: box[0]), min_size=1, max_size=5))
def test_a_model_agrees_with_itself(images: list[list[Said]]) -> None:
    said = [said_of(*boxes) for boxes in images]
    found = compare_exports(said, said, [truth_of()] * len(said), CLASSES)
    assert (found.agreed, found.score_gap) == (found.detections, 0.0)
    counted = sum(np.float32(score) >= 0.1 for boxes in images for *_, score in boxes)
    assert found.detections == 2 * counted


@pytest.mark.parametrize(
    ("export", "agreed", "gap"),
    [
        (said_of((0, 100, 0, 0.9), (300, 100, 1, 0.5)), 4, 0.0),
        (said_of((0, 100, 0, 0.9)), 2, 0.0),  # one is lost
        (said_of((0, 100, 0, 0.9), (300, 100, 1, 0.5), (600, 100, 0, 0.4)), 4, 0.0),  # one is new
        (said_of((0, 100, 0, 0.9), (300, 100, 0, 0.5)), 2, 0.0),  # another class
        (said_of((0, 100, 0, 0.9), (306, 100, 1, 0.5)), 2, 0.0),  # moved by 6 %: an overlap of 0.89
        (said_of((0, 100, 0, 0.9), (302, 100, 1, 0.5)), 4, 0.0),  # moved by 2 %: an overlap of 0.96
        (said_of((0, 100, 0, 0.87), (300, 100, 1, 0.5)), 4, 0.03),
    ],
)
def test_each_difference_is_seen(export: Detections, agreed: int, gap: float) -> None:
    checkpoint = said_of((0, 100, 0, 0.9), (300, 100, 1, 0.5))
    for first, second in ((checkpoint, export), (export, checkpoint)):
        found = compare_exports([first], [second], NOTHING, CLASSES)
        assert found.agreed == agreed
        assert found.score_gap == pytest.approx(gap, abs=1e-6)


def test_a_score_that_crosses_the_counted_level_by_rounding_is_no_difference() -> None:
    found = compare_exports([said_of((0, 100, 0, 0.1001))], [said_of((0, 100, 0, 0.0999))], NOTHING, CLASSES)
    assert (found.detections, found.agreed) == (1, 1)


def test_recall_is_compared_class_by_class_and_the_largest_change_is_named() -> None:
    truth: Sequence[Truth] = [truth_of((0, 100, 0), (300, 100, 1)), truth_of((0, 100, 1))]
    checkpoint = [said_of((0, 100, 0, 0.9), (300, 100, 1, 0.5)), said_of((0, 100, 1, 0.4))]
    export = [said_of((0, 100, 0, 0.9), (300, 100, 1, 0.5)), Detections.empty()]
    found = compare_exports(checkpoint, export, truth, CLASSES)
    assert found.recall == {"open": (1.0, 1.0), "short": (1.0, 0.5)}
    assert found.recall_gap == ("short", 0.5)
    assert compare_exports([Detections.empty()], [Detections.empty()], NOTHING, CLASSES).recall_gap == ("", 0.0)
