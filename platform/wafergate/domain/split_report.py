"""What the splitter tells a person: its warnings, and what is missing when no split exists."""

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.even_demand import Choice
from wafergate.domain.split_table import FREE, SIDES, SplitTable
from wafergate.domain.splits import Side, SplitMode, SplitPolicy

__all__ = ["tell_shortage", "tell_warnings"]

Counts = NDArray[np.int64]


def tell_warnings(
    table: SplitTable,
    counts: Mapping[str, Mapping[str, int]],
    sides: Counts,
    *,
    choice: Choice,
    mode: SplitMode,
    policy: SplitPolicy,
) -> tuple[str, ...]:
    """Return sentences about everything a split gives less of than was asked for.

    Args:
        table: the samples.
        counts: instances per side and class.
        sides: `(images,)` places in `SIDES`.
        choice: what the program answered.
        mode: the evenness reached.
        policy: what was asked for.
    """
    test, validation = choice.level
    told = _tell_test(table, test, policy)
    if mode is SplitMode.TEST_EVEN:
        held = counts[Side.VALIDATION]
        spread = f"{min(held.values())} to {max(held.values())} instances per class"
        told.append(f"validation is taken as it falls ({spread}): every number drawn from it is biased")
        missing = [name for name, count in held.items() if not count]
        told += [f"validation holds no {name}: no threshold can be chosen for it there" for name in missing]
    elif validation < policy.val_per_class:
        told.append(f"validation holds {validation} of every class, {policy.val_per_class} were asked for")
    told += _tell_moved(table, sides)
    told += _tell_unused(table, sides, test)
    told += [
        f"{side} holds no image without defect: overkill cannot be judged on it"
        for side in (Side.TEST, Side.VALIDATION)
        if not table.defective.all() and not (~table.defective & (sides == SIDES.index(side))).any()
    ]
    if choice.timed_out:
        told.append(
            f"the time limit of {policy.time_limit_s:g} s ended the search: the best split found is used, "
            f"{choice.gap:.1%} from what could be proven"
        )
    return tuple(told)


def _tell_test(table: SplitTable, level: int, policy: SplitPolicy) -> list[str]:
    if level >= policy.test_per_class:
        return []
    allowance = table.allowance(policy.min_train_share)
    scarce, judges = int(np.argmin(allowance)), table.judgeable()
    fewest = int(np.argmin(judges))
    if judges[fewest] < min(policy.test_per_class, allowance[scarce]):
        reason = (
            f"only {judges[fewest]} of the {table.totals[fewest]} instances of {table.classes[fewest]} never taught"
        )
        return [f"test holds {level} of every class, {policy.test_per_class} were asked for: {reason}"]
    reason = (
        f"{_has(table, scarce)}, and {policy.min_train_share:.0%} of a class stay for training"
        if allowance[scarce] < policy.test_per_class + policy.val_per_class
        else "no choice of groups gives more"
    )
    return [f"test holds {level} of every class, {policy.test_per_class} were asked for: {reason}"]


def _tell_moved(table: SplitTable, sides: Counts) -> list[str]:
    """Tell what left its side although sides are kept: linked to what taught, or too much for an even test."""
    test, validation = SIDES.index(Side.TEST), SIDES.index(Side.VALIDATION)
    told = []
    for code in (test, validation):
        moved = (table.stood == code) & (table.bound[table.group] != code)
        if moved.any():
            group = table.names[int(table.group[np.flatnonzero(moved)[0]])]
            told.append(
                f"{_images(int(moved.sum()))} left {SIDES[code]}: linked, for example as {group}, with what taught, "
                "chose thresholds or was retired before"
            )
    out = int(((table.stood == test) & (sides == SIDES.index(Side.UNUSED))).sum())
    if out:
        told.append(f"{_images(out)} of the earlier test set are left unused: with all of them no test is even")
    return told


def _tell_unused(table: SplitTable, sides: Counts, level: int) -> list[str]:
    unused = sides == SIDES.index(Side.UNUSED)
    if not unused.any():
        return []
    groups = np.unique(table.group[sides == SIDES.index(Side.TEST)])
    held = int(table.counts[np.isin(table.group, groups)].sum(axis=0).min())
    cure = f"; the groups in test hold {held} of every class: a higher test_per_class uses them" if held > level else ""
    return [f"{_images(int(unused.sum()))} of held-out groups left unused: with them a side is not even{cure}"]


def tell_shortage(table: SplitTable, policy: SplitPolicy) -> str:
    """Say per class what stands in the way of an even test, and what to collect or to set."""
    if len(table.names) < 3:
        sizes = Counter(table.group.tolist()).most_common()
        found = ", ".join(f"{table.names[place]}: {_images(size)}" for place, size in sizes)
        return (
            f"test, validation and training need a group each, found {len(table.names)} ({found}); "
            "collect other groups, or check [split] group_by and neighbour_gap"
        )
    told = [line for column in range(len(table.classes)) if (line := _shortage_of(table, column, policy))]
    if told:
        return "no even test is possible: " + "; ".join(told)
    everything = "; ".join(_has(table, column) for column in range(len(table.classes)))
    least = min(policy.min_test_per_class, policy.test_per_class)
    kept = (
        " and earlier splits keep their groups where they are (`wafergate split renew` retires a test set)"
        if (table.bound != FREE).any()
        else ""
    )
    return (
        f"no choice of groups puts at least {least} of every class into test, none more than {1 + policy.tolerance:g} "
        f"times another, while {policy.min_train_share:.0%} of each stay for training{kept}: {everything}; "
        "collect more and smaller groups, or loosen tolerance or min_train_share"
    )


def _shortage_of(table: SplitTable, column: int, policy: SplitPolicy) -> str:
    least = min(policy.min_test_per_class, policy.test_per_class)
    total, name = int(table.totals[column]), table.classes[column]
    needed = math.ceil((least + 1) / (1 - policy.min_train_share) - 1e-9)
    if total < needed:
        spare = int(table.allowance(policy.min_train_share)[column]) - 1
        key = "min_test_per_class" if policy.min_test_per_class < policy.test_per_class else "test_per_class"
        cure = f", or set {key} = {spare}" if spare >= 1 else ""
        return (
            f"{name}: {_held(table, column)}; an even test of {least} leaves {max(total - least, 0)} to train on; "
            f"collect {needed - total} more{cure}"
        )
    judges = int(table.judgeable()[column])
    if judges < least:
        return (
            f"{name}: {_held(table, column)}, of which {judges} may still judge; an even test needs {least}; "
            f"collect {least - judges} more in new groups"
        )
    groups = len(set(table.group[table.counts[:, column] > 0].tolist()))
    return (
        f"{name}: {_held(table, column)}; test and training need one each; collect another group" if groups < 2 else ""
    )


def _has(table: SplitTable, column: int) -> str:
    return f"{table.classes[column]} has {_held(table, column)}"


def _held(table: SplitTable, column: int) -> str:
    """Say how often a class occurs: `26 images (32 instances) in 7 groups`."""
    holding = table.counts[:, column] > 0
    groups = len(set(table.group[holding].tolist()))
    instances, images = int(table.totals[column]), int(holding.sum())
    extra = "" if instances == images else f" ({instances} instances)"
    return f"{_images(images)}{extra} in {groups} group{'' if groups == 1 else 's'}"


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
