"""Split whole groups into training, validation and a test that holds every defect class evenly (rules M8, M10)."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from wafergate.domain.even_program import Choice, Demand, Pool, choose_groups
from wafergate.domain.identity import digest_of
from wafergate.domain.samples import Sample
from wafergate.domain.split_report import SIDES, SplitTable, tell_shortage, tell_warnings
from wafergate.domain.splits import Assignment, Side, SplitMode, SplitPolicy
from wafergate.errors import SplitError

__all__ = ["seal", "split"]

Counts = NDArray[np.int64]
# Up to this many kinds of groups, where whole groups are not perfect the program that may leave images out is solved
# instead; with more, whole groups come close enough and the larger program would only run out of time.
_FEW_KINDS = 2000


@dataclass(frozen=True, slots=True)
class _Kinds:
    """A pool and the group indices behind each of its kinds; `piece` is the image kind of each image, or -1."""

    pool: Pool
    members: tuple[Counts, ...]
    piece: Counts


def split(samples: Sequence[Sample], groups: Sequence[str], classes: Sequence[str], policy: SplitPolicy) -> Assignment:
    """Put every image on a side: test even over the instances of all classes, validation too where the data allow.

    Whole groups are chosen by an exact integer program (see `wafergate.domain.even_program`). Where groups are so
    large that no choice of them is even, single images of chosen groups are left `unused` until it is. An image with
    several defects counts for each. Images without defect follow their group; groups of such images alone fill the
    `normal_share` quotas.

    Args:
        samples: the images of a dataset version.
        groups: the group of each sample, as `assign_groups` names them.
        classes: defect classes that test must hold.
        policy: counts wanted, shares kept for training, tolerance, seed.

    Returns:
        The sides with what they hold; the same for the same arguments unless the time limit ended the search.

    Raises:
        SplitError: no split holds every class in an even test; the message lists what is missing per class.
    """
    table = _tabulate(samples, groups, classes)
    order = np.random.default_rng(policy.seed).permutation(len(table.names))
    whole, trimmed = _whole_kinds(table, order), None
    for mode, complete in ((SplitMode.BOTH_EVEN, True), (SplitMode.TEST_EVEN, True), (SplitMode.TEST_EVEN, False)):
        demand = _demand(table, policy, mode=mode, complete=complete)
        if demand is None:
            continue
        small = len(whole.members) <= _FEW_KINDS
        kinds, choice = whole, choose_groups(whole.pool, demand[0], seconds=policy.time_limit_s, only_perfect=small)
        if choice is None:
            trimmed = trimmed or _trimmed_kinds(table, order)
            kinds, choice = trimmed, choose_groups(trimmed.pool, demand[1], seconds=policy.time_limit_s)
        if choice is not None:
            return _assign(table, kinds, choice, mode=mode, order=order, policy=policy)
    raise SplitError(tell_shortage(table, policy))


def seal(samples: Sequence[Sample], sides: Sequence[Side]) -> str:
    """Return the SHA-256 over the test images and their boxes: two test sets are the same if and only if it is."""
    held = [
        (sample.image, sorted((item.defect_class, item.box.as_tuple()) for item in sample.boxes))
        for sample, side in zip(samples, sides, strict=True)
        if side is Side.TEST
    ]
    return digest_of(sorted(held))


def _tabulate(samples: Sequence[Sample], groups: Sequence[str], classes: Sequence[str]) -> SplitTable:
    if not samples:
        message = "a split needs images, found none"
        raise SplitError(message)
    column = {name: place for place, name in enumerate(classes)}
    rows, columns = [], []
    for place, sample in enumerate(samples):
        for name in sample.classes:
            if name not in column:
                message = f"{sample.name} shows {name!r}, which is none of the line's classes: {', '.join(classes)}"
                raise SplitError(message)
            rows.append(place)
            columns.append(column[name])
    counts = np.zeros((len(samples), len(classes)), np.int64)
    np.add.at(counts, (rows, columns), 1)
    names = sorted(set(groups))
    place_of = {name: place for place, name in enumerate(names)}
    return SplitTable(tuple(classes), counts, np.array([place_of[name] for name in groups], np.int64), tuple(names))


def _whole_kinds(table: SplitTable, order: Counts) -> _Kinds:
    """Kinds of groups by the sum of what they hold: enough while groups move whole."""
    held = table.per_group()
    groups = order[held[order].any(axis=1)]
    keys, members = _by_key(groups, [tuple(row) for row in held[groups].tolist()])
    classes = len(table.classes)
    holds = np.array(keys, np.int64).reshape(-1, classes)
    pool = Pool(holds, _lengths(members), np.zeros((0, classes), np.int64), sparse.csr_array((len(holds), 0)))
    return _Kinds(pool, members, np.full(len(table.group), -1, np.int64))


def _trimmed_kinds(table: SplitTable, order: Counts) -> _Kinds:
    """Kinds of groups by the images they are made of, for a program that may leave images out."""
    defective = np.flatnonzero(table.defective)
    pieces, kind_of = np.unique(table.counts[defective], axis=0, return_inverse=True)
    piece = np.full(len(table.group), -1, np.int64)
    piece[defective] = kind_of.ravel()
    made_of: dict[int, list[int]] = {}
    for image in defective.tolist():
        made_of.setdefault(int(table.group[image]), []).append(int(piece[image]))
    groups = np.array([place for place in order.tolist() if place in made_of], np.int64)
    keys, members = _by_key(groups, [tuple(sorted(made_of[place])) for place in groups.tolist()])
    rows = np.repeat(np.arange(len(keys)), [len(key) for key in keys])
    columns = np.array(list(itertools.chain.from_iterable(keys)), np.int64)
    # Converting adds up the images of one kind in one group.
    stock = sparse.coo_array((np.ones(len(rows), np.int64), (rows, columns)), shape=(len(keys), len(pieces))).tocsr()
    holds = np.asarray(stock @ pieces, np.int64)
    return _Kinds(Pool(holds, _lengths(members), pieces, stock), members, piece)


def _by_key(groups: Counts, keys: Sequence[tuple[int, ...]]) -> tuple[list[tuple[int, ...]], tuple[Counts, ...]]:
    """Gather groups with equal keys; kinds and their members stay in the seeded order the groups come in."""
    found: dict[tuple[int, ...], list[int]] = {}
    for place, key in zip(groups.tolist(), keys, strict=True):
        found.setdefault(key, []).append(place)
    return list(found), tuple(np.array(members, np.int64) for members in found.values())


def _lengths(members: Sequence[Counts]) -> Counts:
    return np.array([len(member) for member in members], np.int64)


def _demand(table: SplitTable, policy: SplitPolicy, *, mode: SplitMode, complete: bool) -> tuple[Demand, Demand] | None:
    """Return the demand for whole groups and for trimmed ones; None where plain counting rules the mode out."""
    allowance = table.allowance(policy.min_train_share)
    even = mode is SplitMode.BOTH_EVEN
    test_min = min(policy.min_test_per_class, policy.test_per_class)
    val_min = min(policy.min_val_per_class, policy.val_per_class) if even else int(complete)
    if not len(allowance) or int(allowance.min()) < test_min + val_min:
        return None
    test, validation = (test_min, policy.test_per_class), (val_min, policy.val_per_class)
    share = min(policy.val_per_class / policy.test_per_class, 1.0)
    common = (test, validation, allowance, table.totals, share, policy.tolerance, even, complete)
    return Demand(*common, trim=False), Demand(*common, trim=True)


def _assign(
    table: SplitTable, kinds: _Kinds, choice: Choice, *, mode: SplitMode, order: Counts, policy: SplitPolicy
) -> Assignment:
    side_of_group = np.zeros(len(table.names), np.int64)  # places in SIDES
    for member, to_validation, to_test in zip(kinds.members, choice.validation, choice.test, strict=True):
        side_of_group[member[:to_test]] = SIDES.index(Side.TEST)
        side_of_group[member[to_test : to_test + to_validation]] = SIDES.index(Side.VALIDATION)
    _place_normal_groups(table, side_of_group, order, policy)
    sides = side_of_group[table.group]
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    for side, kept in ((Side.VALIDATION, choice.validation_pieces), (Side.TEST, choice.test_pieces)):
        if kept is not None:
            _leave_out(sides, kinds.piece, kept, code=SIDES.index(side), rank=rank[table.group])
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
    only = (normals > 0) & ~table.per_group().any(axis=1)
    quota = math.floor(policy.normal_share * int(normals.sum()) + 0.5)
    free = [place for place in order.tolist() if only[place]]
    for side in (Side.TEST, Side.VALIDATION):
        code = SIDES.index(side)
        room = quota - int(normals[side_of_group == code].sum())
        for place in free:
            if normals[place] <= room and len(free) > 1:
                side_of_group[place] = code
                room -= int(normals[place])
        free = [place for place in free if side_of_group[place] != code]


def _evenness(counts: Mapping[str, int]) -> float:
    smallest = min(counts.values(), default=0)
    return max(counts.values()) / smallest if smallest else 0.0
