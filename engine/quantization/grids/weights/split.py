"""A weight as the sum of two parts, each on an even grid of its own: a coarse one, and what it leaves.

CFWS (Yang et al., "Post-Training Quantization for Re-parameterization via Coarse & Fine Weight
Splitting", arXiv:2312.10588): where the branches of a RepVGG block are fused,
the centre of a kernel spreads much wider than the taps around it, and a grid for both has few levels for
the outer ones. So the centre is rounded at a step of its own, ĉ = g · floor(c / g + ½), and stored beside
W − ĉ, whose largest value is then half a step of the centre or an outer tap:

    Ŵ = pad(ĉ) + Q(W − pad(ĉ)),    g = max|c| / q,    q = 2^(b−1) − 1

Both grids are symmetric and have 2^b − 1 levels. The first part is a convolution of 1x1 beside the other.
"""

import torch
from torch import Tensor

from engine.quantization.grids.level_sets import CodedPart, StoredWeight, level_values

SPLITS = ("centre", "all", "none")


def has_centre(weight: Tensor) -> bool:
    """Whether it is a kernel [out, in, height, width] with a middle and something around it."""
    sides = weight.shape[2:]
    return weight.dim() == 4 and all(side % 2 for side in sides) and max(sides) > 1


def symmetric_scale(values: Tensor, bits: int, *, by_channel: bool) -> Tensor:
    """[channels, 1], the step with which the largest of the values [channels, n] is the last level."""
    largest = values.abs().amax(1, keepdim=True)
    largest = largest if by_channel else largest.amax().expand_as(largest)
    scale: Tensor = (largest / last_code(bits)).clamp_min(1e-12)
    return scale.clone()


def symmetric_codes(values: Tensor, scale: Tensor, bits: int) -> Tensor:
    """uint8 codes [channels, n], halves up as in the paper; code `last_code` stands for 0."""
    last = last_code(bits)
    return (torch.floor(values / scale + 0.5).clamp(-last, last) + last).to(torch.uint8)


def symmetric_levels(scale: Tensor, bits: int) -> Tensor:
    """[channels, 2^bits − 1] values of the codes, rising."""
    last = last_code(bits)
    return scale * torch.arange(-last, last + 1, device=scale.device)


def last_code(bits: int) -> int:
    """q: how many levels there are on each side of 0."""
    return int(2 ** (bits - 1)) - 1


class SplitWeightCodes(StoredWeight):
    """The coarse part of a kernel's centre and the fine part of the whole; one part where it has no centre.

    `split`: "centre"; "all" rounds every weight coarsely first (a residual code of twice as many bits);
    "none" is the plain grid. `by_channel`: a step for each output channel, else one for the layer.
    """

    fine: Tensor  # uint8, in the shape of the weight
    fine_scale: Tensor  # [channels, 1]
    coarse: Tensor  # uint8, [channels, n]; empty where there is no coarse part
    coarse_scale: Tensor  # [channels, 1]

    def __init__(self, bits: int, *, split: str = "centre", by_channel: bool = True) -> None:
        super().__init__()
        self.bits, self.split, self.by_channel = bits, split, by_channel

    def fit(self, weight: Tensor) -> None:
        weight = weight.detach()
        target = self._coarsened(weight)
        self.register_buffer("coarse_scale", self._scale(target))
        self.register_buffer("coarse", symmetric_codes(target, self.coarse_scale, self.bits))
        rest = (weight - self._coarse_values(weight.shape)).flatten(1)
        self.register_buffer("fine_scale", self._scale(rest))
        codes = symmetric_codes(rest, self.fine_scale, self.bits)
        self.register_buffer("fine", codes.view(weight.shape))

    def _scale(self, values: Tensor) -> Tensor:
        if not values.numel():
            return values.new_zeros(0, 1)
        return symmetric_scale(values, self.bits, by_channel=self.by_channel)

    def _coarsened(self, weight: Tensor) -> Tensor:
        """[channels, n]: what is rounded coarsely; no channels where nothing is."""
        if self.split == "all":
            return weight.flatten(1)
        if self.split == "centre" and has_centre(weight):
            height, width = weight.shape[2:]
            return weight[:, :, height // 2, width // 2]
        return weight.new_zeros(0, 0)

    def _coarse_values(self, shape: torch.Size) -> Tensor:
        """The coarse part in the shape of the weight: 0 but where it lies."""
        if not self.coarse.numel():
            return self.coarse_scale.new_zeros(shape)
        values = level_values(self.coarse, symmetric_levels(self.coarse_scale, self.bits))
        if self.split == "all":
            return values.view(shape)
        whole = values.new_zeros(shape)
        whole[:, :, shape[2] // 2, shape[3] // 2] = values
        return whole

    def forward(self, weight: Tensor) -> Tensor:
        shape = self.fine.shape
        levels = symmetric_levels(self.fine_scale, self.bits)
        fine = level_values(self.fine.flatten(1), levels).view(shape)
        return fine + self._coarse_values(shape)

    def parts(self, weight: Tensor) -> tuple[CodedPart, ...]:
        weight = weight.detach()
        rest = (weight - self._coarse_values(weight.shape)).flatten(1)
        fine = CodedPart(
            name="fine", values=rest, codes=self.fine.flatten(1),
            levels=symmetric_levels(self.fine_scale, self.bits),
        )  # fmt: skip
        if not self.coarse.numel():
            return (fine,)
        coarse = CodedPart(
            name="coarse", values=self._coarsened(weight), codes=self.coarse,
            levels=symmetric_levels(self.coarse_scale, self.bits),
        )  # fmt: skip
        return (fine, coarse)

    def count(self) -> int:
        return self.fine.numel() + self.coarse.numel()

    def side_bits(self) -> int:
        """A float32 step for each channel of each part, or one for the part; no zero point."""
        scales = (self.fine_scale, self.coarse_scale)
        return 32 * sum(len(scale) if self.by_channel else min(1, len(scale)) for scale in scales)

    def flipped(self, weight: Tensor) -> float:
        parts = self.parts(weight)
        away = sum(
            int((part.codes != symmetric_codes(part.values, scale, self.bits)).sum())
            for part, scale in zip(parts, (self.fine_scale, self.coarse_scale), strict=False)
        )
        return away / self.count()

    def stored(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in _STORED}

    def restore(self, state: dict[str, Tensor]) -> None:
        for name in _STORED:
            self.register_buffer(name, state[name])


_STORED = ("fine", "fine_scale", "coarse", "coarse_scale")
