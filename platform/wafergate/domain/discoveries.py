"""Many tests judged together: the false discovery rate."""

from collections.abc import Sequence

import numpy as np

__all__ = ["discovery_cutoff"]


def discovery_cutoff(p_values: Sequence[float], rate: float) -> float:
    """Return the largest p-value that is a discovery at a false discovery rate, or would be one.

    Benjamini and Hochberg's step-up procedure (J. R. Statist. Soc. B 57, 1995): with the m p-values in ascending order,
    the k smallest are discoveries for the largest k whose k-th is at most k/m of the rate. That is the same as all
    p-values at or below max(k, 1)/m of the rate, which is what is returned: a single number to hold each against.

    Args:
        p_values: each 0..1.
        rate: expected share of false ones among the discoveries, 0..1; where nothing has moved, the chance of any.

    Example:
        >>> discovery_cutoff([0.001, 0.012, 0.2, 0.9], 0.05)
        0.025
    """
    count = len(p_values)
    if not count:
        return rate
    steps = rate * np.arange(1, count + 1) / count
    passed = np.flatnonzero(np.sort(np.asarray(p_values, np.float64)) <= steps)
    return float(steps[passed[-1]] if len(passed) else steps[0])
