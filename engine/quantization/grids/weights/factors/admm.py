"""Factors of a tensor that lie on grids: ADMM, whatever the product of the factors is.

Cherniuk et al., "Quantization Aware Factorization for Deep Neural Network Compression", arXiv:2308.04595.
Each factor in turn is solved for with the others fixed, under the condition that its quantized values are
those that count:

    H̄ ← (F + ρ (H + U)) (G + ρ I)^−1,   H ← Quant(H̄ − U),   U ← U + H − H̄

with F and G of the least squares for that factor (`Equations`), and ρ the mean of G's diagonal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Quantize = Callable[[Tensor], Tensor]
Factors = list[Tensor]
Shape = tuple[int, ...]

INNER_STEPS = 20
SLOW = 1e-5  # an error that falls by less has settled
_SETTLED = 1e-8


@dataclass(frozen=True, slots=True)
class Equations:
    """Least squares for one factor H, the others fixed: H G = F."""

    right: Tensor  # F, in H's shape
    rho: Tensor  # trace(G) / its side
    solve: Callable[[Tensor], Tensor]  # X in H's shape ↦ X (G + ρ I)^−1


@dataclass(frozen=True, slots=True)
class Form:
    """What product factors make a tensor of."""

    compose: Callable[[Sequence[Tensor]], Tensor]
    equations: Callable[[Tensor, Sequence[Tensor], int], Equations]  # tensor, factors, which one
    shapes: Callable[
        [Shape, int, float], tuple[Shape, ...]
    ]  # of a tensor, bits, bits to spend; () if none
    start: Callable[
        [Tensor, Sequence[Shape], int], Factors
    ]  # least squares in floats, so many sweeps
    names: tuple[str, ...]  # of the factors
    ranks: int  # how many of the first factors' columns are ranks of their own


def error_of(tensor: Tensor, product: Tensor) -> float:
    """‖T − T̂‖ / ‖T‖; 0 for a tensor of zeros that is met."""
    return float((tensor - product).norm()) / (float(tensor.norm()) or 1.0)


def admm(
    tensor: Tensor, factors: Sequence[Tensor], quantize: Quantize, *, sweeps: int, form: Form
) -> tuple[Factors, Factors, list[float]]:
    """(quantized factors, the float ones behind them, relative error after each sweep from 0 on).

    Begins at float factors, balanced, and keeps the quantized ones of the sweep with the least error; so
    what is given back is never worse than rounding what was begun with.
    """
    solved = [factor.clone() for factor in factors]
    held = [quantize(factor) for factor in solved]
    duals = [torch.zeros_like(factor) for factor in solved]
    course = [error_of(tensor, form.compose(held))]
    best = (course[0], [f.clone() for f in held], [f.clone() for f in solved])
    for _ in range(sweeps):
        for which in range(len(held)):
            equations = form.equations(tensor, held, which)
            held[which], solved[which], duals[which] = _one_factor(
                equations, held[which], duals[which], quantize
            )
        course.append(error_of(tensor, form.compose(held)))
        if course[-1] < best[0]:
            best = (course[-1], [f.clone() for f in held], [f.clone() for f in solved])
        if abs(course[-2] - course[-1]) < SLOW:
            break
    return best[1], best[2], course


def _one_factor(
    equations: Equations, held: Tensor, dual: Tensor, quantize: Quantize
) -> tuple[Tensor, Tensor, Tensor]:
    """(H, H̄ − U, U) of the inner iteration: H is the quantized value of the second."""
    target = held
    for _ in range(INNER_STEPS):
        solved = equations.solve(equations.right + equations.rho * (held + dual))
        before, target = held, solved - dual
        held = quantize(target)
        dual = dual + held - solved
        gap = (held - solved).square().sum() / held.square().sum().clamp_min(1e-30)
        moved = (held - before).square().sum() / dual.square().sum().clamp_min(1e-30)
        if gap < _SETTLED and moved < _SETTLED:
            break
    return held, target, dual


def rows_equations(gram: Tensor, right: Tensor) -> Equations:
    """Where H is a matrix, and its rows are solved for with one Gram matrix [R, R]."""
    rho = gram.trace() / len(gram)
    system = torch.linalg.cholesky(gram + rho * torch.eye(len(gram)).to(gram) + ridge(gram))
    return Equations(right, rho, lambda x: torch.cholesky_solve(x.T, system).T)


_RIDGE = 1e-9  # of the trace: columns that have become alike leave a Gram matrix without an inverse


def ridge(gram: Tensor) -> Tensor:
    """What is added to a Gram matrix so that it has an inverse."""
    return (_RIDGE * gram.trace() + 1e-20) * torch.eye(len(gram)).to(gram)
