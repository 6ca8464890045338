"""The integer program behind an even split, solved goal by goal with HiGHS through `scipy.optimize.milp`.

Groups that hold the same counts are interchangeable, so the program has one integer variable for each *distinct*
vector of class counts and side, not one for each group: 60,000 groups shrink to a few thousand variables.
"""

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from wafergate.domain.even_demand import Choice, Demand, Pool
from wafergate.errors import SplitError

__all__ = ["choose_groups"]

Counts = NDArray[np.int64]
Row = NDArray[np.float64]
_PERFECT = 2  # goals before this one are about evenness, and a perfect answer has met them
_ONE = sparse.csr_array(np.ones((1, 1)))


class _Program:
    """Columns: groups to test, groups to validation, test images, validation images, t, v, covered (per class)."""

    def __init__(self, pool: Pool, demand: Demand) -> None:
        self.pool, self.demand = pool, demand
        kinds, classes = pool.holds.shape
        images = len(pool.pieces) if demand.trim else 0
        val_images = images if demand.validation_even else 0
        widths = [kinds, kinds, images, val_images, 1, 1, classes]
        edges = np.cumsum([0, *widths])
        self.parts = [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]
        self.size = int(edges[-1])
        groups_hold, images_hold = sparse.csr_array(pool.holds.T), sparse.csr_array(pool.pieces.T)
        self.test = self._place((2, images_hold) if images else (0, groups_hold))
        self.validation = self._place((3, images_hold) if val_images else (1, groups_hold))
        self.taken = self._place((0, groups_hold), (1, groups_hold))
        self.t, self.v = self._ones(4, classes), self._ones(5, classes)
        self.lower, self.upper = np.zeros(self.size), np.full(self.size, np.inf)
        self.rows: list[LinearConstraint] = []
        self._constrain()

    def _place(self, *blocks: tuple[int, sparse.csr_array]) -> sparse.csr_array:
        """Put blocks into their columns of an otherwise empty matrix."""
        given = dict(blocks)
        height = blocks[0][1].shape[0]
        return sparse.csr_array(
            sparse.hstack(
                [
                    given.get(number, sparse.csr_array((height, part.stop - part.start)))
                    for number, part in enumerate(self.parts)
                ]
            )
        )

    def _ones(self, part: int, rows: int) -> sparse.csr_array:
        return self._place((part, sparse.csr_array(np.ones((rows, 1)))))

    def _demand_rows(self, matrix: sparse.csr_array, lower: object = -np.inf, upper: object = np.inf) -> None:
        if matrix.shape[0]:  # none where earlier splits leave nothing to choose
            self.rows.append(LinearConstraint(matrix, lower, upper))  # type: ignore[arg-type]

    def _constrain(self) -> None:
        pool, demand = self.pool, self.demand
        each = sparse.csr_array(sparse.eye_array(len(pool.supply)))
        self.upper[self.parts[0]] = np.where(pool.barred, 0, pool.supply)
        self.upper[self.parts[1]] = pool.supply
        self._demand_rows(self._place((0, each), (1, each)), upper=pool.supply)
        self._demand_rows(self.taken, upper=demand.allowance)
        for part, groups, stands in ((2, 0, pool.test_stock), (3, 1, pool.validation_stock)):
            if self.parts[part].stop > self.parts[part].start:
                own = sparse.csr_array(sparse.eye_array(len(pool.pieces)))
                self._demand_rows(self._place((part, own), (groups, -sparse.csr_array(pool.stock.T))), upper=stands)
        (self.lower[self.parts[4]], self.upper[self.parts[4]]) = demand.test
        self._even(self.test, self.t, demand.test_held.firm)
        if demand.validation_even:
            (self.lower[self.parts[5]], self.upper[self.parts[5]]) = demand.validation
            self._even(self.validation, self.v, demand.validation_held.firm)
            # A scarce class is shared out between test and validation in the policy's own proportion.
            self._demand_rows((self.v - demand.validation_share * self.t)[[0], :], lower=-1e-6)
            self.upper[self.parts[6]] = 0
            return
        self.upper[self.parts[5]] = 0
        own = sparse.csr_array(sparse.eye_array(pool.holds.shape[1]))
        self.upper[self.parts[6]] = demand.validation[1]
        self.lower[self.parts[6]] = 1 if demand.validation_complete else 0
        covered = self._place((6, own))
        self._demand_rows(self.validation - covered, lower=-demand.validation_held.firm)
        self._demand_rows(sparse.csr_array(np.ones((1, pool.holds.shape[1]))) @ covered, lower=1)

    def _even(self, counts: sparse.csr_array, level: sparse.csr_array, firm: Counts) -> None:
        self._demand_rows(counts - level, lower=-firm)
        self._demand_rows(counts - (1 + self.demand.tolerance) * level, upper=-firm)

    def column_sum(self, matrix: sparse.csr_array) -> Row:
        """Add up a matrix's rows: the objective that counts all classes alike."""
        return np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel()

    def goals(self) -> list[Row]:
        """List the objectives, each to be minimised among the optima of those before it."""
        demand = self.demand
        level = np.zeros(self.size)
        level[self.parts[4]] = -(demand.validation[1] + 1)
        level[self.parts[5]] = -1
        excess = self.column_sum(self.test - self.t)
        # One instance of a class weighs 1 / its total, so that the rarest class's training share counts most.
        taken = np.asarray((1 / np.maximum(demand.totals, 1)) @ self.taken).ravel()
        if demand.validation_even:
            return [level, excess + self.column_sum(self.validation - self.v), taken]
        covered = np.zeros(self.size)
        covered[self.parts[6]] = -1
        return [level, excess, covered, taken]

    def perfect(self) -> list[LinearConstraint]:
        """Return what holds when no goal about evenness can do better: every class exactly at the highest count.

        Asking for it outright is answered ten times faster than maximising and then minimising towards it.
        """
        t, v = self.demand.highest
        firm = self.demand.test_held.firm
        wanted = [LinearConstraint(self.test, t - firm, t - firm), LinearConstraint(self._place((4, _ONE)), t, t)]
        if self.demand.validation_even:
            firm = self.demand.validation_held.firm
            wanted += [LinearConstraint(self.validation, v - firm, v - firm)]
            wanted += [LinearConstraint(self._place((5, _ONE)), v, v)]
        return wanted


