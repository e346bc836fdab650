"""Bits for each layer under a budget: layers' sensitivities are added, and the least sum is found.

The choice among K options for each of n layers is a knapsack problem. It is solved exactly by dynamic
programming over partial sums of which none is beaten in cost and sensitivity; its last stage is the whole
Pareto front. The same as an integer programme (HAWQ-V3, Yao et al., ICML 2021) stays exact
where that front is too long to keep; greedy takes the upgrade that helps most for its cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SENSITIVITY_SCALE = (
    1e4  # of the largest sensitivity, for the integer programme: its gap is absolute, 1e-6
)
MOST_SUMS = 200_000  # partial sums kept; beyond, neighbours in cost are merged, and no longer exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What one layer, or layers that share an input, may be given."""

    bits: Any  # what is bought; the solvers do not look at it
    cost: int  # in whatever the budget counts
    sensitivity: float  # how much worse the network gets, by this layer alone


@dataclass(frozen=True, slots=True)
class Allocation:
    """One option for each layer, by its place in the table."""

    cost: int
    sensitivity: float
    picks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Front:
    """All allocations that no other beats in both cost and sensitivity, from the cheapest to the best."""

    costs: Any  # rising
    sensitivities: Any  # falling
    exact: bool
    _steps: list[tuple[Any, Any]]  # for each layer: which sum it came from, which option was added

    def __len__(self) -> int:
        return len(self.costs)

    def allocation(self, index: int) -> Allocation:
        """The allocation at a place on the front."""
        picks: list[int] = []
        at = index
        for origin, option in reversed(self._steps):
            picks.append(int(option[at]))
            at = int(origin[at])
        return Allocation(
            int(self.costs[index]), float(self.sensitivities[index]), tuple(reversed(picks))
        )

    def within(self, budget: int) -> Allocation | None:
        """The least sensitivity that the budget can buy; None where even the cheapest is too dear."""
        index = int(np.searchsorted(self.costs, budget, side="right")) - 1
        return None if index < 0 else self.allocation(index)


def pareto_front(table: Sequence[Sequence[Option]], most_sums: int = MOST_SUMS) -> Front:
    """The front of all allocations of the table, one row of options for each layer."""
    costs, sensitivities = np.zeros(1, np.int64), np.zeros(1)
    steps = []
    exact = True
    for options in table:
        added_costs = np.array([option.cost for option in options], np.int64)
        added_sensitivities = np.array([option.sensitivity for option in options])
        all_costs = (costs[:, None] + added_costs).ravel()
        all_sensitivities = (sensitivities[:, None] + added_sensitivities).ravel()
        order = np.lexsort((all_sensitivities, all_costs))
        best_before = np.minimum.accumulate(all_sensitivities[order])
        better = np.concatenate([[True], all_sensitivities[order][1:] < best_before[:-1]])
        kept = order[better]
        if len(kept) > most_sums:
            exact = False
            cells = np.linspace(0, len(kept) - 1, most_sums).round().astype(np.int64)
            kept = kept[cells]
        steps.append((kept // len(options), kept % len(options)))
        costs, sensitivities = all_costs[kept], all_sensitivities[kept]
    return Front(costs, sensitivities, exact, steps)


def integer(table: Sequence[Sequence[Option]], budget: int) -> Allocation | None:
    """The least sensitivity that the budget can buy, by branch and bound; None where it buys nothing.

    One variable in {0, 1} for each option; those of a row sum to 1, what they cost to the budget at most.
    Costs count from each row's cheapest option, in units of their greatest common divisor: the smaller
    the whole numbers, the less the solver's tolerance (one in a million of each variable) can hide.
    """
    least = [min(option.cost for option in row) for row in table]
    room = budget - sum(least)
    if room < 0:
        return None
    sensitivities = np.concatenate(
        [_above_least([option.sensitivity for option in row]) for row in table]
    )
    extra = np.concatenate(
        [[o.cost - low for o in row] for row, low in zip(table, least, strict=True)]
    ).astype(np.int64)
    unit = int(np.gcd.reduce(extra)) or 1
    units, room = extra // unit, room // unit
    ends = np.cumsum([len(row) for row in table])
    while True:
        taken = _branch_and_bound(sensitivities, units, ends, room)
        picks = tuple(int(part.argmax()) for part in np.split(taken, ends[:-1]))
        found = _bought(table, picks)
        if found.cost <= budget:
            return found
        room -= -(-(found.cost - budget) // unit)  # a tolerance was used: ask for as much less


def _branch_and_bound(sensitivities: Any, units: Any, ends: Any, room: int) -> Any:
    """Which options are taken, as shares that are whole but for the solver's tolerance."""
    from scipy.optimize import Bounds, LinearConstraint, milp  # here: most runs need none of it

    rows = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    one_each = (rows == np.arange(len(ends))[:, None]).astype(float)
    limits = [LinearConstraint(one_each, 1, 1), LinearConstraint(units[None], -np.inf, room)]
    found = milp(
        sensitivities / (sensitivities.max() or 1) * SENSITIVITY_SCALE,
        integrality=np.ones(len(sensitivities)), bounds=Bounds(0, 1), constraints=limits,
        options={"mip_rel_gap": 0},
    )  # fmt: skip
    if found.x is None:
        raise RuntimeError(f"the integer programme was not solved: {found.message}")
    return found.x


def _above_least(sensitivities: list[float]) -> Any:
    return np.array(sensitivities) - min(sensitivities)


def _bought(table: Sequence[Sequence[Option]], picks: tuple[int, ...]) -> Allocation:
    chosen = [row[k] for row, k in zip(table, picks, strict=True)]
    return Allocation(sum(o.cost for o in chosen), sum(o.sensitivity for o in chosen), picks)


def greedy(table: Sequence[Sequence[Option]], budget: int) -> Allocation | None:
    """Cheapest options first, then again and again the upgrade that saves the most for its cost."""
    picks = [min(range(len(row)), key=lambda k, r=row: r[k].cost) for row in table]  # type: ignore[misc]
    spent = sum(row[k].cost for row, k in zip(table, picks, strict=True))
    if spent > budget:
        return None
    while True:
        best: tuple[float, int, int] | None = None
        for layer, row in enumerate(table):
            now = row[picks[layer]]
            for k, option in enumerate(row):
                dearer, saved = option.cost - now.cost, now.sensitivity - option.sensitivity
                if dearer <= 0 or saved <= 0 or spent + dearer > budget:
                    continue
                if best is None or saved / dearer > best[0]:
                    best = (saved / dearer, layer, k)
        if best is None:
            break
        _, layer, k = best
        spent += table[layer][k].cost - table[layer][picks[layer]].cost
        picks[layer] = k
    return _bought(table, tuple(picks))
