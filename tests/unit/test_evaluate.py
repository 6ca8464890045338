"""Thresholds, figures and kinds of mistakes on small sets whose answer is evident, and on generated ones."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wafergate.domain.cost import CostPolicy, ExpectedCost
from wafergate.domain.evaluation import Detections, Figures, Truth
from wafergate.domain.gate import GatePolicy
from wafergate.domain.identity import canonical_json
from wafergate.domain.judging import image_weights, judge
from wafergate.domain.operating import MIN_SCORE, best_f2, lower_into_gap, lowest_cost, operating_points, reach_recall
from wafergate.stages.evaluate import evaluate, figures, size_slices, slices

pytestmark = pytest.mark.unit

CLASSES = ("open", "short")
HALF = dict.fromkeys(CLASSES, 0.5)

Said = tuple[float, float, int, float]  # left edge, width, class, score; every box is 10 high


def truth_of(*boxes: tuple[float, float, int]) -> Truth:
    """Make an image's truth from (left edge, width, class)."""
    rows = np.array([[left, 0.0, left + width, 10.0] for left, width, _ in boxes]).reshape(-1, 4)
    return Truth(rows, np.array([label for *_, label in boxes], dtype=np.int64))


def said_of(*boxes: Said) -> Detections:
    ordered = sorted(boxes, key=lambda box: -box[3])
    rows = np.array([[left, 0.0, left + width, 10.0] for left, width, *_ in ordered], dtype=np.float32).reshape(-1, 4)
    scores = np.array([box[3] for box in ordered], dtype=np.float32)
    return Detections(rows, scores, np.array([box[2] for box in ordered], dtype=np.int64))


def judged_figures(truth: Sequence[Truth], said: Sequence[Detections]) -> Figures:
    return evaluate(truth, said, CLASSES, thresholds=HALF, policy=GatePolicy())


def column(scores: Sequence[float], label: int = 0) -> tuple[list[Truth], list[Detections]]:
    """Make one image for each score, with one instance that is found at it; -1 is never found."""
    truth = [truth_of((0, 10, label)) for _ in scores]
    return truth, [said_of((0, 10, label, score)) if score >= 0 else Detections.empty() for score in scores]


def alarms(scores: Sequence[float], label: int = 0) -> tuple[list[Truth], list[Detections]]:
    """Make one normal image for each score, with a false alarm of that score."""
    return [truth_of() for _ in scores], [said_of((0, 10, label, score)) for score in scores]


def joined(*parts: tuple[list[Truth], list[Detections]]) -> tuple[list[Truth], list[Detections]]:
    return [item for part in parts for item in part[0]], [item for part in parts for item in part[1]]


# thresholds ------------------------------------------------------------------------------------------------------


def test_threshold_lies_between_the_lowest_needed_hit_and_the_next_false_alarm() -> None:
    truth, said = joined(column([0.9, 0.8, 0.7, 0.6]), alarms([0.95, 0.2, 0.1]))
    point = operating_points(truth, said, ("open",), target_recall=1.0, iou=0.5)[0]
    assert point.threshold == pytest.approx(0.4)
    assert (point.recall.hits, point.recall.trials, point.false_alarms, point.basis) == (4, 4, 1, "target")
    assert "only 4 validation" in point.warning


@pytest.mark.parametrize(("left", "threshold"), [(0, 0.95), (2, 0.75), (9, 0.45)])
def test_a_class_that_validation_lacks_keeps_within_what_the_others_left_of_the_lines_overkill(
    left: int, threshold: float
) -> None:
    loud = alarms([0.9, 0.8, 0.7, 0.6], label=1)
    quiet = [truth_of()] * 96, [Detections.empty()] * 96
    truth, said = joined(column([0.9] * 12), loud, quiet)
    own, borrowed = operating_points(truth, said, CLASSES, target_recall=1.0, iou=0.5, overkill=left / 50 + 1e-6)
    assert (own.basis, own.threshold) == ("target", pytest.approx(0.45))
    assert (borrowed.basis, borrowed.threshold) == ("other_classes", pytest.approx(threshold))
    assert borrowed.false_alarms == min(left, 4)
    assert ("as 0.450, the median" in borrowed.warning) == (left < 4)


def test_threshold_gives_up_instances_the_target_does_not_need() -> None:
    truth, said = joined(column([0.9, 0.8, 0.7, 0.05]), alarms([0.3, 0.2, 0.1]))
    assert operating_points(truth, said, ("open",), target_recall=0.75, iou=0.5)[0].threshold == pytest.approx(0.5)


