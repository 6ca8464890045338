"""What the splitter tells a person: its warnings, and what is missing when no split exists."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.even_program import Choice
from wafergate.domain.splits import Side, SplitMode, SplitPolicy

__all__ = ["SIDES", "SplitTable", "tell_shortage", "tell_warnings"]

Counts = NDArray[np.int64]
SIDES = (Side.TRAIN, Side.VALIDATION, Side.TEST, Side.UNUSED)
"""Arrays of sides hold places in this tuple."""


@dataclass(frozen=True, slots=True)
class SplitTable:
    """The samples as arrays: `counts` (images, classes), `group` (images,) index into `names`."""

    classes: tuple[str, ...]
    counts: Counts
    group: Counts
    names: tuple[str, ...]

    @property
    def totals(self) -> Counts:
        """Instances of each class."""
        totals: Counts = self.counts.sum(axis=0)
        return totals

    @property
    def defective(self) -> NDArray[np.bool_]:
        """Which images show a defect."""
        flags: NDArray[np.bool_] = np.asarray(self.counts.any(axis=1))
        return flags

    def per_group(self) -> Counts:
        """`(groups, classes)` instances each group holds."""
        held = np.zeros((len(self.names), len(self.classes)), np.int64)
        np.add.at(held, self.group, self.counts)
        return held

    def allowance(self, min_train_share: float) -> Counts:
        """Instances of each class that may leave training; one always stays."""
        # 1e-9 keeps a share such as 0.6 x 35 = 20.999999999999996 from losing an instance to rounding.
        most: Counts = np.floor((1 - min_train_share) * self.totals + 1e-9).astype(np.int64)
        return np.minimum(most, self.totals - 1)

    def describe(self, column: int) -> str:
        """Say how often a class occurs: `fray has 26 images (32 instances) in 7 groups`."""
        holding = self.counts[:, column] > 0
        groups = len(set(self.group[holding].tolist()))
        instances, images = int(self.totals[column]), int(holding.sum())
        extra = "" if instances == images else f" ({instances} instances)"
        return f"{self.classes[column]} has {images} images{extra} in {groups} groups"


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
    scarce = int(np.argmin(allowance))
    reason = (
        f"{table.describe(scarce)}, and {policy.min_train_share:.0%} of a class stay for training"
        if allowance[scarce] < policy.test_per_class + policy.val_per_class
        else "no choice of groups gives more"
    )
    return [f"test holds {level} of every class, {policy.test_per_class} were asked for: {reason}"]


def _tell_unused(table: SplitTable, sides: Counts, level: int) -> list[str]:
    unused = sides == SIDES.index(Side.UNUSED)
    if not unused.any():
        return []
    groups = np.unique(table.group[sides == SIDES.index(Side.TEST)])
    held = int(table.counts[np.isin(table.group, groups)].sum(axis=0).min())
    cure = f"; the groups in test hold {held} of every class: a higher test_per_class uses them" if held > level else ""
    return [f"{int(unused.sum())} images of held-out groups are unused, with them a side would not be even{cure}"]


def tell_shortage(table: SplitTable, policy: SplitPolicy) -> str:
    """Say per class what stands in the way of an even test, and what to collect or to set."""
    if len(table.names) < 3:
        sizes = Counter(table.group.tolist()).most_common()
        found = ", ".join(f"{table.names[place]}: {size} images" for place, size in sizes)
        return (
            f"test, validation and training need a group each, found {len(table.names)} ({found}); "
            "collect other groups, or check [split] group_by and neighbour_gap"
        )
    told = [line for column in range(len(table.classes)) if (line := _shortage_of(table, column, policy))]
    if told:
        return "no even test is possible: " + "; ".join(told)
    everything = "; ".join(table.describe(column) for column in range(len(table.classes)))
    least = min(policy.min_test_per_class, policy.test_per_class)
    return (
        f"no choice of groups puts at least {least} of every class into test, none more than {1 + policy.tolerance:g} "
        f"times another, while {policy.min_train_share:.0%} of each stay for training: {everything}; "
        "collect more and smaller groups, or loosen tolerance or min_train_share"
    )


def _shortage_of(table: SplitTable, column: int, policy: SplitPolicy) -> str:
    least = min(policy.min_test_per_class, policy.test_per_class)
    total = int(table.totals[column])
    needed = math.ceil((least + 1) / (1 - policy.min_train_share) - 1e-9)
    if total < needed:
        spare = int(table.allowance(policy.min_train_share)[column]) - 1
        cure = f", or set min_test_per_class = {spare}" if spare >= 1 else ""
        return (
            f"{table.describe(column)}; an even test of {least} leaves {max(total - least, 0)} to teach and validate; "
            f"collect {needed - total} more{cure}"
        )
    groups = len(set(table.group[table.counts[:, column] > 0].tolist()))
    return f"{table.describe(column)}; test and training need one each: collect another group" if groups < 2 else ""
