"""Two models on the same instances: counts by hand, class by class, and the bound over groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wafergate.domain.bounds import grouped_change, least_groups
from wafergate.domain.evaluation import Detections, Truth
from wafergate.stages.pair import Contender, pair

pytestmark = pytest.mark.unit

PLACE = (0.0, 0.0, 10.0, 10.0)


def truth(count: int, label: int = 0) -> list[Truth]:
    return [Truth(np.array([PLACE]), np.array([label])) for _ in range(count)]


def said(scores: list[float], label: int = 0) -> list[Detections]:
    """Make one detection on the one instance of each image, of the score given."""
    boxes = np.array([PLACE], dtype=np.float32)
    return [Detections(boxes, np.array([score], np.float32), np.array([label])) for score in scores]


def model(scores: list[float], *classes: str, label: int = 0, threshold: float = 0.5) -> Contender:
    return Contender(classes or ("open",), dict.fromkeys(classes or ("open",), threshold), said(scores, label))


def test_pairs_count_what_only_one_model_found() -> None:
    old, new = model([0.9, 0.9, 0.9, 0.9, 0.1, 0.1]), model([0.9, 0.1, 0.1, 0.1, 0.9, 0.1])
    result = pair(truth(6), old, new, shared=("open",), iou=0.5, confidence=0.95)[0]
    assert (result.both, result.only_champion, result.only_challenger, result.neither) == (1, 3, 1, 1)
    assert result.instances == 6
    assert result.change_upper is None


def test_each_model_is_held_to_its_own_thresholds() -> None:
    old, new = model([0.4] * 4, threshold=0.3), model([0.4] * 4, threshold=0.5)
    result = pair(truth(4), old, new, shared=("open",), iou=0.5, confidence=0.95)[0]
    assert (result.only_champion, result.only_challenger) == (4, 0)


def test_classes_are_met_by_name_in_whatever_order_a_model_has_them() -> None:
    old, new = model([0.9], "open", "short", label=1), model([0.9], "spur", "short", "open", label=1)
    result = pair(truth(1, 0), old, new, shared=("short",), iou=0.5, confidence=0.95)
    assert [(item.defect_class, item.both) for item in result] == [("short", 1)]


def test_a_class_only_one_model_knows_does_not_count_against_the_other() -> None:
    old, new = model([0.9], "open", "gone", label=1), model([0.9], "open")
    result = pair(
        [Truth(np.zeros((0, 4)), np.zeros(0, np.int64))], old, new, shared=("open",), iou=0.5, confidence=0.95
    )
    assert result[0].instances == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_the_bound_over_groups_lies_within_what_single_groups_did(groups: list[tuple[int, int, int]]) -> None:
    gained, lost, same = (np.array(column) for column in zip(*groups, strict=True))
    trials = gained + lost + same
    bound = grouped_change(gained, lost, trials, 0.95)
    if np.count_nonzero(trials) < least_groups(0.95):
        assert bound == 1.0
        return
    told = (gained - lost)[trials > 0] / trials[trials > 0]
    assert told.min() - 1e-9 <= bound <= told.max() + 1e-9


def test_losses_of_one_lot_alone_are_not_proven_over_lots() -> None:
    """Ten losses of one lot beside nine lots without any: a draw may well miss that lot."""
    one_lot = grouped_change([0] * 10, [10] + [0] * 9, [10] * 10, 0.95)
    every_lot = grouped_change([0] * 10, [1] * 10, [10] * 10, 0.95)
    assert one_lot == 0.0
    assert every_lot == pytest.approx(-0.1)


def test_losses_that_few_groups_show_are_proven_of_none() -> None:
    for groups in range(1, 5):
        assert grouped_change([0] * groups, [5] * groups, [10] * groups, 0.95) == 1.0
    assert grouped_change([0] * 5, [5] * 5, [10] * 5, 0.95) == pytest.approx(-0.5)