def test_threshold_without_false_alarms_below_is_half_the_score() -> None:
    truth, said = column([0.9] * 12)
    point = operating_points(truth, said, ("open",), target_recall=0.98, iou=0.5)[0]
    assert point.threshold == pytest.approx(0.45)
    assert point.warning == ""


@pytest.mark.parametrize(("groups", "warned"), [(1, True), (4, True), (5, False), (12, False)])
def test_a_class_that_few_groups_show_is_told_however_often_each_was_photographed(groups: int, warned: bool) -> None:
    truth, said = joined(column([0.9] * 12), alarms([0.1] * 6))  # images without the class do not count
    told = [f"part {place % groups}" for place in range(12)] + [f"normal {place}" for place in range(len(said) - 12)]
    point = operating_points(truth, said, ("open",), target_recall=0.98, iou=0.5, groups=told)[0]
    assert (f"of only {groups} group" in point.warning) == warned
    assert point.threshold == operating_points(truth, said, ("open",), target_recall=0.98, iou=0.5)[0].threshold


def test_unreachable_target_takes_the_best_f2_with_a_warning() -> None:
    truth, said = joined(column([0.9, 0.8, 0.7, 0.02, -1.0]), alarms([0.6, *[0.3] * 40]))
    point = operating_points(truth, said, ("open",), target_recall=0.98, iou=0.5)[0]
    assert point.basis == "best_f2"
    assert point.threshold == pytest.approx((0.7 + 0.6) / 2)
    assert "4 of 5 are found at any score" in point.warning


def test_class_without_instances_or_hits_takes_the_median_of_the_others() -> None:
    parts = [column([0.8] * 3, 0), column([0.4] * 3, 1), column([0.6] * 3, 2), column([-1.0], 4)]
    truth, said = joined(*parts, alarms([0.35], 3))
    points = operating_points(truth, said, tuple("abcde"), target_recall=0.9, iou=0.5)
    assert [point.threshold for point in points] == pytest.approx([0.4, 0.2, 0.3, 0.3, 0.3])
    assert [point.basis for point in points[3:]] == ["other_classes"] * 2
    assert "d: it has no validation instance; it takes 0.300" in points[3].warning
    assert points[3].false_alarms == 1
    assert "e: none of its validation instances is found" in points[4].warning


def test_without_any_instance_every_class_says_so() -> None:
    points = operating_points([truth_of()], [Detections.empty()], CLASSES, target_recall=0.9, iou=0.5)
    assert [point.threshold for point in points] == [0.25, 0.25]
    assert all(point.warning for point in points)


SCORES = st.lists(st.floats(0.0078125, 1, width=32), min_size=1, max_size=30)


@given(SCORES, st.floats(0, 1), st.integers(0, 5))
def test_reached_recall_is_at_least_the_target_and_no_higher_score_reaches_it(
    scores: list[float], target: float, missed: int
) -> None:
    found, instances = np.array(scores), len(scores) + missed
    score = reach_recall(found, instances, target)
    if score is None:
        assert len(found) / instances < target
        return
    assert np.count_nonzero(found >= score) / instances >= target - 1e-9
    higher = np.count_nonzero(found > score)
    assert higher / instances < target or higher == 0


def test_false_alarm_of_the_same_score_counts_against_a_threshold() -> None:
    assert best_f2(np.array([0.9, 0.5]), np.full(10, 0.5), 2) == 0.9
    assert best_f2(np.array([0.9, 0.5]), np.full(10, 0.4), 2) == 0.5


GRID = st.lists(st.integers(1, 16).map(lambda value: value / 16), min_size=1, max_size=30)


@given(GRID, GRID, st.integers(0, 5))
def test_best_f2_is_the_best_of_all_thresholds(found: list[float], false: list[float], missed: int) -> None:
    hits, wrong, instances = np.array(found), np.array(false), len(found) + missed

    def f2(threshold: float) -> float:
        right, alarm = np.count_nonzero(hits >= threshold), np.count_nonzero(wrong >= threshold)
        return 5 * right / (5 * right + 4 * (instances - right) + alarm)

    chosen = best_f2(hits, wrong, instances)
    assert chosen is not None
    assert f2(chosen) == pytest.approx(max(f2(value) for value in [*found, *false]))


