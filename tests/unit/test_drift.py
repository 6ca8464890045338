"""The verdict over a window's features, and the table they come from."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wafergate.domain.drift import FEATURES, DriftPolicy, DriftVerdict, FeatureDrift
from wafergate.domain.samples import ImageRecord
from wafergate.stages.drift import common_limit, feature_table, judge, measurable, seen_table, weigh

pytestmark = pytest.mark.unit

POLICY = DriftPolicy(method="ks", threshold=1e-4, share=0.34, min_images=30)


def features(drifted: int, of: int = 6) -> list[FeatureDrift]:
    return [FeatureDrift(f"f{index}", 1.0, 0.5, index < drifted, 0.0, 1.0) for index in range(of)]


@pytest.mark.parametrize(
    ("drifted", "verdict"),
    [(0, DriftVerdict.STABLE), (2, DriftVerdict.STABLE), (3, DriftVerdict.DRIFTED), (6, DriftVerdict.DRIFTED)],
)
def test_a_line_has_drifted_from_the_share_of_its_features_on(drifted: int, verdict: DriftVerdict) -> None:
    assert judge(features(drifted), reference_images=30, current_images=30, policy=POLICY) == (verdict, drifted / 6)


def test_exactly_the_share_is_drift() -> None:
    policy = DriftPolicy(share=0.5)
    verdict, share = judge(features(3), reference_images=99, current_images=99, policy=policy)
    assert (verdict, share) == (DriftVerdict.DRIFTED, 0.5)


@pytest.mark.parametrize(("reference", "current"), [(29, 30), (30, 29), (0, 0)])
def test_too_few_images_are_not_enough_however_far_they_are(reference: int, current: int) -> None:
    verdict, _ = judge(features(6), reference_images=reference, current_images=current, policy=POLICY)
    assert verdict is DriftVerdict.NOT_ENOUGH


def test_nothing_measured_is_not_the_same_as_stable() -> None:
    assert judge([], reference_images=99, current_images=99, policy=POLICY) == (DriftVerdict.NOT_ENOUGH, 0.0)


@given(st.integers(0, 6), st.integers(0, 6))
def test_more_drifted_features_never_make_a_window_stable(few: int, many: int) -> None:
    few, many = sorted((few, many))
    seen = [judge(features(count), reference_images=50, current_images=50, policy=POLICY)[0] for count in (few, many)]
    assert seen != [DriftVerdict.DRIFTED, DriftVerdict.STABLE]


def test_the_table_holds_each_feature_of_each_image_in_order() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    records = [
        ImageRecord(f"{i:064x}", 8, 8, "L", 8, 99, "0" * 16, 1.0 + i, 2.0, 3.0, 4.0, 0.5, 0.25, now) for i in range(3)
    ]
    table = feature_table(records)
    assert list(table.columns) == list(FEATURES)
    assert table["brightness"].tolist() == [1.0, 2.0, 3.0]
    assert table.iloc[0].tolist() == [1.0, 2.0, 3.0, 4.0, 0.5, 0.25]
    assert feature_table([]).shape == (0, len(FEATURES))


def test_predictions_give_each_image_one_value_and_none_where_there_is_nothing() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    record = ImageRecord("0" * 64, 8, 8, "L", 8, 99, "0" * 16, 1.0, 2.0, 3.0, 4.0, 0.5, 0.25, now)
    found = [[("pit", 0.9, 0.0, 0.0, 2.0, 3.0), ("crack", 0.5, 0.0, 0.0, 4.0, 1.0)], []]
    table = seen_table([record, record], [1.5, None], found, ["crack", "pit", "scratch"])
    first = table.iloc[0].to_dict()
    assert (first["boxes"], first["score"], first["box_area"], first["novelty"]) == (2, 0.7, 5, 1.5)
    assert (first["class crack"], first["class pit"], first["class scratch"]) == (1, 1, 0)
    assert table["score"].isna().tolist() == table["box_area"].isna().tolist() == [False, True]
    assert table["boxes"].tolist() == [2, 0]
    assert "novelty" not in measurable(table, table), "one finite value measures nothing"


def test_features_are_held_against_one_limit_and_what_is_not_judged_never_drifts() -> None:
    rng = np.random.default_rng(0)
    before = pd.DataFrame({name: rng.normal(size=200) for name in "abc"})
    now = pd.DataFrame({name: rng.normal(size=100) for name in "abc"})
    policy = DriftPolicy(threshold=0.01)
    scores = {"a": 0.004, "b": 0.006, "c": 1e-9}
    limit = common_limit([scores], policy, ["c"])
    assert limit == pytest.approx(0.01), "both of the two that are judged are discoveries"
    features = weigh(scores, before, now, limit=limit, policy=policy, unjudged=["c"])
    assert [(item.feature, item.drifted, item.judged) for item in features] == [
        ("a", True, True),
        ("b", True, True),
        ("c", False, False),
    ]
    assert all(item.drifted == (item.distance >= item.threshold) for item in features[:2])
    assert features[0].shift == pytest.approx((now["a"].mean() - before["a"].mean()) / before["a"].std(ddof=0))
    assert judge(features, reference_images=200, current_images=100, policy=policy) == (DriftVerdict.DRIFTED, 1.0)


@pytest.mark.parametrize(("step", "drifted"), [(-1.0, False), (1.0, True)])
def test_only_images_farther_from_training_are_new(step: float, drifted: bool) -> None:
    before = pd.DataFrame({"novelty": np.random.default_rng(0).normal(3, 1, 200)})
    now = before.iloc[:60] + step
    (found,) = weigh({"novelty": 1e-9}, before, now, limit=1e-3, policy=DriftPolicy())
    assert (found.drifted, found.distance >= found.threshold) == (drifted, True)


@pytest.mark.parametrize("window", ["week", "0", "-3", ""])
def test_a_kind_of_window_there_is_not_is_refused(window: str) -> None:
    with pytest.raises(ValueError, match="day, lot or a number"):
        DriftPolicy(window=window)


def test_a_fall_of_sharpness_is_told_in_logarithms_and_a_rise_as_it_is() -> None:
    before = pd.DataFrame({"sharpness": np.exp(np.random.default_rng(0).normal(5, 1, 500))})
    policy = DriftPolicy()
    soft, sharp = (weigh({"sharpness": 1e-9}, before, before * by, limit=1e-3, policy=policy)[0] for by in (0.01, 2))
    assert soft.shift == pytest.approx(np.log(0.01) / np.log(before["sharpness"]).std(ddof=0))
    assert sharp.shift == pytest.approx(before["sharpness"].mean() / before["sharpness"].std(ddof=0))
