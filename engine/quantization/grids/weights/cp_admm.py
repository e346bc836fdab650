"""A tensor as a sum of products of factors that lie on a grid: ADMM for the canonical polyadic form.

Cherniuk et al., "Quantization Aware Factorization for Deep Neural Network Compression", arXiv:2308.04595.
T [n1, n2, n3] ≈ Σ_r A[:, r] ∘ B[:, r] ∘ C[:, r]; each factor in turn is solved for with the others fixed,
under the condition that its quantized values are those that count:

    F = MTTKRP(T),  G = Hadamard product of the others' Gram matrices,  ρ = trace(G) / R
    H̄ ← (F + ρ (H + U)) (G + ρ I)^−1,   H ← Quant(H̄ − U),   U ← U + H − H̄

A matrix is a tensor of two ways, and goes the same road.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Quantize = Callable[[Tensor], Tensor]
Factors = list[Tensor]  # of each way [n, R]

INNER_STEPS = 20
_SETTLED, _SLOW = 1e-8, 1e-5
_RIDGE = 1e-9  # of the trace: columns that have become alike leave a Gram matrix without an inverse


def compose(factors: Sequence[Tensor]) -> Tensor:
    """The tensor [n1, n2, ...] that the factors [n, R] stand for."""
    ways = "abcdef"[: len(factors)]
    out: Tensor = torch.einsum(",".join(f"{way}r" for way in ways) + f"->{ways}", *factors)
    return out


def relative_error(tensor: Tensor, factors: Sequence[Tensor]) -> float:
    """‖T − T̂‖ / ‖T‖; 0 for a tensor of zeros that is met."""
    norm = float(tensor.norm())
    return float((tensor - compose(factors)).norm()) / (norm or 1.0)


def balanced(factors: Sequence[Tensor]) -> Factors:
    """The same tensor with columns of equal length in all factors, so that one step serves a factor.

    Without it a column may be long in one factor and short in another, its codes there all 0; ADMM would
    look the better for it.
    """
    lengths = [factor.norm(dim=0) for factor in factors]
    shared = torch.stack(lengths).clamp_min(1e-30).log().mean(0).exp()
    return [
        f * (shared / length.clamp_min(1e-30)) for f, length in zip(factors, lengths, strict=True)
    ]


def cp_als(tensor: Tensor, rank: int, *, sweeps: int, rng: torch.Generator) -> Factors:
    """Float factors by alternating least squares from a random start, balanced. Deterministic in `rng`."""
    size = float(tensor.square().mean().sqrt()) ** (1 / tensor.dim())
    factors = [
        size * torch.randn(n, rank, generator=rng, dtype=torch.double).to(tensor)
        for n in tensor.shape
    ]
    before = math.inf
    for _ in range(sweeps):
        for way in range(tensor.dim()):
            gram, right = _normal_equations(tensor, factors, way)
            factors[way] = torch.linalg.solve(gram + _ridge(gram), right.T).T
        factors = balanced(factors)
        error = relative_error(tensor, factors)
        if before - error < _SLOW:
            break
        before = error
    return factors


def admm(
    tensor: Tensor, factors: Sequence[Tensor], quantize: Quantize, *, sweeps: int
) -> tuple[Factors, Factors, list[float]]:
    """(quantized factors, the float ones behind them, relative error after each sweep from 0 on).

    Begins at float factors, balanced, and keeps the quantized ones of the sweep with the least error; so
    what is given back is never worse than rounding what was begun with.
    """
    solved = [factor.clone() for factor in factors]
    held = [quantize(factor) for factor in solved]
    duals = [torch.zeros_like(factor) for factor in solved]
    course = [relative_error(tensor, held)]
    best = (course[0], [f.clone() for f in held], [f.clone() for f in solved])
    for _ in range(sweeps):
        for way in range(tensor.dim()):
            gram, right = _normal_equations(tensor, held, way)
            held[way], solved[way], duals[way] = _one_factor(
                gram, right, held[way], duals[way], quantize
            )
        course.append(relative_error(tensor, held))
        if course[-1] < best[0]:
            best = (course[-1], [f.clone() for f in held], [f.clone() for f in solved])
        if abs(course[-2] - course[-1]) < _SLOW:
            break
    return best[1], best[2], course


def _one_factor(
    gram: Tensor, right: Tensor, held: Tensor, dual: Tensor, quantize: Quantize
) -> tuple[Tensor, Tensor, Tensor]:
    """(H, H̄ − U, U) of the inner iteration: H is the quantized value of the second."""
    rho = gram.trace() / len(gram)
    system = torch.linalg.cholesky(gram + rho * torch.eye(len(gram)).to(gram) + _ridge(gram))
    target = held
    for _ in range(INNER_STEPS):
        solved = torch.cholesky_solve((right + rho * (held + dual)).T, system).T
        before, target = held, solved - dual
        held = quantize(target)
        dual = dual + held - solved
        gap = (held - solved).square().sum() / held.square().sum().clamp_min(1e-30)
        moved = (held - before).square().sum() / dual.square().sum().clamp_min(1e-30)
        if gap < _SETTLED and moved < _SETTLED:
            break
    return held, target, dual


def _normal_equations(tensor: Tensor, factors: Sequence[Tensor], way: int) -> tuple[Tensor, Tensor]:
    """(G [R, R], F [n, R]) of the least squares for the factor of that way."""
    ways = "abcdef"[: len(factors)]
    others = [k for k in range(len(factors)) if k != way]
    gram = torch.ones_like(factors[0].T @ factors[0])
    for k in others:
        gram = gram * (factors[k].T @ factors[k])
    terms = ",".join([ways, *(f"{ways[k]}r" for k in others)])
    right = torch.einsum(f"{terms}->{ways[way]}r", tensor, *(factors[k] for k in others))
    return gram, right


def _ridge(gram: Tensor) -> Tensor:
    return (_RIDGE * gram.trace() + 1e-20) * torch.eye(len(gram)).to(gram)