@given(st.floats(0.015625, 1, width=32), SCORES)
def test_lowering_into_the_gap_adds_no_false_alarm(score: float, false: list[float]) -> None:
    wrong = np.array(false)
    lowered = lower_into_gap(score, wrong)
    assert lowered < score
    assert np.count_nonzero(wrong >= lowered) == np.count_nonzero(wrong >= score)


@pytest.mark.parametrize(
    ("score", "false", "lowered"), [(0.9, [], 0.45), (0.012, [], 0.01), (0.011, [0.01], 0.0105), (0.01, [], 0.01)]
)
def test_no_threshold_goes_below_what_was_judged(score: float, false: list[float], lowered: float) -> None:
    assert lower_into_gap(score, np.array(false)) == pytest.approx(lowered)
    kept = float(np.float32(MIN_SCORE))  # as detections carry it, a little below
    assert lower_into_gap(kept, np.array(false)) <= kept


def test_lowered_threshold_carries_recall_over_to_new_parts() -> None:
    rng = np.random.default_rng(7)
    at_lowest, lowered = [], []
    for _ in range(200):
        scores, wrong = rng.beta(8, 2, 20), rng.beta(1, 25, 60)
        score = reach_recall(scores, 20, 0.98)
        assert score is not None
        new = rng.beta(8, 2, 500)
        at_lowest.append(np.mean(new >= score))
        lowered.append(np.mean(new >= lower_into_gap(score, wrong)))
    assert np.mean(at_lowest) == pytest.approx(20 / 21, abs=0.01)
    assert np.mean(lowered) > 0.99


def cost_of(escape: float, overkill: float, rate: float) -> ExpectedCost:
    cost = ExpectedCost.at(CostPolicy(escape, overkill, "EUR"), {"open": rate})
    assert cost is not None
    return cost


@given(GRID, GRID, st.integers(0, 5), st.floats(0.1, 1000), st.floats(0.001, 0.5))
def test_no_threshold_is_cheaper_than_the_one_of_lowest_cost(
    found: list[float], false: list[float], missed: int, escape: float, rate: float
) -> None:
    cost, instances = cost_of(escape, 1.0, rate), len(found) + missed
    chosen = lowest_cost(cost, "open", np.array(found), instances, np.array(false))
    assert chosen is not None

    def told(threshold: float) -> float:  # counted one by one, the long way
        escaped = instances - sum(score >= threshold for score in found)
        raised = sum(score >= threshold for score in false)
        return escape * rate * escaped / instances + (1 - rate) * raised / len(false)

    assert told(chosen) <= min(told(score) for score in found) + 1e-9


def test_dear_escapes_lower_a_threshold_and_dear_overkill_raises_it() -> None:
    truth, said = joined(column([0.9, 0.8, 0.4]), alarms([0.6, 0.5, *[0.1] * 8]))
    settings = {"target_recall": 0.98, "iou": 0.5}
    low = operating_points(truth, said, ("open",), cost=cost_of(1000, 1, 0.01), **settings)[0]
    high = operating_points(truth, said, ("open",), cost=cost_of(10, 1, 0.01), **settings)[0]
    assert (low.threshold, high.threshold) == pytest.approx((0.25, 0.7))
    assert (low.basis, high.basis) == ("lowest_cost", "lowest_cost")
    assert low.cost == pytest.approx(0.99 * 0.2)  # nothing escapes, two of ten good parts are held back
    assert high.cost == pytest.approx(10 * 0.01 / 3)  # one of three escapes, no good part is held back


def test_without_normal_images_overkill_is_taken_from_defective_ones_with_a_warning() -> None:
    truth, said = column([0.9] * 12)
    point = operating_points(truth, said, ("open",), target_recall=0.98, iou=0.5, cost=cost_of(10, 1, 0.01))[0]
    assert "validation holds no normal image" in point.warning


def test_a_cost_without_its_counterpart_is_refused() -> None:
    with pytest.raises(ValueError, match="escape and overkill together"):
        CostPolicy(escape=5.0)


# figures ---------------------------------------------------------------------------------------------------------


