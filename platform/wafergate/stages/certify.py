"""A model in the terms of attribute measurement-system analysis.

Terms and limits after AIAG, 'Measurement Systems Analysis', reference manual, 4th edition (2010), chapter III,
section C: a part is judged defective or not, against a reference that is known, several times over.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.evaluation import Rate
from wafergate.domain.report import Certificate, Measure, Standing

__all__ = ["certify"]

Verdicts = NDArray[np.bool_]

_EFFECTIVENESS = (0.90, 0.80)
_MISSES = (0.02, 0.05)
_FALSE_ALARMS = (0.05, 0.10)


def certify(
    reference: Verdicts, said: Verdicts, again: Sequence[Verdicts], changes: Sequence[str], *, confidence: float
) -> Certificate:
    """Return the figures of the analysis.

    Effectiveness is the share of right decisions, miss rate the share of defective parts let through, false-alarm rate
    the share of good parts held back. A file gives the same answer each time, so trials are small re-imagings, and
    repeatability is the share of parts that are decided alike in all of them; the manual's limits of effectiveness
    stand for it, as it names none of its own.

    Args:
        reference: `(parts,)` whether a part has a defect by its labels.
        said: `(parts,)` whether the model found anything.
        again: for each re-imaging `(repeated,)` what the model said; its parts with their first verdict in front.
        changes: what was changed in each re-imaging, in words.
        confidence: of the one-sided bounds.
    """
    right, bad = int(np.count_nonzero(reference == said)), int(np.count_nonzero(reference))
    missed, alarmed = int(np.count_nonzero(reference & ~said)), int(np.count_nonzero(~reference & said))
    trials = np.stack(again) if again else np.zeros((0, 0), dtype=np.bool_)
    alike = int(np.count_nonzero((trials == trials[0]).all(axis=0))) if len(trials) > 1 else 0
    repeated = trials.shape[1] if len(trials) > 1 else 0
    rates = [
        ("effectiveness", right, len(said), _EFFECTIVENESS),
        ("miss rate", missed, bad, _MISSES),
        ("false-alarm rate", alarmed, len(said) - bad, _FALSE_ALARMS),
        ("repeatability", alike, repeated, _EFFECTIVENESS),
    ]
    measures = tuple(_measure(name, Rate.exact(hits, count, confidence), limits) for name, hits, count, limits in rates)
    return Certificate(len(said), bad, repeated, tuple(changes), measures, _kappa(reference, said))


def _measure(name: str, rate: Rate, limits: tuple[float, float]) -> Measure:
    acceptable, marginal = limits
    higher = acceptable > marginal
    return Measure(name, rate, acceptable, marginal, higher, _standing(rate.value, acceptable, marginal))


def _standing(value: float | None, acceptable: float, marginal: float) -> Standing:
    if value is None:
        return "not measured"
    sign = 1 if acceptable > marginal else -1
    if sign * value >= sign * acceptable:
        return "acceptable"
    return "marginal" if sign * value >= sign * marginal else "unacceptable"


def _kappa(first: Verdicts, second: Verdicts) -> float | None:
    """Return Cohen's kappa (J. Cohen, Educational and Psychological Measurement 20, 1960)."""
    if not len(first):
        return None
    agreed = float((first == second).mean())
    a, b = float(first.mean()), float(second.mean())
    chance = a * b + (1 - a) * (1 - b)
    return (agreed - chance) / (1 - chance) if chance < 1 else None
