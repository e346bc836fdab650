"""Nested codes: one code of B bits for each weight, whose first b bits are its code at b bits.

The grid is a mid-rise one: u_B = clip(floor(w / s) + 2^(B−1), 0, 2^B − 1), and at b bits
u_b = u_B >> (B − b) stands for a_b · s · 2^(B−b) · (u_b + ½ − 2^(b−1)). On this grid, cutting bits off is
the same as quantizing directly with the same clip, bit for bit. On a grid of rounded codes it is not:
there, a shift is off by up to half a step, to one side.

What nesting costs is that all precisions share one clip. It is chosen for the least sum, over precisions,
of the squared error relative to the best that a clip for that precision alone could have.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.quantization.grids.level_sets import WeightCodes

STORED_BITS = 8
CLIP_RATIOS = tuple(
    k / 40 for k in range(40, 3, -1)
)  # of the largest weight; 1 first, which ties keep


def floor_codes(flat: Tensor, clip: Tensor, bits: int) -> Tensor:
    """The mid-rise codes of weights [channels, n] between −clip and clip [channels, 1], as whole floats."""
    step = 2 * clip / 2**bits
    codes: Tensor = torch.floor(flat / step) + 2 ** (bits - 1)
    return codes.clamp(0, 2**bits - 1)


def prefix(codes: Tensor, bits: int, stored_bits: int = STORED_BITS) -> Tensor:
    """The first `bits` bits of codes of `stored_bits`, uint8."""
    return codes.to(torch.uint8) >> (stored_bits - bits)


def middles(bits: int) -> Tensor:
    """[2^bits] values of the codes for the clip 1, rising: the middles of their cells."""
    values: Tensor = (torch.arange(2**bits) + 0.5) / 2 ** (bits - 1) - 1
    return values


def nested_factor(flat: Tensor, values: Tensor) -> Tensor:
    """The factor of each channel [channels, 1] by which the values are nearest to the weights."""
    size = values.square().sum(1, keepdim=True).clamp_min(1e-24)
    return (flat * values).sum(1, keepdim=True) / size


def nested_error(flat: Tensor, clip: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """(Σ (w − ŵ)², a): of each channel [channels, 1], with the factor a of least squares for its values."""
    values = middles(bits).to(flat)[floor_codes(flat, clip, bits).long()] * clip
    factor = nested_factor(flat, values)
    return (flat - factor * values).square().sum(1, keepdim=True), factor


def shared_clip(flat: Tensor, precisions: Sequence[int]) -> Tensor:
    """The clip of each channel [channels, 1] for which all precisions together lose least.

    Each precision counts by its error relative to that of its own best clip, so that 8 bits, whose errors
    are thousands of times smaller, have as much to say as 2.
    """
    largest = flat.abs().amax(1, keepdim=True).clamp_min(1e-12)
    clips = [ratio * largest for ratio in CLIP_RATIOS]
    total = torch.zeros(len(clips), len(flat), 1, dtype=flat.dtype, device=flat.device)
    for bits in precisions:
        errors = torch.stack([nested_error(flat, clip, bits)[0] for clip in clips])
        total += errors / errors.amin(0).clamp_min(1e-24)
    best = total.argmin(0)  # [channels, 1]
    return torch.stack(clips).gather(0, best[None])[0]


class NestedWeightCodes(WeightCodes):
    """Codes of STORED_BITS bits, of which the first `bits` are read; a clip and factors for each channel.

    While it is `learning`, the float weight is rounded anew at every call, at the `bits` of that moment,
    within the clip that was fitted; the gradient passes where the weight lies within it.
    """

    nested: Tensor  # uint8, the whole codes, in the shape of the weight
    clip: Tensor  # [channels, 1]
    factors: Tensor  # [channels, STORED_BITS]: a_b of b = 1 .. STORED_BITS

    def __init__(self, bits: int, *, precisions: Sequence[int]) -> None:
        super().__init__()
        self.bits, self.precisions = bits, tuple(precisions)
        self.learning = False

    def fit(self, weight: Tensor) -> None:
        self.encode(weight, shared_clip(weight.detach().flatten(1), self.precisions))

    def encode(self, weight: Tensor, clip: Tensor) -> None:
        """Hold the codes of these weights for a clip [channels, 1], with the factors that suit them."""
        flat = weight.detach().flatten(1)
        self.register_buffer("clip", clip)
        factors = [nested_error(flat, clip, bits)[1] for bits in range(1, STORED_BITS + 1)]
        self.register_buffer("factors", torch.cat(factors, 1))
        codes = floor_codes(flat, clip, STORED_BITS).to(torch.uint8).view(weight.shape)
        self.register_buffer("nested", codes)
        self.read(self.bits)

    def read(self, bits: int) -> None:
        """From now on, take the first so many bits of each code."""
        self.bits = bits
        self.take(prefix(self.nested, bits))

    def forward(self, weight: Tensor) -> Tensor:
        if not self.learning:
            return super().forward(weight)
        flat = weight.flatten(1)
        fixed = flat.detach()
        passes = torch.where(fixed.abs() <= self.clip, flat, fixed)
        cells = middles(self.bits).to(fixed)[floor_codes(fixed, self.clip, self.bits).long()]
        values = nested_factor(fixed, cells * self.clip) * cells * self.clip
        return (passes + (values - passes).detach()).view(weight.shape)

    def levels(self) -> Tensor:
        factor = self.factors[:, self.bits - 1 : self.bits]
        return middles(self.bits).to(self.clip) * (factor * self.clip)

    def nearest(self, weight: Tensor) -> Tensor:
        """The codes of the cells that the weights lie in: the middles of other precisions are not nearer."""
        flat = floor_codes(weight.detach().flatten(1), self.clip, self.bits)
        return flat.view(weight.shape).to(weight.dtype)

    def side_bits(self) -> int:
        """A float32 clip and the factor of the precision that is read, for each channel."""
        return self.clip.numel() * (32 + 32)

    def stored(self) -> dict[str, Tensor]:
        return {
            "codes": self.codes,
            "nested": self.nested,
            "clip": self.clip,
            "factors": self.factors,
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        for name in ("codes", "nested", "clip", "factors"):
            self.register_buffer(name, state[name])
