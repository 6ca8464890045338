"""Exact bounds against SciPy's own test, published cases and what must hold for every count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from wafergate.domain.bounds import (
    excess_probability,
    grouped_bounds,
    least_groups,
    lower_bound,
    more_to_prove,
    proving_count,
    reaches,
    upper_bound,
)

pytestmark = pytest.mark.unit

CONFIDENCE = st.sampled_from([0.8, 0.9, 0.95, 0.99])
LIMIT = st.floats(0.5, 0.99)
COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, CONFIDENCE)
def test_bounds_equal_scipys_exact_one_sided_intervals(counts: tuple[int, int], confidence: float) -> None:
    hits, trials = counts
    lower = binomtest(hits, trials, alternative="greater").proportion_ci(confidence, method="exact").low
    upper = binomtest(hits, trials, alternative="less").proportion_ci(confidence, method="exact").high
    assert float(lower_bound(hits, trials, confidence)) == pytest.approx(lower, abs=1e-9)
    assert float(upper_bound(hits, trials, confidence)) == pytest.approx(upper, abs=1e-9)


def test_29_of_29_proves_0_90_and_28_of_28_does_not() -> None:
    assert reaches(float(lower_bound(29, 29, 0.95)), 0.90)
    assert not reaches(float(lower_bound(28, 28, 0.95)), 0.90)


@pytest.mark.parametrize(("limit", "count"), [(0.90, 29), (0.95, 59), (0.98, 149)])
def test_success_run_counts_are_the_published_ones(limit: float, count: int) -> None:
    assert proving_count(limit, 0.95) == count


def test_18_of_20_needs_41_more() -> None:
    assert float(lower_bound(18, 20, 0.95)) == pytest.approx(0.717, abs=5e-4)
    assert more_to_prove(18, 20, 0.90, 0.95) == 41


@given(LIMIT, CONFIDENCE, st.integers(0, 30))
def test_proving_count_is_the_smallest_that_proves(limit: float, confidence: float, misses: int) -> None:
    count = proving_count(limit, confidence, misses)
    assert reaches(float(lower_bound(count - misses, count, confidence)), limit)
    if count - 1 >= misses:
        assert float(lower_bound(count - 1 - misses, count - 1, confidence)) < limit + 1e-9


@given(COUNTS, LIMIT, CONFIDENCE)
def test_more_to_prove_is_zero_exactly_when_the_bound_is_there(
    counts: tuple[int, int], limit: float, confidence: float
) -> None:
    hits, trials = counts
    more = more_to_prove(hits, trials, limit, confidence)
    bound = float(lower_bound(hits, trials, confidence))
    if abs(bound - limit) > 1e-9:
        assert (more == 0) == (bound > limit)
    assert reaches(float(lower_bound(hits + more, trials + more, confidence)), limit)


@given(COUNTS, CONFIDENCE)
def test_bounds_enclose_the_point_and_grow_with_hits(counts: tuple[int, int], confidence: float) -> None:
    hits, trials = counts
    lower, upper = lower_bound(np.arange(trials + 1), trials, confidence), upper_bound(hits, trials, confidence)
    assert lower[hits] <= hits / trials <= float(upper)
    assert np.all(np.diff(lower) > 0)


@given(COUNTS, LIMIT, CONFIDENCE)
def test_p_value_and_bound_agree(counts: tuple[int, int], limit: float, confidence: float) -> None:
    hits, trials = counts
    probability, bound = excess_probability(hits, trials, limit), float(lower_bound(hits, trials, confidence))
    assert probability == pytest.approx(binomtest(hits, trials, limit, alternative="greater").pvalue, rel=1e-6)
    if abs(bound - limit) > 1e-9:
        assert (probability <= 1 - confidence) == (bound > limit)


def test_bounds_without_trials_say_nothing() -> None:
    assert float(lower_bound(0, 0, 0.95)) == 0.0
    assert float(upper_bound(0, 0, 0.95)) == 1.0
    assert grouped_bounds([0, 0], [0, 0], 0.95) == (0.0, 1.0)


@pytest.mark.parametrize(("groups", "confidence"), [(1, 0.5), (1, 0.95), (4, 0.95), (3, 0.9)])
def test_few_groups_say_nothing_of_others(groups: int, confidence: float) -> None:
    assert groups < least_groups(confidence)
    assert grouped_bounds([19] * groups + [0], [20] * groups + [0], confidence) == (0.0, 1.0)
    enough = least_groups(confidence)
    assert grouped_bounds([19] * enough, [20] * enough, confidence) == (0.95, 0.95)


@pytest.mark.parametrize(("hits", "trials", "confidence"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_impossible_counts_are_refused(hits: int, trials: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="must lie between"):
        lower_bound(hits, trials, confidence)


@pytest.mark.parametrize(("limit", "misses"), [(1.0, 0), (0.0, 0), (0.9, -1)])
def test_a_limit_that_nothing_proves_is_refused(limit: float, misses: int) -> None:
    with pytest.raises(ValueError, match="limit and confidence"):
        proving_count(limit, 0.95, misses)


def test_instances_that_fail_together_widen_the_grouped_bounds() -> None:
    alone = np.array([1] * 180 + [0] * 20)
    together = np.array([10] * 18 + [0] * 2)
    single, lots = grouped_bounds(alone, np.ones(200), 0.95), grouped_bounds(together, np.full(20, 10), 0.95)
    assert lots[0] < single[0] < 0.9 < single[1] < lots[1]
    assert single[0] == pytest.approx(float(lower_bound(180, 200, 0.95)), abs=0.01)


def test_grouped_bounds_equal_a_bootstrap_that_draws_every_group() -> None:
    rng = np.random.default_rng(5)
    trials = rng.integers(1, 8, 60)
    hits = rng.binomial(trials, 0.85)
    draws = rng.integers(0, 60, (20_000, 60))
    shares = hits[draws].sum(axis=1) / trials[draws].sum(axis=1)
    expected = np.quantile(shares, [0.05, 0.95])
    assert grouped_bounds(hits, trials, 0.95, draws=20_000) == pytest.approx(tuple(expected), abs=3e-3)


def test_grouped_bounds_depend_on_the_seed_alone() -> None:
    hits, trials = np.array([3, 5, 0, 4]), np.array([4, 5, 2, 4])
    assert grouped_bounds(hits, trials, 0.9, seed=3) == grouped_bounds(hits, trials, 0.9, seed=3)
    assert grouped_bounds(hits[::-1], trials[::-1], 0.9, seed=3) == grouped_bounds(hits, trials, 0.9, seed=3)
