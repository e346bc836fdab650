"""Even levels without a 0, ±a, ±3a, ...: 2^bits of them, and a factor for each channel; at 1 bit ±a."""

import torch
from torch import Tensor

from engine.quantization.grids.level_sets import WeightCodes, nearest_codes
from engine.quantization.grids.weights.nested import CLIP_RATIOS, middles

SCALE_BITS = 32


class MidRiseWeightCodes(WeightCodes):
    """Codes 0 to 2^bits − 1, which stand for a · (2 code + 1 − 2^bits); `scale` [channels, 1] is a.

    A code of 1 bit is a sign, and a weight of 0 has the upper one.
    """

    scale: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def fit(self, weight: Tensor) -> None:
        """The nearest levels of the scale with the least squared error; at 1 bit a is the mean of |w|."""
        flat = weight.detach().flatten(1)
        self.register_buffer("scale", best_scale(flat, self.bits))
        self.take(self.nearest(weight.detach()))

    def levels(self) -> Tensor:
        return unit_levels(self.bits).to(self.scale) * self.scale

    def rescale(self, scale: Tensor) -> None:
        """Other scales [channels, 1] for the same codes."""
        self.register_buffer("scale", scale.to(self.scale))

    def side_bits(self) -> int:
        """A float32 scale for each channel; there is no zero point."""
        return SCALE_BITS * self.scale.numel()

    def stored(self) -> dict[str, Tensor]:
        return {"codes": self.codes, "scale": self.scale}

    def restore(self, state: dict[str, Tensor]) -> None:
        for name in ("codes", "scale"):
            self.register_buffer(name, state[name])


def unit_levels(bits: int) -> Tensor:
    """[2^bits] odd whole numbers, rising: −1, 1 at 1 bit, −3, −1, 1, 3 at 2."""
    levels: Tensor = middles(bits) * 2**bits
    return levels


def best_scale(flat: Tensor, bits: int) -> Tensor:
    """[channels, 1] of weights [channels, n]: of shrinking clips, with a scale by least squares, the best."""
    unit = unit_levels(bits).to(flat)
    largest = flat.abs().amax(1, keepdim=True).clamp_min(1e-12)
    best, least = torch.zeros_like(largest), torch.full_like(largest, torch.inf)
    for ratio in CLIP_RATIOS:
        levels = unit * (ratio * largest / unit[-1])
        found = unit[nearest_codes(flat, levels)]
        scale = (flat * found).sum(1, keepdim=True) / found.square().sum(1, keepdim=True)
        error = (flat - scale * found).square().sum(1, keepdim=True)
        best = torch.where(error < least, scale, best)
        least = torch.minimum(error, least)
    return best.clamp_min(1e-12)
