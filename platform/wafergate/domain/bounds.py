"""Exact confidence bounds of a proportion, and how many more trials would settle a question.

All bounds are one-sided Clopper-Pearson bounds: C. J. Clopper and E. S. Pearson, 'The use of confidence or fiducial
limits illustrated in the case of the binomial', Biometrika 26 (1934) 404-413, as quantiles of the beta distribution.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "excess_probability",
    "grouped_bounds",
    "grouped_change",
    "least_groups",
    "lower_bound",
    "more_to_prove",
    "proving_count",
    "reaches",
    "upper_bound",
]

_ROUNDING = 1e-12  # beta quantiles are good to about this: a bound that equals its limit must not fail by rounding
_MOST_TRIALS = 2**40


def _checked(hits: ArrayLike, trials: ArrayLike, confidence: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    k, n = np.broadcast_arrays(np.asarray(hits, dtype=np.float64), np.asarray(trials, dtype=np.float64))
    if not 0 < confidence < 1:
        message = f"confidence must lie between 0 and 1, found {confidence}"
        raise ValueError(message)
    if np.any(k < 0) or np.any(k > n):
        message = f"hits must lie between 0 and trials, found {hits!r} of {trials!r}"
        raise ValueError(message)
    return k, n


def lower_bound(hits: ArrayLike, trials: ArrayLike, confidence: float) -> NDArray[np.float64]:
    """Return the one-sided exact lower bound of a proportion, element by element.

    Args:
        hits: successes, 0..trials; any shape that broadcasts with `trials`.
        trials: out of how many.
        confidence: e.g. 0.95, between 0 and 1.

    Returns:
        Bounds in 0..1 in the broadcast shape; 0 without hits.

    Raises:
        ValueError: hits or confidence are out of range.

    Example:
        >>> lower_bound([18, 29, 28], [20, 29, 28], 0.95).round(4).tolist()
        [0.7174, 0.9019, 0.8985]
    """
    from scipy.special import betaincinv  # a command's help must not wait for it

    k, n = _checked(hits, trials, confidence)
    bound = betaincinv(np.maximum(k, 1.0), n - k + 1.0, 1.0 - confidence)
    return np.asarray(np.where(k > 0, bound, 0.0), dtype=np.float64)


def upper_bound(hits: ArrayLike, trials: ArrayLike, confidence: float) -> NDArray[np.float64]:
    """Return the one-sided exact upper bound of a proportion; 1 where every trial is a hit. See `lower_bound`."""
    k, n = _checked(hits, trials, confidence)
    return 1.0 - lower_bound(n - k, n, confidence)


def reaches(bound: float, limit: float) -> bool:
    """Tell whether `bound` is at or above `limit`, up to rounding: that of the beta quantile, or of a difference."""
    return bound >= limit - _ROUNDING


def excess_probability(hits: int, trials: int, limit: float) -> float:
    """Return the probability of at least `hits` of `trials` if the proportion were `limit`: the exact p-value.

    It is at or below `1 - confidence` exactly when the lower bound at `confidence` is at or above `limit`.
    """
    from scipy.special import betainc

    return float(betainc(hits, trials - hits + 1, limit)) if hits else 1.0


def proving_count(limit: float, confidence: float, misses: int = 0) -> int:
    """Return the smallest number of trials whose lower bound reaches `limit` with `misses` misses among them.

    Args:
        limit: what is to be proven, between 0 and 1.
        confidence: of the one-sided bound, between 0 and 1.
        misses: trials that are no hits.

    Raises:
        ValueError: limit, confidence or misses are out of range.

    Example:
        >>> [proving_count(limit, 0.95) for limit in (0.90, 0.95, 0.98)]
        [29, 59, 149]
    """
    from scipy.special import bdtr

    if not (0 < limit < 1 and 0 < confidence < 1 and misses >= 0):
        message = (
            "limit and confidence must lie between 0 and 1 and misses be 0 or more, "
            f"found limit {limit}, confidence {confidence}, misses {misses}"
        )
        raise ValueError(message)

    def proves(trials: int) -> bool:
        # P(at most `misses` misses) under the limit: the same event as lower_bound >= limit, without its inversion.
        return float(bdtr(misses, trials, 1.0 - limit)) <= (1.0 - confidence) * (1.0 + _ROUNDING)

    low, high = misses, misses + 1
    while not proves(high):
        low, high = high, 2 * high
        if high > _MOST_TRIALS:
            message = f"no number of trials up to {_MOST_TRIALS} proves {limit} at confidence {confidence}"
            raise ValueError(message)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high


def more_to_prove(hits: int, trials: int, limit: float, confidence: float) -> int:
    """Return how many further trials, all of them hits, would bring the lower bound to `limit`; 0 when it is there.

    Example:
        >>> more_to_prove(18, 20, 0.90, 0.95)
        41
    """
    return max(0, proving_count(limit, confidence, trials - hits) - trials)


def grouped_bounds(
    hits: ArrayLike, trials: ArrayLike, confidence: float, *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return one-sided percentile bounds of a proportion whose trials come in groups, by bootstrap over the groups.

    Trials of one lot, wafer or image succeed and fail together, so that fewer of them are independent than the exact
    bound believes. Whole groups are drawn with replacement (A. C. Davison and D. V. Hinkley, 'Bootstrap Methods and
    their Application', 1997, section 3.8). Where no trial failed every draw says 1: the exact bound stands then.

    Args:
        hits: `(groups,)` successes of every group.
        trials: `(groups,)` trials of every group; groups without trials may be among them.
        confidence: of each bound, between 0 and 1.
        draws: bootstrap samples.
        seed: of the draws.

    Returns:
        Lower and upper bound in 0..1; (0, 1) where fewer than `least_groups` have trials: they say nothing of others.
    """
    k, n = _checked(hits, trials, confidence)
    if np.count_nonzero(n) < least_groups(confidence):
        return 0.0, 1.0
    shares = _bootstrap(np.stack([k, n], axis=1), draws=draws, seed=seed)
    if shares is None:
        return 0.0, 1.0
    low, high = np.quantile(shares, [1.0 - confidence, confidence])
    return float(low), float(high)


