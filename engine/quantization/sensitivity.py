"""How much each layer minds losing bits, one layer at a time, and the bits that follow from it."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.method import Losses
from engine.models.macs import count_macs
from engine.quantization.allocation import Allocation, Option, greedy, pareto_front
from engine.quantization.plan import EDGE_BITS, LayerBits

CHUNK = 32
POINTS = 200  # of the front that are reported


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationSettings:
    """What is measured, what is counted, and what may be spent."""

    sensitivity: str  # kl, hessian or sqnr
    bits: Sequence[int]  # to choose from, rising
    cost: str  # bytes or bit-operations
    share: float  # of what the plan before costs
    solver: str  # exact or greedy
    probes: int  # of the Hessian's trace


class BitAllocation:
    """A step machine: each step measures one entry of the table; `plan` then solves it.

    `kl`: the Kullback-Leibler divergence of the predictions with one layer's weights rounded from the
    teacher's, as in ZeroQ (Cai et al., CVPR 2020, section 3.3). `hessian`: the mean curvature of the
    layer times its squared weight error, as in HAWQ-V2 (Dong et al., NeurIPS 2020), with the Fisher
    matrix (labels drawn from the teacher's own predictions) for the Hessian. `sqnr`: noise over signal
    of the weights, no image needed. The first and last layer stay at 8 bits where the plan has them so.
    """

    def __init__(
        self,
        teacher: nn.Module,
        plan: Mapping[str, LayerBits],
        images: Tensor,
        *,
        settings: AllocationSettings,
        make_quantizer: Callable[[int], Any],
        rng: torch.Generator,
    ) -> None:
        self._plan, self._settings, self._rng = plan, settings, rng
        self._images, self._make = images, make_quantizer
        self._model = copy.deepcopy(teacher)
        edges = (next(iter(plan)), list(plan)[-1])
        self._free = [
            path
            for path, bits in plan.items()
            if path not in edges or bits.weight_bits != EDGE_BITS
        ]
        if not self._free:
            raise UserError("no layer is left to choose bits for: first and last stay at 8 bits")
        self._entries = [(path, bits) for path in self._free for bits in settings.bits]
        self._harms: dict[str, float] = {}
        self._traces = torch.zeros(len(self._free), dtype=torch.float64)
        self._steps_done = 0
        measured = settings.probes if settings.sensitivity == "hessian" else len(self._entries)
        self.total_steps = measured
        self._macs = count_macs(teacher, self._free, images[:1])
        self._wanted = self._logits()

    # --- measuring ----------------------------------------------------------------------------

    def step(self) -> Losses:
        if self._settings.sensitivity == "hessian":
            harm = self._probe()
        else:
            path, bits = self._entries[self._steps_done]
            harm = (
                self._kl({path: bits})
                if self._settings.sensitivity == "kl"
                else self._noise(path, bits)
            )
            self._harms[f"{path}/{bits}"] = harm
        self._steps_done += 1
        return {"harm": torch.tensor(harm)}

    def _kl(self, bits: Mapping[str, int]) -> float:
        """KL(teacher ‖ the teacher with these layers' weights rounded), mean over images."""
        weights = {path: self._weight(path) for path in bits}
        kept = {path: weight.detach().clone() for path, weight in weights.items()}
        try:
            with torch.no_grad():
                for path, weight in weights.items():
                    weight.copy_(self._rounded(path, bits[path]))
                return float(_divergence(self._logits(), self._wanted))
        finally:
            with torch.no_grad():
                for path, weight in weights.items():
                    weight.copy_(kept[path])

    @torch.no_grad()
    def _logits(self) -> Tensor:
        return torch.cat([self._model(chunk) for chunk in self._images.split(CHUNK)])

    def _noise(self, path: str, bits: int) -> float:
        weight = self._weight(path).detach()
        return float((weight - self._rounded(path, bits)).square().sum() / weight.square().sum())

    @torch.no_grad()
    def _rounded(self, path: str, bits: int) -> Tensor:
        weight = self._weight(path).detach()
        quantizer = self._make(bits)
        quantizer.fit(weight)
        values: Tensor = quantizer(weight)
        return values

    def _weight(self, path: str) -> Tensor:
        weight: Tensor = self._model.get_submodule(path).weight  # type: ignore[assignment]
        return weight

    def _probe(self) -> float:
        """One mini-batch's estimate of every layer's trace: ‖∇ Σ ±log p(y)‖², whose mean is Σ ‖∇ log p‖².

        The random signs make the images' gradients cancel on average, so that one backward pass does
        for all of them.
        """
        chunks = self._images.split(CHUNK)
        x = chunks[self._steps_done % len(chunks)]
        weights = [self._weight(path).requires_grad_() for path in self._free]
        with torch.enable_grad():
            log_p = F.log_softmax(self._model(x).flatten(1), 1)
            drawn = torch.multinomial(log_p.detach().exp().cpu(), 1, generator=self._rng)
            signs = torch.randint(0, 2, (len(x),), generator=self._rng) * 2 - 1
            picked = log_p.gather(1, drawn.to(x.device))[:, 0]
            gradients = torch.autograd.grad((signs.to(x.device) * picked).sum(), weights)
        for weight in weights:
            weight.requires_grad_(False)
        found = torch.stack([g.double().square().sum().cpu() for g in gradients]) / len(x)
        self._traces += found
        return float(found.sum())

    # --- solving ------------------------------------------------------------------------------

    def table(self) -> list[list[Option]]:
        """Cost and harm of every choice, one row for each layer that has a choice."""
        return [
            [
                Option(bits=bits, cost=self._cost(path, bits), harm=self._harm(path, bits))
                for bits in self._settings.bits
            ]
            for path in self._free
        ]

    def _cost(self, path: str, bits: int) -> int:
        """Bits that the codes take, or bit operations for one image."""
        if self._settings.cost == "bytes":
            return self._weight(path).numel() * bits
        return self._macs[path] * bits * (self._plan[path].activation_bits or EDGE_BITS)

    def _harm(self, path: str, bits: int) -> float:
        if self._settings.sensitivity != "hessian":
            return self._harms[f"{path}/{bits}"]
        weight = self._weight(path).detach()
        curvature = float(self._traces[self._free.index(path)]) / self._steps_done / weight.numel()
        return curvature * float((weight - self._rounded(path, bits)).square().sum())

    def solve(self) -> tuple[dict[str, LayerBits], dict[str, Any]]:
        """The plan with the bits chosen, and a report with the table, the front, and what else was possible.

        Raises UserError where the budget does not even buy the fewest bits.
        """
        table = self.table()
        before = [self._plan[path].weight_bits for path in self._free]
        spent = sum(self._cost(path, bits) for path, bits in zip(self._free, before, strict=True))
        budget = int(self._settings.share * spent)
        front, quick = pareto_front(table), greedy(table, budget)
        best = front.within(budget)
        if best is None or quick is None:
            raise UserError(
                f"quantization.share is {self._settings.share:g}: too little even for "
                f"{self._settings.bits[0]} bits in every layer; raise it, or quantization.lowest down"
            )
        chosen = quick if self._settings.solver == "greedy" else best
        bits = self._bits(chosen)
        plan = {
            path: replace(old, weight_bits=bits.get(path, old.weight_bits))
            for path, old in self._plan.items()
        }
        return plan, {
            "sensitivity": self._settings.sensitivity,
            "cost": self._settings.cost,
            "solver": self._settings.solver,
            "exact": front.exact,
            "budget": self._unit(budget),
            "chosen": self._summary(chosen),
            "greedy": self._summary(quick),
            "uniform": [self._uniform(k, table) for k in range(len(self._settings.bits))],
            "front": self._points(front.costs.tolist(), front.harms.tolist()),
            "layers": [
                {
                    "path": path,
                    "weight_bits": bits[path],
                    "harm": {str(o.bits): o.harm for o in row},
                }
                for path, row in zip(self._free, table, strict=True)
            ],
        }

    def _bits(self, allocation: Allocation) -> dict[str, int]:
        picks = zip(self._free, allocation.picks, strict=True)
        return {path: self._settings.bits[k] for path, k in picks}

    def _summary(self, allocation: Allocation) -> dict[str, float]:
        """`kl_together` is measured with all layers rounded at once: harms need not add up."""
        return {
            "cost": self._unit(allocation.cost),
            "harm": allocation.harm,
            "kl_together": self._kl(self._bits(allocation)),
        }

    def _uniform(self, k: int, table: list[list[Option]]) -> dict[str, float]:
        same = Allocation(
            sum(row[k].cost for row in table), sum(row[k].harm for row in table), (k,) * len(table)
        )
        return {"weight_bits": self._settings.bits[k], **self._summary(same)}

    def _points(self, costs: list[int], harms: list[float]) -> list[list[float]]:
        every = max(1, -(-len(costs) // POINTS))
        kept = sorted({*range(0, len(costs), every), len(costs) - 1})
        return [[self._unit(costs[k]), harms[k]] for k in kept]

    def _unit(self, cost: int) -> float:
        return cost / 8 if self._settings.cost == "bytes" else float(cost)

    # --- going on -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {
            "harms": dict(self._harms),
            "traces": self._traces.clone(),
            "steps_done": self._steps_done,
            "rng": self._rng.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._harms, self._traces = dict(state["harms"]), state["traces"].clone()
        self._steps_done = state["steps_done"]
        self._rng.set_state(state["rng"])


def _divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    p, q = F.log_softmax(wanted.flatten(1), 1), F.log_softmax(logits.flatten(1), 1)
    return F.kl_div(q, p, log_target=True, reduction="batchmean").clamp_min(0)
