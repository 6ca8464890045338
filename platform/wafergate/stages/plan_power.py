"""Say before training what a test set can prove about each class's recall, and what to collect if it cannot."""

import math
from collections.abc import Mapping

from wafergate.domain.bounds import lower_bound, proving_count
from wafergate.domain.splits import ClassPower, SplitPolicy

__all__ = ["plan_power"]


def plan_power(
    test: Mapping[str, int],
    totals: Mapping[str, int],
    limits: Mapping[str, float],
    *,
    confidence: float,
    policy: SplitPolicy,
) -> tuple[ClassPower, ...]:
    """Return, for each class of `limits`, whether a perfect score on the test set would prove its recall.

    A recall of 0.90 needs 29 test instances at 95 %, 0.95 needs 59 and 0.98 needs 149, all of them found. `collect`
    counts what the class lacks in all, so that the splitter can put that many into test and its share of them into
    validation while `min_train_share` stays for training. A test that is even goes by its scarcest class: every class
    must have collected before any has its test instances.

    Args:
        test: instances of each class in test.
        totals: instances of each class in the dataset version.
        limits: the recall the gate demands of each class, between 0 and 1.
        confidence: of the one-sided exact bound, between 0 and 1.
        policy: how the line splits.
    """
    rows = []
    share = min(policy.val_per_class / policy.test_per_class, 1.0)
    for name, limit in limits.items():
        have, needed = test.get(name, 0), proving_count(limit, confidence)
        validation = max(min(policy.min_val_per_class, policy.val_per_class), math.ceil(share * needed - 1e-9))
        whole = math.ceil((needed + validation) / (1 - policy.min_train_share) - 1e-9)
        rows.append(
            ClassPower(
                defect_class=name,
                test_instances=have,
                limit=limit,
                best_provable=float(lower_bound(have, have, confidence)) if have else 0.0,
                decidable=have >= needed,
                more_test=max(0, needed - have),
                collect=0 if have >= needed else max(0, whole - totals.get(name, 0)),
            )
        )
    return tuple(rows)
