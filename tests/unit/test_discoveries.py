"""Benjamini-Hochberg against SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, uniform

from wafergate.domain.discoveries import discovery_cutoff

pytestmark = pytest.mark.unit
p_values = st.lists(st.one_of(st.floats(0, 1), st.floats(0, 0.01)), min_size=1, max_size=40)


@given(p_values, st.sampled_from([1e-4, 1e-3, 0.01, 0.05, 0.2]))
def test_what_lies_at_or_below_the_cutoff_are_scipys_discoveries(values: list[float], rate: float) -> None:
    cutoff = discovery_cutoff(values, rate)
    adjusted = false_discovery_control(values)
    clear = np.abs(adjusted - rate) > 1e-12  # where the two round the same product differently
    assert ((np.array(values) <= cutoff) == (adjusted <= rate))[clear].all()


def test_without_drift_the_rate_is_the_chance_of_any_discovery() -> None:
    drawn = uniform.rvs(size=(4000, 14), random_state=3)
    alarms = sum(bool((row <= discovery_cutoff(row.tolist(), 0.05)).any()) for row in drawn)
    assert 0.04 < alarms / 4000 < 0.06


def test_nothing_tested_leaves_the_rate() -> None:
    assert discovery_cutoff([], 0.01) == 0.01
