"""Even levels whose step is a table's multiple of the standard deviation, taken anew for every image.

Hong, Kim, Baik, Oh, Lee: "DAQ: Channel-Wise Distribution-Aware Quantization for Deep Image Super-Resolution
Networks", WACV 2022, arXiv:2012.11230: a channel x of an image has the levels m + τ_b σ (k + ½) with
k = −2^(b−1) … 2^(b−1) − 1, where m and σ are its own mean and deviation, and τ_b is the best step for a
Gaussian of deviation 1.

Departures: levels are always clipped to the 2^b that b bits have (the release leaves that out behind ReLU),
levels below 0 become 0 where nothing is below 0, and a channel of one value stays what it is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.quantization.grids.level_sets import WeightCodes
from engine.quantization.grids.quantizers import FIT_IMAGES, ActivationQuantizer

STEPS = (1.596, 0.996, 0.586, 0.335, 0.188, 0.104, 0.057, 0.031)  # of 1 to 8 bits
MOST_BITS = len(STEPS)
_SHIFTS = 385  # tried for the bits of channels: from 8 bits more to 16 less, in sixteenths


def step_of(bits: int, *, as_released: bool = False) -> float:
    """τ of so many bits; `as_released`: that of one bit less, which the release reads from its table."""
    return STEPS[max(bits - 1 - as_released, 0)]


def cell_middles(values: Tensor, levels: Tensor | int) -> Tensor:
    """The middles k + ½ of the cells of width 1 that values lie in, clipped to so many levels around 0."""
    middles, half = values.floor() + 0.5, levels / 2
    if isinstance(half, Tensor):
        return torch.minimum(torch.maximum(middles, 0.5 - half), half - 0.5)
    return middles.clamp(0.5 - half, half - 0.5)


def channel_bits(sigma: Tensor, bits: int) -> Tensor:
    """Bits [n, c, 1, 1] for the channels of each image, by their deviations, at most `bits` on average.

    b + log2(σ_c / mean σ), shifted until the budget is met, rounded, within 1 and 8. (The paper chooses by
    relative sensitivity; its release does not have this part, so the rule is ours.)
    """
    share = sigma / sigma.mean(1, keepdim=True).clamp_min(1e-12)
    wanted = bits + share.clamp_min(1e-30).log2()
    shifts = torch.linspace(-8, 16, _SHIFTS, device=sigma.device)
    tried = (wanted[..., None] - shifts).round().clamp(1, MOST_BITS)
    over = (tried.mean(1, keepdim=True) > bits).sum(-1, keepdim=True)  # rises with no shift
    return torch.take_along_dim(tried, over, -1)[..., 0]


class GaussianWeightCodes(WeightCodes):
    """Levels τ_b σ (k + ½) around 0, with σ the root mean square of each channel, or of the whole layer."""

    sigma: Tensor  # [channels, 1]

    def __init__(self, bits: int, *, by_channel: bool = True, as_released: bool = False) -> None:
        super().__init__()
        self.bits, self.by_channel = bits, by_channel
        self.step = step_of(bits, as_released=as_released)

    def fit(self, weight: Tensor) -> None:
        squares = weight.detach().flatten(1).square()
        mean = (
            squares.mean(1, keepdim=True)
            if self.by_channel
            else squares.mean().expand(len(squares), 1)
        )
        self.register_buffer("sigma", mean.sqrt().clone())
        self.take(self.nearest(weight.detach()))

    def levels(self) -> Tensor:
        half = 2 ** (self.bits - 1)
        middles = torch.arange(-half, half, device=self.sigma.device) + 0.5
        return self.step * self.sigma * middles

    def side_bits(self) -> int:
        """A float32 deviation for each channel that has its own."""
        return 32 * (len(self.sigma) if self.by_channel else 1)

    def stored(self) -> dict[str, Tensor]:
        return {"codes": self.codes, "sigma": self.sigma}

    def restore(self, state: dict[str, Tensor]) -> None:
        for name in ("codes", "sigma"):
            self.register_buffer(name, state[name])


class GaussianInput(ActivationQuantizer):
    """Levels from the mean and deviation of each image's channel, or of each image, when it is computed.

    Nothing is calibrated but whether there is anything below 0: behind a ReLU the moments are those of the
    values above 0, as in the release.
    """

    above_zero: bool  # once it is fitted: whether nothing is below 0

    def __init__(
        self,
        bits: int,
        *,
        by_channel: bool = True,
        sigma_bits: int = 0,
        mixed: bool = False,
        as_released: bool = False,
    ) -> None:
        super().__init__(bits)
        self.by_channel, self.sigma_bits, self.mixed = by_channel, sigma_bits, mixed
        self.as_released = as_released
        self.seen: Tensor | None = None  # the first image that was fitted to, to be shown

    def fit(self, x: Tensor) -> None:
        self.fit_all([x])

    def fit_all(self, inputs: Sequence[Tensor]) -> None:
        self.above_zero = all(bool(x.min() >= 0) for x in inputs)
        self.fitted = True
        self.seen = inputs[0][:1].detach().clone()
        grids = [self.grid(x[:FIT_IMAGES]) for x in inputs]
        lowest = min(float((m - s * n / 2).min()) for m, s, n in grids)
        highest = max(float((m + s * n / 2).max()) for m, s, n in grids)
        ends = torch.tensor([max(lowest, 0.0) if self.above_zero else lowest, highest])
        self.register_buffer("ends", ends.to(inputs[0].device))

    def levels(self) -> Tensor:
        """[1, levels] between the ends of all grids of the images fitted to: no channel has just these."""
        low, high = self.get_buffer("ends").tolist()
        return torch.linspace(low, high, 2**self.bits, device=self.scale.device).view(1, -1)

    def side_bits(self) -> int:
        """One: whether there is anything below 0."""
        return 1

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and the deviation of each grid, of dimensions that broadcast against x."""
        dims = self._dims(x)
        if not self.above_zero:
            mean = x.mean(dims, keepdim=True)
            return mean, (x - mean).square().mean(dims, keepdim=True).sqrt()
        above = (x > 0).to(x.dtype)
        count = above.sum(dims, keepdim=True) + 1
        mean = (above * x).sum(dims, keepdim=True) / count
        return mean, ((above * (x - mean).square()).sum(dims, keepdim=True) / count).sqrt()

    def _dims(self, x: Tensor) -> list[int]:
        """What a grid is for: all but image and channel, where a channel has several values."""
        channel = self.channel_axis % x.dim()
        alone = self.by_channel and x.dim() > 2
        return [dim for dim in range(1, x.dim()) if not alone or dim != channel]

    def grid(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | int]:
        """(middle, step, number of levels) of each grid."""
        mean, sigma = self.moments(x)
        step = step_of(self.bits, as_released=self.as_released)
        if sigma.dim() != 4 or not self.by_channel:
            return mean, step * sigma, 2**self.bits
        bits = channel_bits(sigma, self.bits) if self.mixed else None
        if self.sigma_bits:
            sigma = coarse(sigma, self.sigma_bits)
        if bits is None:
            return mean, step * sigma, 2**self.bits
        table = [step_of(b, as_released=self.as_released) for b in range(1, MOST_BITS + 1)]
        return mean, sigma.new_tensor(table)[bits.long() - 1] * sigma, 2**bits

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        if not self.fitted:
            self.fit(x)
        middle, step, levels = self.grid(x)
        found = middle + step * cell_middles(_in_steps(x, middle, step), levels)
        return found.clamp_min(0) if self.above_zero else found

    def comparable(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """In steps from the middle of each value's own grid, and the levels there: k + ½."""
        middle, step, levels = self.grid(x)
        values = _in_steps(x, middle, step)
        most = 2**MOST_BITS if self.mixed else 2**self.bits
        middles = torch.arange(-most // 2, most // 2, device=x.device) + 0.5
        return values, cell_middles(values, levels), middles[None]

    def in_groups(self, y: Tensor) -> Tensor:
        """[images · channels, n], or [images, n]."""
        if not self.by_channel or y.dim() < 3:
            return y.flatten(1)
        return y.movedim(self.channel_axis, 1).flatten(0, 1).flatten(1)

    def stored(self) -> dict[str, Tensor]:
        axis = torch.tensor(self.channel_axis)
        ends = self.get_buffer("ends")
        return {"above_zero": torch.tensor(self.above_zero), "channel_axis": axis, "ends": ends}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.above_zero, self.channel_axis = bool(state["above_zero"]), int(state["channel_axis"])
        self.register_buffer("ends", state["ends"])
        self.fitted = True


def _in_steps(x: Tensor, middle: Tensor, step: Tensor) -> Tensor:
    """How many steps each value lies from its middle; where there is no step, how far it lies."""
    safe = step + (step <= 0).to(step.dtype)  # 1 in the place of 0
    return (x - middle) / safe


def coarse(sigma: Tensor, bits: int) -> Tensor:
    """The deviations of an image's channels, themselves rounded by the same rule; 0 stays 0."""
    mean = sigma.mean(1, keepdim=True)
    step = step_of(bits) * (sigma - mean).square().mean(1, keepdim=True).sqrt()
    found = mean + step * cell_middles(_in_steps(sigma, mean, step), 2**bits)
    return torch.where(sigma > 0, torch.maximum(found, step / 2), sigma)