def test_hits_doubles_and_misses_give_the_figures_of_a_class() -> None:
    truth = [truth_of((0, 10, 0), (100, 10, 0)), truth_of((0, 10, 0)), truth_of()]
    said = [
        said_of((0, 10, 0, 0.9), (1, 10, 0, 0.8), (100, 10, 0, 0.4)),
        said_of((0, 10, 0, 0.7)),
        said_of((50, 10, 0, 0.6)),
    ]
    found = judged_figures(truth, said)
    item = found.classes[0]
    assert (item.recall.hits, item.recall.trials) == (2, 3)
    assert (item.precision.hits, item.precision.trials) == (2, 4)
    assert item.f1 == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert item.threshold == 0.5
    assert item.misses == {"wrong_class": 0, "badly_placed": 0, "missed": 1}
    assert item.false_alarms == {"double": 1, "wrong_class": 0, "badly_placed": 0, "background": 1}


def test_class_without_instances_has_no_ap_and_no_recall_value() -> None:
    item = judged_figures([truth_of((0, 10, 0))], [said_of((0, 10, 0, 0.9))]).classes[1]
    assert item.recall.value is None
    assert (item.recall.lower, item.recall.upper) == (0.0, 1.0)
    assert item.ap50 is None
    assert item.ap50_95 is None
    assert item.f1 is None


def test_escape_is_a_defective_image_with_nothing_found_and_overkill_a_normal_one_with_something() -> None:
    truth = [truth_of((0, 10, 0)), truth_of((0, 10, 0)), truth_of((0, 10, 1)), truth_of(), truth_of(), truth_of()]
    said = [
        said_of((0, 10, 0, 0.9)),
        said_of((0, 10, 0, 0.49)),
        said_of((50, 10, 0, 0.9)),  # wrong place and class, but the image is pulled out: no escape
        said_of((0, 10, 1, 0.5)),
        said_of((0, 10, 1, 0.2)),
        Detections.empty(),
    ]
    found = judged_figures(truth, said)
    assert (found.escapes.hits, found.escapes.trials) == (1, 3)
    assert (found.overkill.hits, found.overkill.trials) == (1, 3)
    assert found.baseline_accuracy == pytest.approx(0.5)
    assert found.images == 6


def test_every_kind_of_mistake_is_named() -> None:
    truth = [
        truth_of((0, 10, 0)),  # found twice: double
        truth_of((0, 10, 0)),  # said to be a short: wrong class on both sides
        truth_of((0, 10, 1)),  # box half beside it: badly placed on both sides
        truth_of((0, 10, 1)),  # only a low score: missed
        truth_of(),  # background
    ]
    said = [
        said_of((0, 10, 0, 0.9), (1, 10, 0, 0.8)),
        said_of((0, 10, 1, 0.9)),
        said_of((6, 10, 1, 0.9)),
        said_of((0, 10, 1, 0.3)),
        said_of((0, 10, 1, 0.9)),
    ]
    found = judged_figures(truth, said)
    first, second = found.classes
    assert first.misses == {"wrong_class": 1, "badly_placed": 0, "missed": 0}
    assert second.misses == {"wrong_class": 0, "badly_placed": 1, "missed": 1}
    assert first.false_alarms == {"double": 1, "wrong_class": 0, "badly_placed": 0, "background": 0}
    assert second.false_alarms == {"double": 0, "wrong_class": 1, "badly_placed": 1, "background": 1}
    assert found.confusion == ((1, 1, 0), (0, 0, 2), (1, 2, 0))


def test_a_detection_that_found_its_own_defect_places_no_other_badly() -> None:
    truth = [truth_of((0, 10, 0), (8, 10, 0))]
    assert judged_figures(truth, [said_of((0, 10, 0, 0.9))]).classes[0].misses["missed"] == 1


def test_a_little_overlap_with_another_class_is_background_and_a_plain_miss() -> None:
    found = judged_figures([truth_of((0, 10, 0))], [said_of((6, 10, 1, 0.9))])
    assert found.classes[0].misses == {"wrong_class": 0, "badly_placed": 0, "missed": 1}
    assert found.classes[1].false_alarms["background"] == 1
    assert found.confusion == ((0, 0, 1), (0, 0, 0), (0, 1, 0))


def random_set(seed: int, images: int = 60) -> tuple[list[Truth], list[Detections]]:
    rng = np.random.default_rng(seed)
    truth, said = [], []
    for _ in range(images):
        places = rng.choice(12, size=int(rng.integers(0, 5)), replace=False) * 30.0
        truth.append(truth_of(*[(float(left), 20.0, int(rng.integers(0, 2))) for left in places]))
        boxes = [
            (float(left + rng.normal(0, 4)), 20.0, int(rng.integers(0, 2)), float(rng.random())) for left in places
        ]
        extra = [
            (float(rng.uniform(0, 400)), 20.0, int(rng.integers(0, 2)), float(rng.random()))
            for _ in range(rng.integers(0, 4))
        ]
        said.append(said_of(*boxes, *extra))
    return truth, said


