"""Cosines between the weights of two networks, layer by layer and all by all, and a test of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engine.analysis.similarity.chain import Floats


def cosine(a: Floats, b: Floats) -> float | None:
    """⟨a, b⟩ / (|a| |b|) of two arrays of one shape, in [-1, 1]; None where one of them is all zero."""
    lengths = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / lengths if lengths > 0 else None


def matrix(ours: Mapping[str, Floats], theirs: Mapping[str, Floats]) -> list[list[float | None]]:
    """[our layers][their layers]: the cosine where the shapes agree, else None."""
    return [
        [cosine(a, b) if a.shape == b.shape else None for b in theirs.values()]
        for a in ours.values()
    ]  # fmt: skip


class Tested(NamedTuple):
    """What a permutation test has found."""

    same: float | None  # mean cosine of a layer and its namesake, where others have its shape
    different: float | None  # mean cosine of layers of one shape and different names
    p: (
        float | None
    )  # share of random pairings with a mean at least as high; None: nothing to permute
    pairings: int  # that were drawn


def permutation_test(
    cosines: Sequence[Sequence[float | None]], shapes: Sequence[object], seed: int, draws: int = 999
) -> Tested:
    """Whether layers are more like their namesakes than like others of their shape.

    `cosines` [L][L] with namesakes on the diagonal, `shapes` [L]. The namesakes are dealt out at random
    among the layers of each shape; p = (1 + pairings with at least the mean of the true one) / (1 + draws)
    (Phipson and Smyth 2010), which can be no lower than what the number of pairings allows. A stand-in for
    the discriminator that the paper trains.
    """
    groups = [
        [k for k, other in enumerate(shapes) if other == shape] for shape in dict.fromkeys(shapes)
    ]
    groups = [group for group in groups if len(group) > 1]
    table = np.array([[0.0 if c is None else c for c in row] for row in cosines])
    if not groups:
        return Tested(None, None, None, 0)
    members = np.array([k for group in groups for k in group])
    same = float(table[members, members].mean())
    apart = [table[a, b] for group in groups for a in group for b in group if a != b]
    rng = np.random.default_rng(seed)
    reached = 0
    for _ in range(draws):
        dealt = np.concatenate([rng.permutation(group) for group in groups])
        reached += float(table[members, dealt].mean()) >= same - 1e-12
    return Tested(same, float(np.mean(apart)), (1 + reached) / (1 + draws), draws)
