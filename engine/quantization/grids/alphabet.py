"""Even levels around 0 with one step size for a whole layer: the alphabets that GPFQ's guarantees are of."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine.quantization.grids.quantizers import Makers, WeightQuantizer
from engine.quantization.grids.uniform import Grid

ALPHABETS = ("strict", "paper", "grid")
_MOST_REACH = 127  # whole steps from 0: codes are stored in 8 bits


class AlphabetQuantizer(WeightQuantizer):
    """Even levels δ · {−K … K} for a whole layer, K = 2^(b−1) − 1 (strict) or 2^(b−1) (as released)."""

    def __init__(self, bits: int, *, strict: bool, radius: float) -> None:
        super().__init__(bits)
        self._half, self._radius = 2 ** (bits - 1), radius
        self.reach = self._half - 1 if strict else min(self._half, _MOST_REACH)
        self.highest = 2 * self.reach

    def fit(self, weight: Tensor) -> None:
        largest = weight.detach().flatten(1).abs().amax(1).mean()
        step = (self._radius * largest / self._half).clamp_min(1e-12)
        shape = (len(weight),) + (1,) * (weight.dim() - 1)
        scale = step.expand(shape).clone()
        self.place(Grid(scale, torch.full_like(scale, self.reach), 0, self.highest), weight)

    @property
    def code_bits(self) -> int:
        """As released, 2^b + 1 levels need one bit more than b."""
        return int(self.highest).bit_length()

    def side_bits(self) -> int:
        """One float32 step size for the whole layer; 0 is in the middle."""
        return 32


def with_alphabet(makers: Makers, settings: Any) -> Makers:
    """The makers with weights on the alphabet chosen; as they are for "grid"."""
    if settings.alphabet == "grid":
        return makers
    strict = settings.alphabet == "strict"
    weights = partial(AlphabetQuantizer, strict=strict, radius=settings.radius)
    return replace(makers, weights=weights)


def idle_ranges(settings: Any) -> dict[str, str]:
    """Why the rule for the weights' range has nothing to decide; empty where the alphabet follows it."""
    if settings.alphabet == "grid":
        return {}
    return {
        "weight": f"the alphabet {settings.alphabet!r} ends where its radius says; "
        "quantization.alphabet=grid follows the rule"
    }
