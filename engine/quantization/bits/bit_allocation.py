"""Bits for each layer: what is tied, what a budget affords, and the plan that follows from sensitivities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.method import Losses
from engine.core.percent import percent
from engine.models.graph.macs import count_macs
from engine.quantization.bits.allocation_report import AllocationReport
from engine.quantization.bits.candidates import find_tied_layers, with_candidates
from engine.quantization.bits.cost_table import NS_PER_MS, Costs, make_table
from engine.quantization.bits.kernel_report import kernel_report
from engine.quantization.bits.kernel_times import KernelTimes, measure_kernels
from engine.quantization.bits.partial_student import PartialStudent
from engine.quantization.bits.sensitivity import Sensitivities
from engine.quantization.bits.solvers import (
    Allocation,
    Front,
    Option,
    greedy,
    integer,
    pareto_front,
)
from engine.quantization.grids.quantizers import Makers
from engine.quantization.plan import BlockLike, LayerBits

FEWEST = 2  # bits that a grid can have


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationSettings:
    """What is measured, what is counted, and what may be spent."""

    sensitivity: str  # kl, hessian, output or sqnr
    bits: Sequence[int]  # to choose from, rising
    cost: str  # bytes, bit-operations or latency
    share: float  # of what the plan before costs
    milliseconds: float = 0  # of latency, instead of the share
    solver: str  # exact, integer or greedy
    probes: int  # of the Hessian's trace
    inputs: bool = False  # the activations' bits are chosen too


class BitAllocation:
    """A step machine: each step measures one entry of the table; `solve` then has the plan.

    Raises UserError where the budget does not even buy the fewest bits: at once, of latency with the first
    step, which times the kernels, so that what was begun goes on by the times that it was begun with.

    The first and last layer stay at 8 bits where the plan has them so. Where the activations' bits are
    chosen too, the sensitivity of (weight bits, activation bits) is the sum of the two.
    """

    def __init__(
        self,
        teacher: nn.Module,
        blocks: Sequence[BlockLike],
        plan: Mapping[str, LayerBits],
        images: Tensor,
        *,
        settings: AllocationSettings,
        makers: Makers,
        rng: torch.Generator,
    ) -> None:
        self._plan, self._settings = dict(plan), settings
        self._partial = PartialStudent(teacher, blocks, plan, images, makers)
        timed = settings.cost == "latency"
        owner = self._partial.owner if settings.inputs or timed else {path: path for path in plan}
        self._groups = find_tied_layers(
            plan, owner, settings.bits, inputs=settings.inputs, float_inputs=timed
        )
        if not self._groups:
            raise UserError(
                "no layer is left to choose bits for, since first and last stay at 8 bits; give the edge "
                "rule all, or another quantizer"
            )
        self._sensitivities = Sensitivities(
            self._partial, [entry for group in self._groups for entry in group.entries()],
            kind=settings.sensitivity, probes=settings.probes, rng=rng,
        )  # fmt: skip
        self.total_steps = self._sensitivities.total_steps
        self._costs = Costs(
            kind=settings.cost,
            weights={path: self._partial.weight(path).numel() for path in plan},
            macs=count_macs(teacher, list(plan), images[:1]),
        )
        self._measure = partial(measure_kernels, teacher, list(plan), images[:1])
        self._checked = not timed
        if not timed:
            self._afforded()

    def _take_times(self, times: Mapping[str, KernelTimes]) -> None:
        """By these the budget is counted from now on; layers without a choice are in it."""
        self._costs = replace(self._costs, times=dict(times))
        free = {path for group in self._groups for path in group.layers}
        fixed = (
            self._costs.nanoseconds(path, one.activation_bits)
            for path, one in self._plan.items()
            if path not in free
        )
        self._costs = replace(self._costs, fixed=sum(fixed))

    def _afforded(self) -> int:
        """What may be spent on what has a choice; UserError where that does not buy the fewest bits.

        The share counts as it is written: 0.6 of 5 bits in every layer is 3, to the last bit.
        """
        settings, fixed = self._settings, self._costs.fixed
        spent = fixed + sum(self._costs.of(group, group.planned) for group in self._groups)
        least = fixed + sum(map(self._costs.least, self._groups))
        budget = int(Fraction(str(settings.share)) * spent)
        if settings.milliseconds:
            budget = int(Fraction(str(settings.milliseconds)) * NS_PER_MS)
        if least <= budget:
            return budget - fixed
        raise UserError(self._too_little(least, spent))

    def _too_little(self, least: int, spent: int) -> str:
        settings, lowest = self._settings, self._settings.bits[0]
        if settings.cost == "latency":
            fastest = f"the fastest choice takes {least / NS_PER_MS:.3g} ms on this machine"
            if settings.milliseconds:
                given = f"quantization.milliseconds is {settings.milliseconds:g}"
                return f"{given}: too little, {fastest}; raise it"
            share = f"{percent(least / spent, 0)} of what the plan before does"
            return f"quantization.share is {settings.share:g}: too little, {fastest}, {share}; raise it"
        said = f"{lowest} bits in every layer cost {percent(least / spent, 0)} of what the plan before does"
        down = f", or put quantization.lowest ({lowest}) down" if lowest > FEWEST else ""
        return f"quantization.share is {settings.share:g}: too little, {said}; raise it{down}"

    def step(self) -> Losses:
        if not self._checked:
            self._take_times(self._measure())
            self._afforded()
            self._checked = True
        return self._sensitivities.step()

    def solve(self) -> tuple[dict[str, LayerBits], dict[str, Any]]:
        """The plan with the bits chosen; a report with the table, the front, and what else was possible."""
        table, budget, front, quick, chosen = self.decide()
        found = AllocationReport(
            groups=self._groups, table=table, costs=self._costs, sensitivity=self._sensitivities.of,
            partial=self._partial, front=front,
        )  # fmt: skip
        plan = with_candidates(self._plan, self._groups, found.candidates(chosen))
        return plan, {
            "sensitivity": self._settings.sensitivity,
            "cost": self._settings.cost,
            "solver": self._settings.solver,
            "exact": front.exact or self._settings.solver == "integer",
            "budget": self._costs.unit(budget),
            **found.report(
                chosen, quick, self._settings.bits, in_kl=self._settings.sensitivity == "kl"
            ),
            **kernel_report(plan, self._groups, self._costs),
        }

    def decide(self) -> tuple[list[list[Option]], int, Front, Allocation, Allocation]:
        """(table, budget, front, greedy's choice, the choice): all of `solve` that looks at no image."""
        table = make_table(self._groups, self._costs, self._sensitivities.of)
        budget = self._afforded()
        front, quick = pareto_front(table), greedy(table, budget)
        best = front.within(budget)
        assert best is not None  # the budget buys the fewest bits
        assert quick is not None
        return table, budget, front, quick, self._by_solver(table, budget, best, quick)

    def stand_in(self) -> None:
        """Make `decide` and `solve` possible before all is measured, to see how long they take."""
        self._sensitivities.stand_in()

    def _by_solver(
        self, table: Any, budget: int, best: Allocation, quick: Allocation
    ) -> Allocation:
        if self._settings.solver == "integer":
            return integer(table, budget) or best
        return quick if self._settings.solver == "greedy" else best

    def state_dict(self) -> dict[str, Any]:
        times = {path: tuple(one) for path, one in self._costs.times.items()}
        return self._sensitivities.state_dict() | {"times": times}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sensitivities.load_state_dict(state)
        if state.get("times"):  # older versions had none
            self._take_times({path: KernelTimes(*one) for path, one in state["times"].items()})
            self._checked = True