@pytest.mark.parametrize("seed", range(5))
def test_kinds_and_confusion_add_up_to_the_rates(seed: int) -> None:
    truth, said = random_set(seed)
    found = judged_figures(truth, said)
    table = np.array(found.confusion)
    for index, item in enumerate(found.classes):
        recall, precision = item.recall, item.precision
        assert sum(item.misses.values()) == recall.trials - recall.hits > 0
        assert sum(item.false_alarms.values()) == precision.trials - precision.hits > 0
        assert table[index].sum() == recall.trials
        assert table[:, index].sum() == precision.trials
        assert table[index, index] == recall.hits == precision.hits
        assert table[index, 1 - index] == item.misses["wrong_class"]


def test_ap50_95_does_not_depend_on_the_iou_of_the_line_and_ap50_does() -> None:
    truth, said = random_set(4)
    loose, strict = (
        evaluate(truth, said, CLASSES, thresholds=HALF, policy=GatePolicy(iou=iou)).classes[0] for iou in (0.33, 0.9)
    )
    assert loose.ap50_95 == strict.ap50_95
    assert loose.ap50 is not None
    assert strict.ap50 is not None
    assert loose.ap50 > strict.ap50


def test_order_of_images_changes_no_figure() -> None:
    truth, said = random_set(11)
    forward, backward = judged_figures(truth, said), judged_figures(truth[::-1], said[::-1])
    assert forward.confusion == backward.confusion
    assert [item.recall for item in forward.classes] == [item.recall for item in backward.classes]
    assert [item.ap50 for item in forward.classes] == pytest.approx([item.ap50 for item in backward.classes])


def test_all_normal_model_has_high_accuracy_and_no_recall() -> None:
    truth = [truth_of((0, 10, 0)), *[truth_of()] * 999]
    found = judged_figures(truth, [Detections.empty()] * 1000)
    assert found.baseline_accuracy == pytest.approx(0.999)
    assert found.classes[0].recall.hits == 0
    assert found.escapes.value == 1.0
    assert found.classes[0].f1 == 0.0
    assert found.classes[0].precision.value is None


def test_figures_are_plain_json() -> None:
    truth, said = random_set(2)
    found = evaluate(
        truth, said, CLASSES, thresholds=HALF, policy=GatePolicy(), groups=["lot"] * 60, prevalence={"open": 0.01}
    )
    assert canonical_json(found).startswith("{")


def test_missing_threshold_names_the_class() -> None:
    with pytest.raises(ValueError, match="found none for short"):
        evaluate([], [], CLASSES, thresholds={"open": 0.5}, policy=GatePolicy())


def test_grouped_recall_is_wider_when_misses_come_from_one_lot() -> None:
    truth, said = column([*[0.9] * 90, *[0.1] * 10])
    judged = judge(truth, said, ("open",), thresholds={"open": 0.5}, iou=0.5)
    lots = figures(judged, confidence=0.95, groups=[f"lot {index // 10}" for index in range(100)]).classes[0]
    singles = figures(judged, confidence=0.95, groups=[str(index) for index in range(100)]).classes[0]
    assert lots.grouped_recall is not None
    assert singles.grouped_recall is not None
    assert lots.grouped_recall.value == lots.recall.value == pytest.approx(0.9)
    assert lots.grouped_recall.lower < singles.grouped_recall.lower
    assert figures(judged, confidence=0.95).classes[0].grouped_recall is None
    with pytest.raises(ValueError, match="found 3 for 100 images"):
        figures(judged, confidence=0.95, groups=["a", "b", "c"])


# real rates, slices, pairs ---------------------------------------------------------------------------------------


def test_precision_at_real_rates_follows_from_rates_and_alarm_rate() -> None:
    truth, said = joined(column([0.9] * 8 + [0.1] * 2), alarms([0.9] * 2 + [0.1] * 18))
    policy, thresholds = GatePolicy(), {"open": 0.5}
    found = evaluate(truth, said, ("open",), thresholds=thresholds, policy=policy, prevalence={"open": 0.01})
    expected = 0.01 * 0.8 / (0.01 * 0.8 + 0.99 * 0.1)
    assert found.classes[0].precision.value == pytest.approx(0.8)
    assert found.classes[0].real_precision == pytest.approx(expected)
    assert found.real_false_alarm_share == pytest.approx(1 - expected)
    even = evaluate(truth, said, ("open",), thresholds=thresholds, policy=policy)
    assert even.classes[0].real_precision is None


