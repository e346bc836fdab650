"""A tensor as a sum of products of factors: the canonical polyadic form, for `admm`.

Cherniuk et al., "Quantization Aware Factorization for Deep Neural Network Compression", arXiv:2308.04595.
T [n1, n2, n3] ≈ Σ_r A[:, r] ∘ B[:, r] ∘ C[:, r]; the least squares for one factor have

    F = MTTKRP(T),  G = Hadamard product of the others' Gram matrices

A matrix is a tensor of two ways, and goes the same road.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.quantization.grids.weights.factors.admm import (
    SLOW,
    Equations,
    Factors,
    Form,
    Shape,
    error_of,
    ridge,
    rows_equations,
)

_START_SEED = 0  # of the random factors it begins with: the same weight, the same factors


def compose(factors: Sequence[Tensor]) -> Tensor:
    """The tensor [n1, n2, ...] that the factors [n, R] stand for."""
    ways = "abcdef"[: len(factors)]
    out: Tensor = torch.einsum(",".join(f"{way}r" for way in ways) + f"->{ways}", *factors)
    return out


def relative_error(tensor: Tensor, factors: Sequence[Tensor]) -> float:
    """‖T − T̂‖ / ‖T‖; 0 for a tensor of zeros that is met."""
    return error_of(tensor, compose(factors))


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
            factors[way] = torch.linalg.solve(gram + ridge(gram), right.T).T
        factors = balanced(factors)
        error = relative_error(tensor, factors)
        if before - error < SLOW:
            break
        before = error
    return factors


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


def equations(tensor: Tensor, factors: Sequence[Tensor], which: int) -> Equations:
    """The least squares for the factor of that way, the others fixed."""
    return rows_equations(*_normal_equations(tensor, factors, which))


def shapes_within(shape: Shape, bits: int, budget: float) -> tuple[Shape, ...]:
    """[n, R] of each way, with the largest R whose codes cost at most so many bits; () if none does."""
    rank = max(0, int(budget // (bits * sum(shape))))
    return tuple((n, rank) for n in shape) if rank else ()


def _start(tensor: Tensor, shapes: Sequence[Shape], sweeps: int) -> Factors:
    rng = torch.Generator().manual_seed(_START_SEED)
    return cp_als(tensor, shapes[0][1], sweeps=sweeps, rng=rng)


CP = Form(compose, equations, shapes_within, _start, ("outputs", "inputs", "taps"), ranks=1)
