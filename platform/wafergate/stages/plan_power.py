"""Say before training what a test set can prove about each class's recall, and what to collect if it cannot."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from wafergate.domain.bounds import lower_bound, proving_count, upper_bound
from wafergate.domain.splits import ClassPower, NormalPower, Side, SplitPolicy

__all__ = ["counts_for", "plan_normals", "plan_power"]


def plan_power(
    counts: Mapping[str, Mapping[str, int]],
    limits: Mapping[str, float],
    *,
    confidence: float,
    policy: SplitPolicy,
    more_groups: Mapping[str, int] = MappingProxyType({}),
) -> tuple[ClassPower, ...]:
    """Return, for each class of `limits`, whether a perfect score on the test set would prove its recall.

    A recall of 0.90 needs 29 test instances at 95 %, 0.95 needs 59 and 0.98 needs 149, all of them found. `collect`
    counts what the class lacks so that the splitter can put that many into test and its share of them into validation
    while `min_train_share` stays for training; what taught already cannot be moved, so that what test and validation
    lack must come anew. A test that is even goes by its scarcest class: every class must have collected before any
    has its test instances. Where the policy aims at fewer test instances than are needed nothing is to be collected
    yet: `test_per_class` says what it must be raised to first.

    Args:
        counts: instances per side and class, as a split holds them.
        limits: the recall the gate demands of each class, between 0 and 1.
        confidence: of the one-sided exact bound, between 0 and 1.
        policy: how the line splits.
        more_groups: how many further groups must show a class in test; empty where groups are not asked for.
    """
    rows = []
    for name, limit in limits.items():
        held = {side: counts.get(side, {}).get(name, 0) for side in Side}
        have, total = held[Side.TEST], sum(held.values())
        needed, groups = proving_count(limit, confidence), more_groups.get(name, 0)
        wanted = _validation_beside(needed, policy)
        raised = needed if have < needed and needed > policy.test_per_class else 0
        anew = max(0, needed - have - held[Side.UNUSED]) + max(0, wanted - held[Side.VALIDATION])
        rows.append(
            ClassPower(
                defect_class=name,
                instances=total,
                test_instances=have,
                limit=limit,
                best_provable=float(lower_bound(have, have, confidence)) if have else 0.0,
                decidable=have >= needed and not groups,
                more_test=max(0, needed - have),
                more_groups=groups,
                collect=0 if have >= needed or raised else max(_whole(needed, policy) - total, anew, 0),
                test_per_class=raised,
            )
        )
    return tuple(rows)


def plan_normals(images: int, limit: float, *, confidence: float) -> NormalPower:
    """Return what test images without defect can prove about the overkill rate, none of them alarmed.

    Args:
        images: test images without defect.
        limit: the overkill rate the gate allows, 0..1; 1 switches the rule off.
        confidence: of the one-sided exact bound, between 0 and 1.
    """
    needed = 0 if limit >= 1 else proving_count(1 - limit, confidence)
    return NormalPower(
        images=images,
        limit=limit,
        best_provable=float(upper_bound(0, images, confidence)) if images else 1.0,
        decidable=images >= needed,
        more_test=max(0, needed - images),
    )


def counts_for(per_class: int, classes: tuple[str, ...], policy: SplitPolicy) -> dict[str, dict[str, int]]:
    """Return what the sides of a set would hold from which the splitter can just spare this many test instances.

    Args:
        per_class: test instances of every class.
        classes: the line's defect classes.
        policy: how the line splits.
    """
    validation = _validation_beside(per_class, policy)
    train = _whole(per_class, policy) - per_class - validation
    sides = {Side.TRAIN: train, Side.VALIDATION: validation, Side.TEST: per_class}
    return {side.value: dict.fromkeys(classes, count) for side, count in sides.items()}


def _validation_beside(test: int, policy: SplitPolicy) -> int:
    share = min(policy.val_per_class / policy.test_per_class, 1.0)
    return max(min(policy.min_val_per_class, policy.val_per_class), math.ceil(share * test - 1e-9))


def _whole(test: int, policy: SplitPolicy) -> int:
    """Instances of a class in all from which this many can judge."""
    return math.ceil((test + _validation_beside(test, policy)) / (1 - policy.min_train_share) - 1e-9)