def parts_of_a_line(normals: int, *, both: int = 100) -> tuple[list[Truth], list[Detections]]:
    """Make 100 parts with an open, 100 with a short and some with both; a tenth is missed, 1 % of normals alarm."""
    seen = both * 9 // 10
    said = [said_of((0, 10, 0, 0.9), (50, 10, 1, 0.9))] * seen + [Detections.empty()] * (both - seen)
    alarmed = normals // 100
    return joined(
        column([0.9] * 90 + [-1] * 10, 0),
        column([0.9] * 90 + [-1] * 10, 1),
        ([truth_of((0, 10, 0), (50, 10, 1))] * both, said),
        alarms([0.9] * alarmed),
        ([truth_of()] * (normals - alarmed), [Detections.empty()] * (normals - alarmed)),
    )


def test_a_test_set_whose_images_show_two_classes_tells_what_its_line_would() -> None:
    line = judged_figures(*parts_of_a_line(9700))
    rates = {"open": 0.02, "short": 0.02}  # 200 of 10,000 parts show each
    truth, said = parts_of_a_line(300)
    test = evaluate(truth, said, CLASSES, thresholds=HALF, policy=GatePolicy(), prevalence=rates)
    assert [item.real_precision for item in test.classes] == pytest.approx(
        [item.precision.value for item in line.classes]
    )
    alarmed = 270 + 97
    assert test.real_false_alarm_share == pytest.approx(97 / alarmed)


@given(st.floats(0.002, 0.3), st.floats(0.002, 0.3), st.integers(10, 100))
def test_weights_give_every_class_its_rate_however_many_images_show_two(first: float, second: float, both: int) -> None:
    truth, said = parts_of_a_line(300, both=both)
    judged = judge(truth, said, CLASSES, thresholds=HALF, iou=0.5)
    weights = image_weights(judged, {"open": first, "short": second})
    assert weights is not None
    for label, rate in enumerate((first, second)):
        shown = np.array([label in item.classes for item in truth])
        assert weights[shown].sum() == pytest.approx(rate, rel=1e-6)
    assert weights.sum() == pytest.approx(1.0)


def test_rates_that_no_weights_of_the_images_can_have_are_not_told() -> None:
    truth = [truth_of((0, 10, 0), (50, 10, 1)), truth_of((0, 10, 0), (50, 10, 1)), truth_of()]
    judged = judge(truth, [Detections.empty()] * 3, CLASSES, thresholds=HALF, iou=0.5)
    assert image_weights(judged, {"open": 0.01, "short": 0.02}) is None
    same = image_weights(judged, {"open": 0.02, "short": 0.02})
    assert same is not None
    assert same.tolist() == pytest.approx([0.01, 0.01, 0.98])


def test_real_rates_are_not_told_when_the_set_lacks_a_class_the_line_has() -> None:
    truth, said = joined(column([0.9] * 4), alarms([0.9]))
    found = evaluate(
        truth, said, CLASSES, thresholds=HALF, policy=GatePolicy(), prevalence={"open": 0.01, "short": 0.01}
    )
    assert found.classes[0].real_precision is None
    assert found.real_false_alarm_share is None


def test_slices_split_recall_by_lot_and_by_box_size() -> None:
    truth = [truth_of((0, 10, 0), (200, 400, 0)), truth_of((0, 10, 0)), truth_of((0, 10, 1)), truth_of()]
    said = [said_of((0, 10, 0, 0.9)), Detections.empty(), said_of((0, 10, 1, 0.9)), Detections.empty()]
    judged = judge(truth, said, CLASSES, thresholds=HALF, iou=0.5)
    rows = slices(judged, "lot", ["A", "B", "", "A"], confidence=0.95)
    assert [(row.value, row.defect_class, row.recall.hits, row.recall.trials) for row in rows] == [
        ("A", "open", 1, 2),
        ("B", "open", 0, 1),
    ]
    sizes = {(row.value, row.defect_class): row.recall.trials for row in size_slices(judged, confidence=0.95)}
    assert sizes == {("small", "open"): 2, ("medium", "open"): 1, ("small", "short"): 1}