def least_groups(confidence: float) -> int:
    """Return how many groups with trials `grouped_bounds` and `grouped_change` need, at least 2.

    No draw of whole groups lies below the lowest of them, and all of n groups lie above the middle of where they come
    from with a chance of 2^-n: 4 groups cannot carry a bound at 0.95, 5 can.

    Example:
        >>> [least_groups(confidence) for confidence in (0.5, 0.9, 0.95, 0.99)]
        [2, 4, 5, 7]
    """
    return max(2, math.ceil(-math.log2(1 - confidence)))


def grouped_change(
    gained: ArrayLike, lost: ArrayLike, trials: ArrayLike, confidence: float, *, draws: int = 2000, seed: int = 0
) -> float:
    """Return the one-sided upper percentile bound of a change in a proportion, by bootstrap over groups.

    Both proportions are of the same trials, so that each group brings its difference (A. C. Davison and D. V. Hinkley,
    1997, section 3.8).

    Args:
        gained: `(groups,)` trials that only the second attempt won.
        lost: `(groups,)` trials that only the first attempt won.
        trials: `(groups,)` trials of every group.
        confidence: of the bound, between 0 and 1.
        draws: bootstrap samples.
        seed: of the draws.

    Returns:
        The bound in -1..1; 1 where fewer than `least_groups` have trials: they say nothing of others.
    """
    if np.count_nonzero(trials) < least_groups(confidence):
        return 1.0
    change = np.asarray(gained, dtype=np.float64) - np.asarray(lost, dtype=np.float64)
    shares = _bootstrap(np.stack([change, np.asarray(trials, dtype=np.float64)], axis=1), draws=draws, seed=seed)
    return 1.0 if shares is None else float(np.quantile(shares, confidence))


def _bootstrap(pairs: NDArray[np.float64], *, draws: int, seed: int) -> NDArray[np.float64] | None:
    """Draw whole groups `(groups, 2)` of sum and trials, and return each draw's share; None without trials."""
    pairs = pairs[pairs[:, 1] > 0]
    if not len(pairs):
        return None
    # Groups with the same counts are interchangeable: drawing how often each kind comes up is the same experiment.
    kinds, counts = np.unique(pairs, axis=0, return_counts=True)
    sizes = np.random.default_rng(seed).multinomial(len(pairs), counts / len(pairs), size=draws)
    drawn = sizes @ kinds
    shares: NDArray[np.float64] = drawn[:, 0] / drawn[:, 1]
    return shares
