"""The samples of a split as arrays, and the groups among them that may still be chosen, gathered into kinds."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from wafergate.domain.even_demand import Held, Pool
from wafergate.domain.samples import Sample
from wafergate.domain.splits import Side
from wafergate.domain.standing import Past, Standing
from wafergate.errors import SplitError

__all__ = ["FREE", "RETIRED", "SIDES", "Kinds", "SplitTable", "tabulate", "trimmed_kinds", "whole_kinds"]

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
SIDES = (Side.TRAIN, Side.VALIDATION, Side.TEST, Side.UNUSED)
"""Arrays of sides hold places in this tuple."""
FREE, RETIRED = -1, -2
"""What `SplitTable.bound` holds beside those places: a group that may go anywhere, and anywhere but into test."""
_CODES = {
    Standing.TRAIN: SIDES.index(Side.TRAIN),
    Standing.VALIDATION: SIDES.index(Side.VALIDATION),
    Standing.TEST: SIDES.index(Side.TEST),
    Standing.RETIRED: RETIRED,
}


@dataclass(frozen=True, slots=True)
class SplitTable:
    """The samples as arrays.

    Attributes:
        classes: the defect classes, the columns of `counts`.
        counts: `(images, classes)` instances.
        group: `(images,)` index into `names`.
        names: the groups.
        bound: `(groups,)` where earlier splits put a group: a place in `SIDES`, `FREE` or `RETIRED`.
        stood: `(images,)` the same for the image itself.
        firm: `(images,)` whether the image stays on its side whatever evenness would like.
    """

    classes: tuple[str, ...]
    counts: Counts
    group: Counts
    names: tuple[str, ...]
    bound: Counts
    stood: Counts
    firm: Flags

    @property
    def totals(self) -> Counts:
        """Instances of each class."""
        totals: Counts = self.counts.sum(axis=0)
        return totals

    @property
    def defective(self) -> Flags:
        """Which images show a defect."""
        flags: Flags = np.asarray(self.counts.any(axis=1))
        return flags

    @property
    def open(self) -> Flags:
        """Which groups may still be chosen, for test (unless retired) or for validation."""
        flags: Flags = (self.bound == FREE) | (self.bound == RETIRED)
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

    def held(self, side: Side, *, trim: bool) -> Held:
        """Return what stands on a side already; `trim` lets images that are not firm be left out."""
        here = self.bound[self.group] == SIDES.index(side)
        firm = here & self.firm if trim else here
        return Held(self.counts[firm].sum(axis=0), self.counts[here & ~firm].sum(axis=0))

    def judgeable(self) -> Counts:
        """Instances of each class in groups that may judge: they never taught and were in no retired test."""
        may = (self.bound == FREE) | (self.bound == SIDES.index(Side.TEST))
        counts: Counts = self.counts[may[self.group]].sum(axis=0)
        return counts

    def loosened(self) -> "SplitTable":
        """Return the table with earlier test images that may be left out where no even test can hold them all."""
        return replace(self, firm=self.firm & (self.stood != SIDES.index(Side.TEST)))


@dataclass(frozen=True, slots=True)
class Kinds:
    """A pool and the group indices behind each of its kinds; `piece` is the image kind of each image, or -1."""

    pool: Pool
    members: tuple[Counts, ...]
    piece: Counts


def tabulate(samples: Sequence[Sample], groups: Sequence[str], classes: Sequence[str], past: Past) -> SplitTable:
    """Return the samples as arrays.

    Raises:
        SplitError: there is no sample, or one shows a class the line does not have.
    """
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
    group = np.array([place_of[name] for name in groups], np.int64)
    bound = np.array([_code(past.groups.get(name)) for name in names], np.int64)
    stood = np.array([_code(standing) for standing in past.images or [None] * len(samples)], np.int64)
    return SplitTable(tuple(classes), counts, group, tuple(names), bound, stood, (stood >= 0) & (stood == bound[group]))


def _code(standing: Standing | None) -> int:
    return FREE if standing is None else _CODES[standing]


def whole_kinds(table: SplitTable, order: Counts) -> Kinds:
    """Gather groups by the sum of what they hold: enough while groups move whole."""
    held = table.per_group()
    groups = order[(held.any(axis=1) & table.open)[order]]
    keys, members = _by_key(groups, [(table.bound[place], *held[place].tolist()) for place in groups.tolist()])
    classes = len(table.classes)
    holds = np.array([key[1:] for key in keys], np.int64).reshape(-1, classes)
    none = np.zeros(0, np.int64)
    stock = sparse.csr_array((len(holds), 0))
    pool = Pool(holds, _lengths(members), _barred(keys), np.zeros((0, classes), np.int64), stock, none, none)
    return Kinds(pool, members, np.full(len(table.group), -1, np.int64))


def trimmed_kinds(table: SplitTable, order: Counts) -> Kinds:
    """Gather groups by the images they are made of, for a program that may leave images out."""
    at = table.bound[table.group]
    movable = table.defective & ~table.firm & (at != SIDES.index(Side.TRAIN))
    images = np.flatnonzero(movable)
    pieces, kind_of = np.unique(table.counts[images], axis=0, return_inverse=True)
    piece = np.full(len(table.group), -1, np.int64)
    piece[images] = kind_of.ravel()
    made_of: dict[int, list[int]] = {}
    for image in np.flatnonzero(movable & table.open[table.group]).tolist():
        made_of.setdefault(int(table.group[image]), []).append(int(piece[image]))
    groups = np.array([place for place in order.tolist() if place in made_of], np.int64)
    keys, members = _by_key(groups, [(table.bound[place], *sorted(made_of[place])) for place in groups.tolist()])
    rows = np.repeat(np.arange(len(keys)), [len(key) - 1 for key in keys])
    columns = np.array(list(itertools.chain.from_iterable(key[1:] for key in keys)), np.int64)
    # Converting adds up the images of one kind in one group.
    stock = sparse.coo_array((np.ones(len(rows), np.int64), (rows, columns)), shape=(len(keys), len(pieces))).tocsr()
    holds = np.asarray(stock @ pieces, np.int64)
    stands = [
        np.bincount(piece[movable & (at == SIDES.index(side))], minlength=len(pieces))
        for side in (Side.TEST, Side.VALIDATION)
    ]
    return Kinds(Pool(holds, _lengths(members), _barred(keys), pieces, stock, *stands), members, piece)


def _by_key(groups: Counts, keys: Sequence[tuple[int, ...]]) -> tuple[list[tuple[int, ...]], tuple[Counts, ...]]:
    """Gather groups with equal keys; kinds and their members stay in the seeded order the groups come in."""
    found: dict[tuple[int, ...], list[int]] = {}
    for place, key in zip(groups.tolist(), keys, strict=True):
        found.setdefault(key, []).append(place)
    return list(found), tuple(np.array(members, np.int64) for members in found.values())


def _barred(keys: Sequence[tuple[int, ...]]) -> Flags:
    """Every key begins with where its groups are bound."""
    return np.array([key[0] == RETIRED for key in keys], np.bool_)


def _lengths(members: Sequence[Counts]) -> Counts:
    return np.array([len(member) for member in members], np.int64)
