"""Rounding with an eye on the outputs: column after column of W, later ones making up for earlier ones.

Both policies aim at the teacher's output W X with the student's own input X̃, so they also take out
what earlier layers have spoilt.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from engine.core.method import View
from engine.quantization.grids.level_sets import level_values, nearest_codes
from engine.quantization.rounding.patches import LayerProblem
from engine.quantization.rounding.views import path_view

Choose = Callable[[Tensor, Tensor], Tensor]  # values [g, o], levels [g, o, L] -> codes [g, o]
_DEAD = 1e-12  # of the mean energy of a column: below, the images say nothing about it


class ColumnRounding(ABC):
    """The codes of one layer, chosen from column 0 to column d; `advance` goes on to a column."""

    def __init__(self, problem: LayerProblem) -> None:
        self.problem = problem
        self.levels = problem.levels  # [g, o, levels], rising
        self.codes = nearest_codes(problem.weight, problem.levels)
        self.width = problem.weight.shape[2]
        self.order = torch.arange(
            self.width, device=problem.weight.device
        )  # in which columns are taken
        self.at = 0
        self._target = float((problem.weight @ problem.x_teacher).norm().clamp_min(1e-12))
        self.path: list[tuple[int, float, float]] = []  # column, error, that of nearest rounding

    @abstractmethod
    def advance(self, to: int) -> None:
        """Round the columns before `to` that are not yet rounded."""

    @abstractmethod
    def error(self) -> float:
        """What is wrong with the columns so far, as a share of ‖W X‖."""

    def values(self) -> Tensor:
        """[g, o, d] quantized weights; columns not yet reached are at their nearest levels."""
        return level_values(self.codes, self.levels)

    def settle(self, quantizer: Any, shape: torch.Size) -> None:
        """Give the layer's quantizer what was found, once all columns are rounded."""
        quantizer.take(self.codes.view(shape))

    def view(self, what: str) -> View:
        """What there is to see of the columns so far, of the layer called so; at least one is taken."""
        return path_view(what, self)

    def state_dict(self) -> dict[str, Any]:
        return {"codes": self.codes, "at": self.at, "path": self.path}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.codes, self.at = state["codes"], state["at"]
        self.path = [(int(c), float(e), float(n)) for c, e, n in state["path"]]


class GreedyPath(ColumnRounding):
    """Greedy path following: u carries the error so far, and each code takes off as much as it can.

    Zhang, Zhou, Saab, "Post-training Quantization for Neural Networks with Provable Guarantees", 2023,
    equation (3): u ← u + w X_t, then q is the level nearest to ⟨u, X̃_t⟩ / ‖X̃_t‖², then u ← u − q X̃_t.
    A column that is all zeros in the images takes the level nearest to its weight; the released code
    takes 0, which other images would not forgive.
    """

    def __init__(self, problem: LayerProblem, choose: Choose) -> None:
        super().__init__(problem)
        self._choose = choose
        w, patches = problem.weight, problem.x_teacher.shape[2]
        self._u = w.new_zeros(*w.shape[:2], patches)
        self._plain = self._u.clone()  # the same of nearest rounding, to be drawn beside
        self._near = self.values()

    def advance(self, to: int) -> None:
        p = self.problem
        energy = p.x_student.square().sum(2)  # [g, d]
        alive = energy > _DEAD * energy.mean(1, keepdim=True)
        for t in range(self.at, to):
            wanted, seen = p.x_teacher[:, t, None], p.x_student[:, t, None]  # [g, 1, m]
            weight = p.weight[:, :, t]
            self._u += weight[..., None] * wanted
            along = (self._u * seen).sum(2) / energy[:, t, None].clamp_min(1e-30)
            codes = self._choose(along, p.levels)
            codes = torch.where(alive[:, t, None], codes, _nearest(weight, p.levels))
            self.codes[:, :, t] = codes
            value = level_values(codes[..., None], p.levels)
            self._u -= value * seen
            self._plain += weight[..., None] * wanted - self._near[:, :, t, None] * seen
            self.path.append((t, self.error(), float(self._plain.norm()) / self._target))
        self.at = to

    def error(self) -> float:
        return float(self._u.norm()) / self._target

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"u": self._u, "plain": self._plain}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._u, self._plain = state["u"], state["plain"]


