"""Columns in an order of choice, the scale of the levels found anew on the way.

Inspired by Park, Yoon, Hwang: "BiTAT: Neural Network Binarization with Task-dependent Aggregated
Transformation", 2022, arXiv:2207.01394, of which only the abstract could be had. What the layer's inputs have
in common, H = X̃X̃ᵀ / m, says how much each input matters, and what the other weights can make up for.
"""

from typing import Any

import torch
from torch import Tensor

from engine.core.method import View
from engine.quantization.rounding.columns import HessianCompensated
from engine.quantization.rounding.patches import LayerProblem

ORDERS = ("importance", "magnitude", "random")
POINTS = 48  # of a layer's columns at which the error is told


class OrderedRounding(HessianCompensated):
    """Hessian-compensated rounding in one of the orders; a factor for each output's levels by least squares.

    importance: falling energy of the input, H_jj = Σ_i λ_i V_ji² with the eigenvalues and vectors of H;
    magnitude: falling mean |w| of the column; random: as `seed` draws. `refit`: after how many columns the
    factors are found anew; 0: never.
    """

    def __init__(
        self,
        problem: LayerProblem,
        *,
        order: str,
        refit: int,
        compensate: bool,
        damping: float,
        seed: int,
    ) -> None:
        self._by, self._refit, self._compensate, self._seed = order, refit, compensate, seed
        super().__init__(problem, damping=damping, by_energy=order == "importance")
        self.levels = problem.levels.clone()
        if not compensate:
            self._rest = problem.weight.clone()  # what is missing is not fitted in either
        self._wanted = self._rest.clone()
        self.factor = problem.weight.new_ones(problem.weight.shape[:2])  # [g, o], of the levels
        self._every = max(1, self.width // POINTS)

    def _in_order(self, energy: Tensor, *, by_energy: bool) -> Tensor:
        if self._by == "magnitude":
            size = self.problem.weight.abs().mean((0, 1))
            return size.argsort(descending=True, stable=True)
        if self._by == "random":
            rng = torch.Generator().manual_seed(self._seed)
            return torch.randperm(self.width, generator=rng).to(energy.device)
        return super()._in_order(energy, by_energy=by_energy)

    def advance(self, to: int) -> None:
        for k in range(self.at, to):
            self._take(k)
            last = k + 1 == self.width
            if self._refit and ((k + 1) % self._refit == 0 or last):
                self._rescale(k + 1)
            if last or k % self._every == 0:
                self.path.append((k, self.error(), self._plain))
        self.at = to

    def _take(self, k: int) -> None:
        if self._compensate:
            super()._take(k)
            return
        kept = self._rest.clone()
        super()._take(k)
        t = self.order[k]
        kept[:, :, t] = self._rest[:, :, t]
        self._rest = kept

    def _rescale(self, done: int) -> None:
        """The factors for which the outputs err least, with what the other columns can still make up for.

        With M the inverse of the block of H⁻¹ that belongs to the columns done, the error that the others
        leave is (w − a q)ᵀ M (w − a q), so a = qᵀ M w / qᵀ M q; they are then fitted to what is missing.
        """
        before, behind = self.order[:done], self.order[done:]
        hessian = self._damped[:, self.order][:, :, self.order]
        front, cross = hessian[:, :done, :done], hessian[:, :done, done:]
        metric = front
        if len(behind) and self._compensate:
            rest = torch.linalg.cholesky(hessian[:, done:, done:])
            passed = torch.cholesky_solve(cross.mT, rest)  # H_rr⁻¹ H_rd
            metric = front - cross @ passed
        taken, wanted = self._rest[:, :, before], self._wanted[:, :, before]
        seen = taken @ metric
        change = (seen * wanted).sum(2) / (seen * taken).sum(2).clamp_min(1e-30)
        change = torch.where(change > 0, change, 1.0)  # a scale keeps its sign: levels rise
        self.factor *= change
        self.levels *= change[..., None]
        self._rest[:, :, before] = taken * change[..., None]
        if len(behind) and self._compensate:
            missing = wanted - self._rest[:, :, before]
            self._rest[:, :, behind] = self._wanted[:, :, behind] + missing @ passed.mT

    def settle(self, quantizer: Any, shape: torch.Size) -> None:
        super().settle(quantizer, shape)
        quantizer.rescale(quantizer.scale * self.factor.view(-1, 1))

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"factor": self.factor, "levels": self.levels}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.factor, self.levels = state["factor"], state["levels"]


class ThreeOrders(OrderedRounding):
    """The rounding in the order chosen, and beside it, to be compared, that in the two others."""

    def __init__(self, problem: LayerProblem, *, order: str, **told: Any) -> None:
        super().__init__(problem, order=order, **told)
        names = [name for name in ORDERS if name != order]
        self._others = {name: OrderedRounding(problem, order=name, **told) for name in names}

    def advance(self, to: int) -> None:
        super().advance(to)
        for other in self._others.values():
            other.advance(to)

    def view(self, what: str) -> View:
        """The error over the share of columns that are taken, in each order."""
        paths = {self._by: self.path} | {name: one.path for name, one in self._others.items()}
        arrays = {name: torch.tensor([error for _, error, _ in paths[name]]) for name in ORDERS}
        at = torch.tensor([float(k + 1) for k, _, _ in self.path]) / self.width
        told = {name: float(errors[-1]) for name, errors in arrays.items()}
        return View(
            form="orders", what=what, arrays={"at": at} | arrays,
            values=told | {"nearest": self._plain, "chosen": float(ORDERS.index(self._by))},
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        others = {name: one.state_dict() for name, one in self._others.items()}
        return super().state_dict() | {"others": others}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for name, one in self._others.items():
            one.load_state_dict(state["others"][name])
