"""Levels whose range is a number of standard deviations: the interval is alpha times sigma, per layer.

Inspired by the abstract of "Standard Deviation-Based Quantization for Deep Neural Networks", 2022,
arXiv:2202.12422, which is all that could be had; the formulas are our reading of it.
"""

import torch
from torch import Tensor, nn

from engine.quantization.grids.level_sets import WeightCodes, level_values, nearest_codes

SHAPES = ("uniform", "log2")
ALPHAS = tuple(k / 20 for k in range(10, 121))  # 0.5 to 6 standard deviations, searched
_BISECTIONS = 60  # halvings: float64 has no more
_LEAST_ALPHA = 0.1
_MOST_HALVINGS = 15  # of an interval: 2^-14 of it is nothing, and at 8 bits there would be 126


def levels_of(interval: Tensor, bits: int, shape: str) -> Tensor:
    """[2^b − 1 or fewer] levels around 0, rising, to plus and minus `interval` (0-dim); gradients pass to it.

    uniform: even ones. log2: 0, and the interval times 1, 1/2, 1/4, ..., 15 of them at most, so that a
    share of zeros can be asked for at 8 bits too.
    """
    half = max(2 ** (bits - 1) - 1, 1)
    half = half if shape == "uniform" else min(half, _MOST_HALVINGS)
    steps = torch.arange(1, half + 1, device=interval.device, dtype=interval.dtype)
    positive = steps / half if shape == "uniform" else 2.0 ** (steps - half)
    return interval * torch.cat([-positive.flip(0), positive.new_zeros(1), positive])


def zero_share(weight: Tensor, alpha: float, bits: int, shape: str) -> float:
    """The share of weights whose nearest level is 0, in [0, 1]; it never falls as alpha rises."""
    levels = levels_of(alpha * weight.std(unbiased=False), bits, shape)
    return float(
        (level_values(nearest_codes(weight.flatten(), levels), levels) == 0).float().mean()
    )


def alpha_for(weight: Tensor, bits: int, shape: str, wanted: float) -> float:
    """The least alpha at which so large a share of the weights becomes 0; by bisection."""
    low, high = 0.0, 1.0
    while zero_share(weight, high, bits, shape) < wanted and high < 1e9:
        low, high = high, 2 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        enough = zero_share(weight, middle, bits, shape) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high


def searched_alpha(weight: Tensor, bits: int, shape: str) -> float:
    """The alpha of ALPHAS with the smallest squared error."""
    flat, sigma = weight.flatten(), weight.std(unbiased=False)

    def error(alpha: float) -> float:
        levels = levels_of(alpha * sigma, bits, shape)
        return float((flat - level_values(nearest_codes(flat, levels), levels)).square().mean())

    return min(ALPHAS, key=error)


class DeviationQuantizer(WeightCodes):
    """At most 2^b − 1 levels for the whole layer, reaching alpha standard deviations of its weights.

    While it learns, alpha and the float weight move; sigma is taken anew in every pass, as in the paper.
    """

    interval: Tensor  # 0-dim: the largest level
    channels: Tensor  # 0-dim: their number, for which all levels are the same

    def __init__(self, bits: int, *, shape: str = "uniform", prune: float = 0.0) -> None:
        super().__init__()
        self.bits, self.shape, self.prune = bits, shape, prune
        self.alpha = nn.Parameter(torch.ones(()), requires_grad=False)
        self.learning = False

    def fit(self, weight: Tensor) -> None:
        weight = weight.detach()
        if self.prune:
            alpha = alpha_for(weight, self.bits, self.shape, self.prune)
        else:
            alpha = searched_alpha(weight, self.bits, self.shape)
        self.alpha = nn.Parameter(torch.tensor(alpha, device=weight.device), requires_grad=False)
        self.settle(weight)

    def settle(self, weight: Tensor) -> None:
        """End learning: whole codes of this weight, on the interval that it has now."""
        self.learning = False
        self.alpha.requires_grad = False
        weight = weight.detach()
        interval = (self.alpha * weight.std(unbiased=False)).detach()
        self.register_buffer("interval", interval)
        self.register_buffer("channels", torch.tensor(len(weight)))
        self.take(nearest_codes(weight.flatten(1), self.levels()).view(weight.shape))

    def learn(self) -> None:
        """Begin to learn; alpha stays where a share of zeros was asked for, and follows the weights."""
        self.learning = True
        self.alpha.requires_grad = not self.prune

    def follow(self, weight: Tensor) -> None:
        """Keep alpha sensible; solve it anew where a share of zeros is asked for."""
        if self.prune:
            self.alpha.copy_(torch.tensor(alpha_for(weight, self.bits, self.shape, self.prune)))
        else:
            self.alpha.clamp_(min=_LEAST_ALPHA)

    def forward(self, weight: Tensor) -> Tensor:
        if not self.learning:
            return super().forward(weight)
        interval = self.alpha * weight.std(unbiased=False)
        levels = levels_of(interval, self.bits, self.shape)
        codes = nearest_codes(weight.detach().flatten(), levels.detach())
        ratio = weight / interval
        inside = ratio.clamp(-1, 1)  # PACT: beyond the interval the gradient is alpha's alone
        units = levels_of(torch.ones_like(interval), self.bits, self.shape)[codes].view(
            weight.shape
        )
        return interval * (inside + (units - inside).detach())

    def levels(self) -> Tensor:
        return levels_of(self.interval, self.bits, self.shape).repeat(int(self.channels), 1)

    def side_bits(self) -> int:
        """One float32 interval for the layer."""
        return 32

    def stored(self) -> dict[str, Tensor]:
        return {"codes": self.codes, "interval": self.interval, "channels": self.channels,
                "alpha": self.alpha.detach()}  # fmt: skip

    def restore(self, state: dict[str, Tensor]) -> None:
        for name in ("codes", "interval", "channels"):
            self.register_buffer(name, state[name])
        self.alpha = nn.Parameter(state["alpha"], requires_grad=False)
