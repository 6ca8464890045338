"""What the even split's integer program is given and what it answers."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["Choice", "Demand", "Held", "Pool"]

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pool:
    """What there is to choose from: kinds of groups, and the kinds of images they are made of.

    Attributes:
        holds: `(kinds, classes)` instances in one group of each kind.
        supply: `(kinds,)` how many groups of each kind there are.
        barred: `(kinds,)` whether the kind may not judge: its groups were in a test that was retired.
        pieces: `(image kinds, classes)` instances in one image of each kind; no row is all zero.
        stock: `(kinds, image kinds)` images of each kind in one group of each kind.
        test_stock: `(image kinds,)` images that stand in test already and may be left out.
        validation_stock: the same for validation.
    """

    holds: Counts
    supply: Counts
    barred: NDArray[np.bool_]
    pieces: Counts
    stock: sparse.csr_array
    test_stock: Counts
    validation_stock: Counts


@dataclass(frozen=True, slots=True)
class Held:
    """Instances that stand on a side already: `(classes,)` those that stay, and those that may be left out."""

    firm: Counts
    spare: Counts


@dataclass(frozen=True, slots=True)
class Demand:
    """What the policy asks of the chosen groups.

    Attributes:
        test: smallest and largest even count of instances per class in test.
        validation: the same for validation.
        test_held: what earlier splits put into test.
        validation_held: the same for validation.
        allowance: `(classes,)` instances that may still leave training.
        totals: `(classes,)` instances there are.
        validation_share: even count of validation as a share of test's, at least, until its largest is reached.
        tolerance: how far the largest class of an even side may lie above its smallest, as a share.
        validation_even: whether validation must be even as well.
        validation_complete: whether validation must hold every class.
        trim: whether single images of a chosen group may be left unused to make a side even.
    """

    test: tuple[int, int]
    validation: tuple[int, int]
    test_held: Held
    validation_held: Held
    allowance: Counts
    totals: Counts
    validation_share: float
    tolerance: float
    validation_even: bool = True
    validation_complete: bool = True
    trim: bool = False

    def counts_allow(self, test: int, validation: int) -> bool:
        """Tell whether plain counting allows these even counts: what is held and what may leave training suffice."""
        wanted = [
            np.maximum(count - held.firm - held.spare, 0)
            for count, held in ((test, self.test_held), (validation, self.validation_held))
        ]
        return bool((wanted[0] + wanted[1] <= self.allowance).all())

    @property
    def highest(self) -> tuple[int, int]:
        """Even counts that plain counting allows at most: the scarcest class bounds what leaves training."""
        least, most = self.validation
        for test in range(self.test[1], 0, -1):
            if not self.validation_even:
                if self.counts_allow(test, least):
                    return test, 0
                continue
            needed = max(least, math.ceil(self.validation_share * test - 1e-6))
            if self.counts_allow(test, needed):
                return test, max(v for v in range(needed, max(most, needed) + 1) if self.counts_allow(test, v))
        return 0, 0


@dataclass(frozen=True, slots=True)
class Choice:
    """How many groups of each kind go to test and to validation.

    Attributes:
        test: `(kinds,)` groups for test.
        validation: `(kinds,)` groups for validation.
        test_pieces: `(image kinds,)` images of the test groups that judge; None for all of them.
        validation_pieces: the same for validation.
        level: even count reached in test and in validation.
        deviation: instances above the even counts.
        gap: largest relative gap left by a goal, 0..1.
        timed_out: whether a goal ran into the time limit.
    """

    test: Counts
    validation: Counts
    test_pieces: Counts | None
    validation_pieces: Counts | None
    level: tuple[int, int]
    deviation: int
    gap: float = 0.0
    timed_out: bool = False
