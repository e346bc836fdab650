"""What an allocation is worth, measured with all its bits at once, beside the sum of its sensitivities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.quantization.bits.candidates import Candidate, TiedLayers
from engine.quantization.bits.cost_table import Costs, SensitivityOf
from engine.quantization.bits.partial_student import PartialStudent
from engine.quantization.bits.solvers import Allocation, Front, Option

POINTS = 200  # of the front that are reported
CHECKED = 5  # of them, measured all at once


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationReport:
    """The solved table with what it was measured by."""

    groups: Sequence[TiedLayers]
    table: Sequence[Sequence[Option]]
    costs: Costs
    sensitivity: SensitivityOf
    partial: PartialStudent
    front: Front

    def candidates(self, allocation: Allocation) -> list[Candidate]:
        """What each group is given."""
        return [row[k].bits for row, k in zip(self.table, allocation.picks, strict=True)]

    def report(
        self, chosen: Allocation, quick: Allocation, bits: Sequence[int], *, in_kl: bool
    ) -> dict[str, Any]:
        """All that a page shows of the allocation; `in_kl`: the sensitivities are divergences themselves."""
        now = {
            (path, what): bits
            for group, choice in zip(self.groups, self.candidates(chosen), strict=True)
            for path, what, bits in group.changed(choice)
        }
        return {
            "chosen": self._summary(chosen),
            "greedy": self._summary(quick),
            "uniform": [self._uniform(b) for b in bits],
            "front": self._points(),
            "layers": [
                {"path": path, "weight_bits": now[path, "weight"], "sensitivity": sensitivities}
                for group in self.groups
                for path in group.free
                for sensitivities in [self._sensitivities(group, path, "weight")]
            ],
            "inputs": [
                {"path": group.owner, "layers": list(group.layers),
                 "activation_bits": now.get((group.owner, "input")),
                 "sensitivity": self._sensitivities(group, group.owner, "input")}
                for group in self.groups if group.inputs
            ],
            "additivity": self._additivity(chosen) if in_kl else [],
        }  # fmt: skip

    def _sensitivities(self, group: TiedLayers, path: str, what: str) -> dict[str, float]:
        wanted = group.bits if what == "weight" else group.inputs
        return {
            str(bits): self.sensitivity(path, what, bits)
            for one, kind, bits in group.entries()
            if (one, kind) == (path, what) and bits in wanted
        }

    def _summary(self, allocation: Allocation) -> dict[str, float]:
        return self._worth(self.candidates(allocation))

    def _worth(self, choices: Sequence[Candidate]) -> dict[str, float]:
        """`kl_together` is measured with all of them quantized at once: sensitivities need not add up."""
        changed = [
            one
            for group, choice in zip(self.groups, choices, strict=True)
            for one in group.changed(choice)
        ]
        cost = sum(self.costs.of(*pair) for pair in zip(self.groups, choices, strict=True))
        return {
            "cost": self.costs.unit(cost),
            "sensitivity": sum(self.sensitivity(*one) for one in changed),
            "kl_together": self.partial.divergence(
                {path: bits for path, what, bits in changed if what == "weight"},
                {path: bits for path, what, bits in changed if what == "input"},
            ),
        }

    def _uniform(self, bits: int) -> dict[str, float]:
        """So many bits in every layer that has a choice; inputs as the plan before has them."""
        choices = [
            Candidate(
                weights=tuple(
                    bits if path in group.free else planned
                    for path, planned in zip(group.layers, group.planned.weights, strict=True)
                ),
                input=group.planned.input,
            )
            for group in self.groups
        ]
        return {"weight_bits": bits, **self._worth(choices)}

    def _additivity(self, chosen: Allocation) -> list[dict[str, Any]]:
        """The check of the assumption, at places spread over the front and at the one chosen."""
        costs = np.linspace(self.front.costs[0], self.front.costs[-1], CHECKED)
        places = sorted(set(np.searchsorted(self.front.costs, costs).tolist()))
        others = [self.front.allocation(place) for place in places]
        asked = [chosen, *(one for one in others if one.picks != chosen.picks)]
        found = [
            {**worth, "ratio": worth["kl_together"] / worth["sensitivity"], "chosen": one is chosen}
            for one in asked
            if (worth := self._summary(one))["sensitivity"] > 0
        ]
        return sorted(found, key=lambda one: one["cost"])

    def _points(self) -> list[list[float]]:
        costs, sensitivities = self.front.costs.tolist(), self.front.sensitivities.tolist()
        every = max(1, -(-len(costs) // POINTS))
        kept = sorted({*range(0, len(costs), every), len(costs) - 1})
        return [[self.costs.unit(costs[k]), sensitivities[k]] for k in kept]
