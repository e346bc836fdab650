"""How much each layer minds losing bits, one at a time, and the bits that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.core.divergence import score_rows
from engine.core.errors import UserError
from engine.core.method import Losses
from engine.models.graph.macs import count_macs
from engine.quantization.bits.allocation import Allocation, greedy, integer, pareto_front
from engine.quantization.bits.allocation_report import AllocationReport
from engine.quantization.bits.candidates import Costs, find_tied_layers, make_table, with_candidates
from engine.quantization.bits.partial_student import CHUNK, PartialStudent
from engine.quantization.grids.quantizers import Makers
from engine.quantization.plan import BlockLike, LayerBits

FEWEST = 2  # bits that a grid can have


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationSettings:
    """What is measured, what is counted, and what may be spent."""

    sensitivity: str  # kl, hessian or sqnr
    bits: Sequence[int]  # to choose from, rising
    cost: str  # bytes or bit-operations
    share: float  # of what the plan before costs
    solver: str  # exact, integer or greedy
    probes: int  # of the Hessian's trace
    inputs: bool = False  # the activations' bits are chosen too


class BitAllocation:
    """A step machine: each step measures one entry of the table; `solve` then has the plan.

    Raises UserError at once where the budget does not even buy the fewest bits.

    `kl`: the Kullback-Leibler divergence of the predictions with one layer's weights rounded from the
    teacher's, as in ZeroQ (Cai et al., CVPR 2020, section 3.3). `hessian`: the mean curvature of the
    layer times its squared weight error, as in HAWQ-V2 (Dong et al., NeurIPS 2020), with the Fisher
    matrix (labels drawn from the teacher's own predictions) for the Hessian. `sqnr`: noise over signal
    of the weights, no image needed. The first and last layer stay at 8 bits where the plan has them so.

    Where the activations' bits are chosen too, each input is measured by itself like a layer's weights,
    and the sensitivity of (weight bits, activation bits) is the sum of the two.
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
        self._plan, self._settings, self._rng = dict(plan), settings, rng
        self._partial = PartialStudent(teacher, blocks, plan, images, makers)
        owner = self._partial.owner if settings.inputs else {path: path for path in plan}
        self._groups = find_tied_layers(plan, owner, settings.bits, inputs=settings.inputs)
        if not self._groups:
            raise UserError(
                "no layer is left to choose bits for, since first and last stay at 8 bits; give the edge "
                "rule all, or another quantizer"
            )
        self._free = [path for group in self._groups for path in group.free]
        self._entries = [entry for group in self._groups for entry in group.entries()]
        self._sensitivities: dict[str, float] = {}  # by "path.weight/bits" or "path.input/bits"
        self._traces = torch.zeros(len(self._free), dtype=torch.float64)
        self._steps_done = 0
        by_curvature = settings.sensitivity == "hessian"
        self.total_steps = settings.probes if by_curvature else len(self._entries)
        self._costs = Costs(
            kind=settings.cost,
            weights={path: self._partial.weight(path).numel() for path in plan},
            macs=count_macs(teacher, list(plan), images[:1]),
        )
        self._budget = self._afforded()

    def _afforded(self) -> int:
        """What may be spent; UserError where that does not even buy the fewest bits.

        The share counts as it is written: 0.6 of 5 bits in every layer is 3, to the last bit.
        """
        share, lowest = self._settings.share, self._settings.bits[0]
        spent = sum(self._costs.of(group, group.planned) for group in self._groups)
        least = sum(self._costs.of(group, group.fewest()) for group in self._groups)
        budget = int(Fraction(str(share)) * spent)
        if least <= budget:
            return budget
        said = f"{lowest} bits in every layer cost {least / spent:.0%} of what the plan before does"
        down = f", or put quantization.lowest ({lowest}) down" if lowest > FEWEST else ""
        raise UserError(f"quantization.share is {share:g}: too little, {said}; raise it{down}")

    # --- measuring ----------------------------------------------------------------------------

    def step(self) -> Losses:
        if self._settings.sensitivity == "hessian":
            sensitivity = self._probe()
        else:
            path, what, bits = self._entries[self._steps_done]
            sensitivity = self._measured(path, what, bits)
            self._sensitivities[f"{path}.{what}/{bits}"] = sensitivity
        self._steps_done += 1
        return {"sensitivity": torch.tensor(sensitivity)}

    def _measured(self, path: str, what: str, bits: int) -> float:
        partial = self._partial
        if self._settings.sensitivity == "kl":
            on = ({path: bits}, {}) if what == "weight" else ({}, {path: bits})
            return partial.divergence(*on)
        if what == "input":
            return partial.input_noise(path, bits)
        return partial.weight_noise(path, bits) / float(partial.weight(path).square().sum())

    def _probe(self) -> float:
        """One mini-batch's estimate of every layer's trace: ‖∇ Σ ±log p(y)‖², whose mean is Σ ‖∇ log p‖².

        The random signs make the images' gradients cancel on average, so that one backward pass does
        for all of them.
        """
        model = self._partial.model
        chunks = self._partial.images.split(CHUNK)
        x = chunks[self._steps_done % len(chunks)]
        weights = [self._partial.weight(path).requires_grad_() for path in self._free]
        with torch.enable_grad():
            log_p = F.log_softmax(score_rows(model(x)), 1)
            drawn = torch.multinomial(log_p.detach().exp().cpu(), 1, generator=self._rng)
            signs = torch.randint(0, 2, (len(log_p),), generator=self._rng) * 2 - 1
            picked = log_p.gather(1, drawn.to(x.device))[:, 0]
            gradients = torch.autograd.grad((signs.to(x.device) * picked).sum(), weights)
        for weight in weights:
            weight.requires_grad_(False)
        found = torch.stack([g.double().square().sum().cpu() for g in gradients]) / len(x)
        self._traces += found
        return float(found.sum())

    def _sensitivity(self, path: str, what: str, bits: int) -> float:
        if self._settings.sensitivity != "hessian":
            return self._sensitivities[f"{path}.{what}/{bits}"]
        trace = float(self._traces[self._free.index(path)]) / self._steps_done
        return trace / self._partial.weight(path).numel() * self._partial.weight_noise(path, bits)

    # --- solving ------------------------------------------------------------------------------

    def solve(self) -> tuple[dict[str, LayerBits], dict[str, Any]]:
        """The plan with the bits chosen; a report with the table, the front, and what else was possible."""
        table = make_table(self._groups, self._costs, self._sensitivity)
        budget = self._budget
        front, quick = pareto_front(table), greedy(table, budget)
        best = front.within(budget)
        assert best is not None  # the budget buys the fewest bits
        assert quick is not None
        chosen = self._by_solver(table, budget, best, quick)
        found = AllocationReport(
            groups=self._groups, table=table, costs=self._costs, sensitivity=self._sensitivity,
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
        }

    def _by_solver(
        self, table: Any, budget: int, best: Allocation, quick: Allocation
    ) -> Allocation:
        if self._settings.solver == "integer":
            return integer(table, budget) or best
        return quick if self._settings.solver == "greedy" else best

    # --- going on -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {
            "sensitivities": dict(self._sensitivities),
            "traces": self._traces.clone(),
            "steps_done": self._steps_done,
            "rng": self._rng.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        measured = (
            state["sensitivities"] if "sensitivities" in state else state["harms"]
        )  # as older versions called them
        self._sensitivities, self._traces = dict(measured), state["traces"].clone()
        self._steps_done = state["steps_done"]
        self._rng.set_state(state["rng"])
