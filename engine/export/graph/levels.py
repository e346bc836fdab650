"""Input grids as a tracer sees them: one operator of our own for even levels, plain ones for others.

torch's own `fake_quantize_per_tensor_affine` has no kernel for the tensors without values that
`torch.export` traces with.
"""

from typing import cast

import torch
from torch import Tensor, nn


@torch.library.custom_op("quantoscope::even_levels", mutates_args=())
def even_levels(x: Tensor, scale: float, low: int, high: int) -> Tensor:
    """X rounded to scale · [low … high], halves to even."""
    return torch.fake_quantize_per_tensor_affine(x, scale, 0, low, high)


@even_levels.register_fake
def _(x: Tensor, scale: float, low: int, high: int) -> Tensor:
    return torch.empty_like(x)


class EvenLevels(nn.Module):
    """Rounds to scale · [low … high], constants: what an even input grid does once it is settled."""

    def __init__(self, scale: float, low: int, high: int) -> None:
        super().__init__()
        self.scale, self.low, self.high = scale, low, high

    def forward(self, x: Tensor) -> Tensor:
        levelled: Tensor = even_levels(x, self.scale, self.low, self.high)
        return levelled


class ListedLevels(nn.Module):
    """Rounds to the nearest of the levels [L], which rise; a tie goes up."""

    def __init__(self, levels: Tensor) -> None:
        super().__init__()
        self.register_buffer("levels", levels)
        self.register_buffer("middles", (levels[1:] + levels[:-1]) / 2)

    def forward(self, x: Tensor) -> Tensor:
        middles, levels = cast(Tensor, self.middles), cast(Tensor, self.levels)
        return levels[torch.bucketize(x, middles, right=True)]