def _tell(program: _Program, solution: Row) -> Choice:
    values = np.rint(solution).astype(np.int64)
    parts = program.parts
    trimmed = [values[parts[part]] if parts[part].stop > parts[part].start else None for part in (2, 3)]
    t, v = int(values[parts[4]][0]), int(values[parts[5]][0])
    demand = program.demand
    deviation = int((program.test @ values + demand.test_held.firm - t).sum())
    if demand.validation_even:
        deviation += int((program.validation @ values + demand.validation_held.firm - v).sum())
    return Choice(values[parts[0]], values[parts[1]], trimmed[0], trimmed[1], (t, v), deviation)


def _solve(
    program: _Program, goal: Row, fixed: Sequence[LinearConstraint], seconds: float
) -> tuple[Row | None, float, bool]:
    """Return the best point found, its relative gap and whether time ran out."""
    result = milp(
        goal,
        integrality=np.ones(program.size, np.int64),
        bounds=Bounds(program.lower, program.upper),
        constraints=[*program.rows, *fixed],
        options={"time_limit": max(seconds, 0.05), "mip_rel_gap": 1e-9},
    )
    timed_out = result.status == 1
    gap = float(result.mip_gap) if result.x is not None and result.mip_gap is not None else 0.0
    return result.x, min(gap, 1.0), timed_out


def choose_groups(pool: Pool, demand: Demand, *, seconds: float, only_perfect: bool = False) -> Choice | None:
    """Choose groups for test and validation, goal by goal.

    Goals, each among the optima of those before it: the largest even count in test, then in validation; the smallest
    deviation from them; in a validation that need not be even, the most classes' instances up to the wanted count;
    the least taken from training, the rarest class counting most.

    Args:
        pool: what there is.
        demand: what is asked.
        seconds: a goal that is not proven by then keeps the best answer found.
        only_perfect: whether to give up where the highest counts of the demand cannot be reached without deviation.

    Returns:
        None when nothing satisfies the demand.

    Raises:
        SplitError: time ran out before anything was found or ruled out.
    """
    # The limit is in seconds by its nature, so a clock decides when a goal gives up; the choice says that it did.
    end = time.monotonic() + seconds
    program = _Program(pool, demand)
    fixed = program.perfect()
    solution, _, _ = _solve(program, np.zeros(program.size), fixed, seconds / 2)
    if solution is not None:
        return _pursue(program, _PERFECT, fixed, end=end, best=_tell(program, solution))
    return None if only_perfect else _pursue(program, 0, [], end=end, best=None)


def _pursue(
    program: _Program, first: int, fixed: list[LinearConstraint], *, end: float, best: Choice | None
) -> Choice | None:
    """Solve the goals from `first` on, keeping what each reached as a constraint on those after it."""
    gap, timed_out = 0.0, False
    goals = program.goals()
    for number, goal in list(enumerate(goals))[first:]:
        if best is not None and _settled(best, program.demand, number):
            break
        left = end - time.monotonic()
        solution, rest, late = _solve(program, goal, fixed, left / 2 if number == 0 else left)
        timed_out = timed_out or late
        if solution is None:
            if late and best is None:
                message = "no split was found or ruled out within the time limit; raise [split] time_limit_s"
                raise SplitError(message)
            gap = 1.0 if best is not None else gap
            break
        gap, best = max(gap, rest), _tell(program, solution)
        slack = 0.5 if number < len(goals) - 1 else 0.0
        fixed.append(LinearConstraint(goal[None, :], -np.inf, float(goal @ np.rint(solution)) + slack))
    return None if best is None else replace(best, gap=gap, timed_out=timed_out)


def _settled(best: Choice, demand: Demand, number: int) -> bool:
    """Tell whether the goals left cannot change anything: without deviation exactly `t + v` of each class is taken."""
    return number >= 1 and demand.validation_even and not demand.trim and best.deviation == 0