class HessianCompensated(ColumnRounding):
    """Rounding whose errors are passed on: each column's error is spread over those yet to come.

    Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ", ICLR 2023, section 3, with the Hessian H = X̃X̃ᵀ / m
    and `damping` times its mean diagonal added. Two departures: the weights to be rounded are first
    fitted to the teacher's output on the student's input, W + W (X − X̃) X̃ᵀ (X̃X̃ᵀ + λ)⁻¹ (as published
    it aims at W X̃); columns may be taken in falling order of their energy (`by_energy`, in the
    authors' later code).
    """

    def __init__(self, problem: LayerProblem, *, damping: float, by_energy: bool) -> None:
        super().__init__(problem)
        p, count = problem, max(problem.x_student.shape[2], 1)
        self._hessian = p.x_student @ p.x_student.mT / count
        self._cross = p.x_teacher @ p.x_student.mT / count
        self._energy = (p.weight @ (p.x_teacher @ p.x_teacher.mT / count) * p.weight).sum()
        diagonal = self._hessian.diagonal(dim1=1, dim2=2)
        damped = self._hessian.clone()
        damp = (damping * diagonal.mean(1, keepdim=True)).clamp_min(1e-12)
        dead = torch.where(
            diagonal > 0, 0.0, 1.0
        )  # nothing is passed to them, nothing comes from them
        damped.diagonal(dim1=1, dim2=2).add_(damp + dead)
        shift = self._cross - self._hessian  # (X − X̃) X̃ᵀ / m
        factor, damped = _factor(damped)
        fitted = p.weight + torch.cholesky_solve((p.weight @ shift).mT, factor).mT
        self.order = self._in_order(diagonal, by_energy=by_energy)
        self._damped = damped
        ordered = damped[:, self.order][:, :, self.order]
        inverse = torch.cholesky_inverse(_factor(ordered)[0])
        self._pass_on: Tensor = torch.linalg.cholesky(inverse, upper=True)
        self._rest = fitted  # columns already rounded hold their quantized values
        self._plain = self._error_of(self.values())

    def _in_order(self, energy: Tensor, *, by_energy: bool) -> Tensor:
        """The columns in the order in which they are taken; energy [g, d] is the Hessian's diagonal."""
        return energy.mean(0).argsort(descending=True, stable=True) if by_energy else self.order

    def advance(self, to: int) -> None:
        for k in range(self.at, to):
            self._take(k)
        self.at = to
        self.path.append((to - 1, self.error(), self._plain))

    def _take(self, k: int) -> None:
        """Round the k-th column in order, and let those behind it make up for its error."""
        t, later = self.order[k], self.order[k + 1 :]
        weight = self._rest[:, :, t]
        codes = _nearest(weight, self.levels)
        self.codes[:, :, t] = codes
        value = level_values(codes[..., None], self.levels)[..., 0]
        error = (weight - value) / self._pass_on[:, k, k, None]
        self._rest[:, :, later] -= error[..., None] * self._pass_on[:, None, k, k + 1 :]
        self._rest[:, :, t] = value

    def error(self) -> float:
        return self._error_of(self._rest)

    def _error_of(self, weight: Tensor) -> float:
        """‖W X − V X̃‖ / ‖W X‖ from the matrices of products alone."""
        both = (self.problem.weight @ self._cross * weight).sum()
        own = (weight @ self._hessian * weight).sum()
        squared = (self._energy - 2 * both + own).clamp_min(0)
        return float((squared / self._energy.clamp_min(1e-30)).sqrt())

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"rest": self._rest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._rest = state["rest"]


def _factor(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The lower Cholesky factor [g, d, d], and the matrix that it is of: damped more where it must be."""
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    mean = torch.diag_embed(diagonal.mean(1, keepdim=True).expand_as(diagonal))
    factor, failed = torch.linalg.cholesky_ex(matrix)
    for power in range(-6, 1):
        if not bool(failed.any()):
            break
        matrix = matrix + 10.0**power * mean
        factor, failed = torch.linalg.cholesky_ex(matrix)
    return factor, matrix


def _nearest(values: Tensor, levels: Tensor) -> Tensor:
    return nearest_codes(values[..., None], levels)[..., 0]


def choose_nearest(values: Tensor, levels: Tensor) -> Tensor:
    """The nearest level."""
    return _nearest(values, levels)


def choose_at_random(rng: torch.Generator) -> Choose:
    """One of the two levels around, at random so that the mean is the value itself."""

    def choose(values: Tensor, levels: Tensor) -> Tensor:
        above = torch.searchsorted(levels, values[..., None].contiguous())
        below = (above - 1).clamp(0, levels.shape[-1] - 2)
        low, high = levels.gather(-1, below)[..., 0], levels.gather(-1, below + 1)[..., 0]
        share = (values - low) / (high - low).clamp_min(1e-30)  # beyond the ends below 0, above 1
        drawn = torch.rand(values.shape, generator=rng).to(values.device)
        return below[..., 0] + (drawn < share)

    return choose


def choose_sparse(threshold: float) -> Choose:
    """The nearest level once the value has come nearer to 0 by `threshold` mean steps."""

    def choose(values: Tensor, levels: Tensor) -> Tensor:
        step = (levels[..., -1] - levels[..., 0]) / (levels.shape[-1] - 1)
        smaller = values.sign() * (values.abs() - threshold * step).clamp_min(0)
        return _nearest(smaller, levels)

    return choose
