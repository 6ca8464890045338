"""Split whole groups into training, validation and a test that holds every defect class evenly (rules M8, M10)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wafergate.domain.even_demand import Choice, Demand
from wafergate.domain.even_program import choose_groups
from wafergate.domain.identity import digest_of
from wafergate.domain.samples import Sample
from wafergate.domain.split_report import tell_shortage, tell_warnings
from wafergate.domain.split_table import RETIRED, SIDES, Kinds, SplitTable, tabulate, trimmed_kinds, whole_kinds
from wafergate.domain.splits import Assignment, Side, SplitMode, SplitPolicy
from wafergate.domain.standing import NO_PAST, Past
from wafergate.errors import SplitError

__all__ = ["seal", "split"]

Counts = NDArray[np.int64]
# Up to this many kinds of groups, where whole groups are not perfect the program that may leave images out is solved
# instead; with more, whole groups come close enough and the larger program would only run out of time.
_FEW_KINDS = 2000


def split(
    samples: Sequence[Sample],
    groups: Sequence[str],
    classes: Sequence[str],
    policy: SplitPolicy,
    *,
    past: Past = NO_PAST,
) -> Assignment:
    """Put every image on a side: test even over the instances of all classes, validation too where the data allow.

    Whole groups are chosen by an exact integer program (see `wafergate.domain.even_program`). Where groups are so
    large that no choice of them is even, single images of chosen groups are left `unused` until it is. An image with
    several defects counts for each. Images without defect follow their group; groups of such images alone fill the
    `normal_share` quotas.

    What earlier splits of the line decided stands: a group stays on its side, with what has joined it, and only new
    groups are chosen. Where no even test can hold every earlier test image, some of them are left `unused`, which is
    told; none of them ever teaches.

    Args:
        samples: the images of a dataset version.
        groups: the group of each sample, as `assign_groups` names them.
        classes: defect classes that test must hold.
        policy: counts wanted, shares kept for training, tolerance, seed.
        past: what the images were before; nothing for the first version of a line.

    Returns:
        The sides with what they hold; the same for the same arguments unless the time limit ended the search.

    Raises:
        SplitError: no split holds every class in an even test; the message lists what is missing per class.
    """
    table = tabulate(samples, groups, classes, past)
    order = np.random.default_rng(policy.seed).permutation(len(table.names))
    found = _search(table, order, policy)
    if found is None and (table.firm & (table.stood == SIDES.index(Side.TEST))).any():
        table = table.loosened()
        found = _search(table, order, policy)
    if found is None:
        raise SplitError(tell_shortage(table, policy))
    return _assign(table, found, order=order, policy=policy)


@dataclass(frozen=True, slots=True)
class _Found:
    """The kinds that were chosen from, what was chosen, and the mode it is even in."""

    kinds: Kinds
    choice: Choice
    mode: SplitMode


def _search(table: SplitTable, order: Counts, policy: SplitPolicy) -> _Found | None:
    """Try the modes in the mentor's order, whole groups before trimmed ones."""
    whole, trimmed = whole_kinds(table, order), None
    small = len(whole.members) <= _FEW_KINDS
    for mode, complete in ((SplitMode.BOTH_EVEN, True), (SplitMode.TEST_EVEN, True), (SplitMode.TEST_EVEN, False)):
        for trim in (False, True):
            demand = _demand(table, policy, mode=mode, complete=complete, trim=trim)
            if demand is None:
                continue
            if trim:
                trimmed = trimmed or trimmed_kinds(table, order)
            kinds = trimmed if trim and trimmed else whole
            choice = choose_groups(kinds.pool, demand, seconds=policy.time_limit_s, only_perfect=small and not trim)
            if choice is not None:
                return _Found(kinds, choice, mode)
    return None


def seal(samples: Sequence[Sample], sides: Sequence[Side]) -> str:
    """Return the SHA-256 over the test images and their boxes: two test sets are the same if and only if it is."""
    held = [
        (sample.image, sorted((item.defect_class, item.box.as_tuple()) for item in sample.boxes))
        for sample, side in zip(samples, sides, strict=True)
        if side is Side.TEST
    ]
    return digest_of(sorted(held))


