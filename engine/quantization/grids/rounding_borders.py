"""Activations whose border between rounding down and up is learned: a function of the value, per channel.

Inspired by Li et al., "Efficient Activation Quantization via Adaptive Rounding Border for Post-Training
Quantization" (AQuant), arXiv:2208.11945. Its idea is the border that depends on the value; the quadratic
below, one for each channel, and the way it learns are a reading of it, not its code.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.quantization.grids.learned_step import drop_mask
from engine.quantization.grids.quantizers import ActivationQuantizer

_SOFTNESS = 0.1  # width, in steps, over which a fraction near its border has a say in moving it


class BorderQuantizer(ActivationQuantizer):
    """Rounds x / s up where its fraction reaches sigmoid(b₀ + b₁u + b₂u²), u = x as a share of the range.

    All b at 0 is the border 1/2, nearest rounding. No integer kernel rounds like this.
    """

    def __init__(self, bits: int, **rule: Any) -> None:
        super().__init__(bits, **rule)
        self.border = nn.Parameter(torch.zeros(3, 0), requires_grad=False)

    def fit(self, x: Tensor) -> None:
        super().fit(x)
        self._level(x)

    def fit_all(self, inputs: Sequence[Tensor]) -> None:
        super().fit_all(inputs)
        self._level(inputs[0])  # every run's input has the channels of the one layer

    def _level(self, x: Tensor) -> None:
        channels = x.shape[self.channel_axis]
        self.border = nn.Parameter(torch.zeros(3, channels, device=x.device), requires_grad=False)

    def learn(self, keep_float: float, rng: torch.Generator) -> None:
        super().learn(keep_float, rng)
        self.border.requires_grad_()

    def settle(self) -> None:
        super().settle()
        self.border.requires_grad = False

    def also_learns(self) -> list[nn.Parameter]:
        return [self.border]

    def side_bits(self) -> int:
        """A float32 step size, and three float32 of the border for each channel."""
        return super().side_bits() + 32 * self.border.numel()

    def borders(self, ratio: Tensor) -> Tensor:
        """The border in (0, 1) for each element of x / s, whose channels lie along `channel_axis`."""
        share = (ratio / max(self.high, 1)).clamp(-1, 1)
        behind = ratio.dim() - 1 - self.channel_axis % ratio.dim()
        b0, b1, b2 = (b.view(-1, *[1] * behind) for b in self.border)
        return torch.sigmoid(b0 + share * (b1 + share * b2))

    def forward(self, x: Tensor) -> Tensor:
        if not self.fitted:
            self.fit(x)
        if self.keep_float >= 1:
            return x
        ratio = x / self.scale
        with torch.no_grad():
            floor = ratio.floor()
            fraction = ratio - floor
        border = self.borders(ratio.detach())
        with torch.no_grad():
            codes = floor + (fraction >= border)
        if not self.scale.requires_grad:
            return codes.clamp(self.low, self.high) * self.scale
        # Whole codes forward; backward, straight through to x and s, and softly to the border.
        soft = torch.sigmoid((fraction - border) / _SOFTNESS)
        codes = ratio + (codes - ratio).detach() + (soft - soft.detach())
        values = codes.clamp(self.low, self.high) * self.scale
        if not self.keep_float or self.rng is None:
            return values
        return torch.lerp(x, values, drop_mask(x, self.keep_float, self.rng))

    def stored(self) -> dict[str, Tensor]:
        axis = torch.tensor(self.channel_axis)
        return super().stored() | {"border": self.border.detach(), "channel_axis": axis}

    def restore(self, state: dict[str, Tensor]) -> None:
        super().restore(state)
        self.border = nn.Parameter(state["border"], requires_grad=False)
        self.channel_axis = int(state.get("channel_axis", 1))  # older runs: 1 for every layer
