"""A kernel's tensor as a core between two factors: Tucker's form over the channels, for `admm`.

T [O, I, k·k] ≈ Σ_pq A[:, p] ∘ B[:, q] ∘ G[p, q, :]. As layers that is a 1x1 convolution from I to Q
channels, one of k x k from Q to P, and a 1x1 convolution to O. The paper factorizes in the canonical form;
this one's equations for ADMM are our own. Factors stand in the order A, B, G.
"""

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
    rows_equations,
)

_EVENINGS = 20  # turns from A's columns to B's until all that belong together are equally long


def compose(factors: Sequence[Tensor]) -> Tensor:
    """The tensor [O, I, t] that A [O, P], B [I, Q] and the core [P, Q, t] stand for."""
    a, b, core = factors
    inner = torch.tensordot(b, core, dims=([1], [1]))  # [I, P, t]
    out: Tensor = torch.tensordot(a, inner, dims=([1], [1]))
    return out


def equations(tensor: Tensor, factors: Sequence[Tensor], which: int) -> Equations:
    """The least squares for A, B or the core, the other two fixed."""
    a, b, core = factors
    if which == 2:
        return _core_equations(tensor, a, b)
    if which == 0:
        design = torch.tensordot(b, core, dims=([1], [1])).movedim(1, 0).flatten(1)  # [P, I·t]
    else:
        design = torch.tensordot(a, core, dims=([1], [0])).movedim(1, 0).flatten(1)  # [Q, O·t]
    return rows_equations(design @ design.T, tensor.movedim(which, 0).flatten(1) @ design.T)


def _core_equations(tensor: Tensor, a: Tensor, b: Tensor) -> Equations:
    """The Gram matrix is (AᵀA) ⊗ (BᵀB): solved in the eigenvectors of both, never written out."""
    (values_a, turn_a), (values_b, turn_b) = (torch.linalg.eigh(f.T @ f) for f in (a, b))
    spectrum = values_a[:, None].clamp_min(0) * values_b.clamp_min(0)
    rho = spectrum.mean()
    below = (spectrum + rho).clamp_min(1e-20)[:, :, None]

    def solve(x: Tensor) -> Tensor:
        turned = _between(x, turn_a, turn_b) / below
        return _between(turned, turn_a.T, turn_b.T)

    return Equations(_between(tensor, a, b), rho, solve)


def _between(tensor: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """[P, Q, t]: the tensor's first two ways seen through the columns of A and B."""
    return torch.einsum("oit,op,iq->pqt", tensor, a, b)


def tucker_als(tensor: Tensor, ranks: tuple[int, int], *, sweeps: int) -> Factors:
    """Float factors by higher-order orthogonal iteration, then balanced. Deterministic."""
    a, b = (_leading(tensor.movedim(k, 0).flatten(1), ranks[k]) for k in (0, 1))
    before = torch.inf
    for _ in range(sweeps):
        a = _leading(torch.tensordot(tensor, b, dims=([1], [0])).flatten(1), ranks[0])
        b = _leading(torch.tensordot(tensor, a, dims=([0], [0])).flatten(1), ranks[1])
        error = error_of(tensor, compose([a, b, _between(tensor, a, b)]))
        if before - error < SLOW:
            break
        before = error
    return balanced([a, b, _between(tensor, a, b)])


def _leading(matrix: Tensor, rank: int) -> Tensor:
    """The first left singular vectors."""
    vectors: Tensor = torch.linalg.eigh(matrix @ matrix.T)[1]
    return vectors.flip(1)[:, :rank]


def balanced(factors: Sequence[Tensor]) -> Factors:
    """The same tensor with each column as long as the core's slice that it goes with.

    So that one step serves a factor: without it every column is of length 1, and the core's weak slices
    would be rounded to 0 at few bits.
    """
    a, b, core = factors
    for _ in range(_EVENINGS):
        for way, factor in ((0, a), (1, b)):
            slices = core.movedim(way, 0).flatten(1).norm(dim=1)
            moved = (slices / factor.norm(dim=0).clamp_min(1e-30)).clamp_min(1e-30).sqrt()
            core = (core.movedim(way, 0) / moved[:, None, None]).movedim(0, way)
            if way == 0:
                a = a * moved
            else:
                b = b * moved
    return [a, b, core]


def shapes_within(shape: Shape, bits: int, budget: float) -> tuple[Shape, ...]:
    """[O, P], [I, Q], [P, Q, t] with the largest P and Q, as O to I, whose codes cost at most so many bits.

    () if the budget holds none.
    """
    outputs, inputs, taps = shape
    for p in range(outputs, 0, -1):
        q = max(1, round(p * inputs / outputs))
        if bits * (outputs * p + inputs * q + p * q * taps) <= budget:
            return (outputs, p), (inputs, q), (p, q, taps)
    return ()


def _start(tensor: Tensor, shapes: Sequence[Shape], sweeps: int) -> Factors:
    return tucker_als(tensor, (shapes[0][1], shapes[1][1]), sweeps=sweeps)


TUCKER = Form(compose, equations, shapes_within, _start, ("outputs", "inputs", "core"), ranks=2)
