"""Vertical layers: one code per weight, of which the first b bits are the weight at b bits.

Inspired by the abstract of "Vertical Layering of Quantized Neural Networks for Heterogeneous Inference",
2022, arXiv:2212.05326, which is all that could be had. On the floor grid (levels in the middle of their
cells) cutting off bits equals quantizing directly to fewer, bit for bit; on a grid that rounds to nearest
it does not, and shifts weights by up to half a step.
"""

import torch
from torch import Tensor

from engine.quantization.grids.level_sets import WeightCodes

FULL_BITS = 8  # of the stored code
CLIPS = tuple(k / 20 for k in range(20, 5, -1))  # of the largest weight, tried from none clipped on


def floor_codes(weight: Tensor, step: Tensor, bits: int) -> Tensor:
    """clip(floor(w / step) + 2^(b − 1)) in [0, 2^b − 1], float; step broadcasts."""
    codes: Tensor = ((weight / step).floor() + 2 ** (bits - 1)).clamp(0, 2**bits - 1)
    return codes


def prefix(codes: Tensor, bits: int) -> Tensor:
    """The first `bits` bits of full codes, uint8."""
    return codes.to(torch.uint8) >> (FULL_BITS - bits)


def middles(bits: int, step: Tensor) -> Tensor:
    """[..., 2^b] middles of the cells of b bits, where `step` [..., 1] is that of the full code."""
    codes = torch.arange(2**bits, device=step.device, dtype=step.dtype)
    values: Tensor = step * 2 ** (FULL_BITS - bits) * (codes + 0.5 - 2 ** (bits - 1))
    return values


def fitted_scale(flat: Tensor, codes: Tensor, step: Tensor, bits: int) -> Tensor:
    """[channels, 1]: the factor of the b-bit values with the smallest squared error; 1 where all are 0."""
    values = middles(bits, step).gather(1, prefix(codes, bits).long())
    return (flat * values).sum(1, keepdim=True) / values.square().sum(1, keepdim=True)


def nested_step(flat: Tensor, widths: tuple[int, ...]) -> Tensor:
    """[channels, 1]: the full step whose errors at all widths together are smallest.

    That is the mean over widths of log MSE_b, so that each counts alike. Where 8 bits are among them hardly
    anything is clipped: one clipped weight multiplies their small error.
    """
    largest = flat.abs().amax(1, keepdim=True).clamp_min(1e-12)
    steps = [clip * largest / 2 ** (FULL_BITS - 1) for clip in CLIPS]
    errors = torch.stack([torch.stack([_error(flat, s, b) for b in widths]) for s in steps])
    chosen = errors.clamp_min(1e-20).log().sum(1).argmin(0)
    return torch.stack(steps).squeeze(2).gather(0, chosen[None]).view(-1, 1)


def _error(flat: Tensor, step: Tensor, bits: int) -> Tensor:
    codes = floor_codes(flat, step, FULL_BITS)
    values = middles(bits, step).gather(1, prefix(codes, bits).long())
    return (flat - fitted_scale(flat, codes, step, bits) * values).square().mean(1)


class NestedQuantizer(WeightCodes):
    """The first `bits` bits of 8-bit codes; one step a channel, and one factor a channel and width."""

    full_codes: Tensor  # uint8
    step: Tensor  # [channels, 1], of the full code
    factors: Tensor  # [channels, 8]: of the values at 1 to 8 bits

    def __init__(self, bits: int, *, widths: tuple[int, ...] = (2, 3, 4)) -> None:
        super().__init__()
        self.bits, self.widths = bits, widths

    def fit(self, weight: Tensor) -> None:
        flat = weight.detach().flatten(1)
        step = nested_step(flat, self.widths)
        codes = floor_codes(flat, step, FULL_BITS)
        factors = [fitted_scale(flat, codes, step, b) for b in range(1, FULL_BITS + 1)]
        self._hold(codes.view(weight.shape).to(torch.uint8), step, torch.cat(factors, 1))

    def _hold(self, codes: Tensor, step: Tensor, factors: Tensor) -> None:
        self.register_buffer("full_codes", codes)
        self.register_buffer("step", step)
        self.register_buffer("factors", factors)
        self.show(self.bits)

    def show(self, bits: int) -> None:
        """Be the quantizer of the first so many bits."""
        self.bits = bits
        self.take(prefix(self.full_codes, bits))

    def levels(self) -> Tensor:
        return self.factors[:, self.bits - 1, None] * middles(self.bits, self.step)

    def nearest(self, weight: Tensor) -> Tensor:
        """The cell that a weight lies in: the middle nearest to it, but for the factor."""
        step = self.step.view(-1, *(1,) * (weight.dim() - 1)) * 2 ** (FULL_BITS - self.bits)
        return floor_codes(weight, step, self.bits)

    def side_bits(self) -> int:
        """A float32 step and one factor for each channel; those of other widths lie with their planes."""
        return 2 * 32 * len(self.step)

    def stored(self) -> dict[str, Tensor]:
        return {"codes": self.codes, "full_codes": self.full_codes, "step": self.step,
                "factors": self.factors}  # fmt: skip

    def restore(self, state: dict[str, Tensor]) -> None:
        self._hold(state["full_codes"], state["step"], state["factors"])