def _demand(table: SplitTable, policy: SplitPolicy, *, mode: SplitMode, complete: bool, trim: bool) -> Demand | None:
    """Return what to ask of the groups that may be chosen; None where plain counting rules the mode out."""
    even = mode is SplitMode.BOTH_EVEN
    # A validation that need not be even is not trimmed either.
    test, validation = table.held(Side.TEST, trim=trim), table.held(Side.VALIDATION, trim=trim and even)
    held = sum((item.firm + item.spare for item in (test, validation)), start=np.zeros_like(table.totals))
    least = min(policy.min_test_per_class, policy.test_per_class)
    val_least = min(policy.min_val_per_class, policy.val_per_class) if even else int(complete)
    most, val_most = (
        _ceiling(wanted, kept.firm, policy.tolerance)
        for wanted, kept in ((policy.test_per_class, test), (policy.val_per_class, validation))
    )
    demand = Demand(
        test=(least, most),
        validation=(val_least, val_most if even else policy.val_per_class),
        test_held=test,
        validation_held=validation,
        allowance=np.maximum(table.allowance(policy.min_train_share) - held, 0),
        totals=table.totals,
        validation_share=min(val_most / most, 1.0),
        tolerance=policy.tolerance,
        validation_even=even,
        validation_complete=complete,
        trim=trim,
    )
    return demand if len(table.classes) and demand.counts_allow(least, val_least) else None


def _ceiling(wanted: int, kept: Counts, tolerance: float) -> int:
    """Return the largest even count to aim at: what is wanted, or what earlier splits hold already."""
    return max(wanted, int(kept.min()), math.ceil(int(kept.max()) / (1 + tolerance) - 1e-9)) if len(kept) else wanted


def _assign(table: SplitTable, found: _Found, *, order: Counts, policy: SplitPolicy) -> Assignment:
    kinds, choice, mode = found.kinds, found.choice, found.mode
    side_of_group = np.where(table.open, SIDES.index(Side.TRAIN), table.bound)
    for member, to_validation, to_test in zip(kinds.members, choice.validation, choice.test, strict=True):
        side_of_group[member[:to_test]] = SIDES.index(Side.TEST)
        side_of_group[member[to_test : to_test + to_validation]] = SIDES.index(Side.VALIDATION)
    _place_normal_groups(table, side_of_group, order, policy)
    sides = side_of_group[table.group]
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    for side, kept in ((Side.VALIDATION, choice.validation_pieces), (Side.TEST, choice.test_pieces)):
        if kept is not None:
            code = SIDES.index(side)
            # an image that stood here before is the last to be left out
            _leave_out(sides, kinds.piece, kept, code=code, rank=rank[table.group] - len(rank) * (table.stood == code))
    counts: dict[str, dict[str, int]] = {
        side: dict(zip(table.classes, table.counts[sides == code].sum(axis=0).tolist(), strict=True))
        for code, side in enumerate(SIDES)
    }
    return Assignment(
        sides=tuple(SIDES[code] for code in sides.tolist()),
        groups=tuple(table.names[place] for place in table.group.tolist()),
        mode=mode,
        counts=counts,
        images={side: int((sides == code).sum()) for code, side in enumerate(SIDES)},
        normal_images={side: int((~table.defective & (sides == code)).sum()) for code, side in enumerate(SIDES)},
        evenness={side: _evenness(counts[side]) for side in SIDES[:3]},
        optimal=not choice.timed_out,
        gap=choice.gap,
        warnings=tell_warnings(table, counts, sides, choice=choice, mode=mode, policy=policy),
    )


def _leave_out(sides: Counts, piece: Counts, kept: Counts, *, code: int, rank: Counts) -> None:
    """Mark as unused what a side has beyond the images the program kept, image kind by image kind."""
    here = np.flatnonzero((sides == code) & (piece >= 0))
    here = here[np.lexsort((here, rank[here], piece[here]))]
    starts = np.searchsorted(piece[here], np.arange(len(kept)))
    beyond = np.arange(len(here)) - starts[piece[here]] >= kept[piece[here]]
    sides[here[beyond]] = SIDES.index(Side.UNUSED)


def _place_normal_groups(table: SplitTable, side_of_group: Counts, order: Counts, policy: SplitPolicy) -> None:
    """Fill the quotas of images without defect with groups that hold nothing else, never passing a quota."""
    normals = np.bincount(table.group[~table.defective], minlength=len(table.names))
    only = (normals > 0) & ~table.per_group().any(axis=1) & table.open
    quota = math.floor(policy.normal_share * int(normals.sum()) + 0.5)
    free = [place for place in order.tolist() if only[place]]
    for side in (Side.TEST, Side.VALIDATION):
        code = SIDES.index(side)
        room = quota - int(normals[side_of_group == code].sum())
        for place in free:
            if normals[place] <= room and len(free) > 1 and not (side is Side.TEST and table.bound[place] == RETIRED):
                side_of_group[place] = code
                room -= int(normals[place])
        free = [place for place in free if side_of_group[place] != code]


def _evenness(counts: Mapping[str, int]) -> float:
    smallest = min(counts.values(), default=0)
    return max(counts.values()) / smallest if smallest else 0.0
