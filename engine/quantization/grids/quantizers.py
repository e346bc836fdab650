"""Quantizers: small modules that a quantized layer holds, one for its weight and one for its input."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.quantization.grids.learned_step import LearnedStep, drop_mask
from engine.quantization.grids.level_sets import WeightCodes
from engine.quantization.grids.range_rules import activation_range, weight_grid
from engine.quantization.grids.soft_rounding import (
    GAMMA,
    ZETA,
    SoftWeight,
    Undecided,
    soft_rounding,
)
from engine.quantization.grids.uniform import Grid, on_even_levels

FIT_IMAGES = 32  # images that an activation's step size is searched on


class WeightQuantizer(WeightCodes):
    """Turns a float weight into values on a per-channel grid.

    Nearest rounding after `fit`; after `soften` a differentiable rounding that training moves; after
    `harden` codes again, whole numbers, with which it is stored.
    """

    scale: Tensor
    zero_point: Tensor
    fitted_scale: Tensor  # the step size before learning, to which nearest rounding refers

    def __init__(self, bits: int, *, rule: str = "mse", percentile: float = 99.9) -> None:
        super().__init__()
        self.bits = bits
        self.highest = 2**bits - 1  # the largest code
        self.rule, self.percentile = rule, percentile
        self.rounding: nn.Parameter | None = None  # V of AdaRound; None where rounding is settled
        self._base: Tensor | None = None

    def fit(self, weight: Tensor) -> None:
        """Choose each channel's step size, and round to nearest."""
        self.place(
            weight_grid(weight, self.bits, rule=self.rule, percentile=self.percentile), weight
        )

    def place(self, grid: Grid, weight: Tensor) -> None:
        """Take this grid, and round to nearest on it."""
        self.scale = nn.Parameter(grid.scale, requires_grad=False)
        self.register_buffer("zero_point", grid.zero_point)
        self.register_buffer("fitted_scale", grid.scale.clone())
        self.register_buffer("codes", grid.codes(weight).to(torch.uint8))

    @property
    def grid(self) -> Grid:
        return Grid(self.scale, self.zero_point, 0, self.highest)

    def levels(self) -> Tensor:
        codes = torch.arange(self.highest + 1, device=self.scale.device)
        scale, zero_point = self.scale.detach().flatten(1), self.zero_point.flatten(1)
        return scale * (codes - zero_point)

    def side_bits(self) -> int:
        """A float32 scale and an 8-bit zero point for each channel."""
        return self.scale.numel() * (32 + 8)

    def nearest(self, weight: Tensor) -> Tensor:
        """Nearest on the grid that was fitted, whatever the step sizes have become since."""
        return Grid(self.fitted_scale, self.zero_point, 0, self.highest).codes(weight)

    def soften(self, weight: Tensor) -> None:
        """Begin to learn: soft codes that start at the float weight, and a step size that may move.

        GENIE-M, section 4: the base floor(W / s) is a constant of the step size found by `fit`. Were it
        taken anew from a moving step size, every change of the step would pose another rounding problem.
        """
        ratio = weight / self.fitted_scale
        self._base = ratio.floor()
        fraction = (ratio - self._base - GAMMA) / (ZETA - GAMMA)
        self.rounding = nn.Parameter(torch.logit(fraction))
        self.scale.requires_grad_()

    def soft_rounding(self) -> Tensor:
        """h(V) in [0, 1]: how far each weight is rounded up (AdaRound, eq. 23)."""
        assert self.rounding is not None
        return soft_rounding(self.rounding)

    def undecided(self, beta: float) -> Tensor:
        """Σ over the weights of 1 − |2h(V) − 1|^β: zero once every weight has decided (AdaRound, eq. 24)."""
        out: Tensor = Undecided.apply(self.rounding, beta)  # type: ignore[no-untyped-call]
        return out

    def harden(self) -> None:
        """End learning: every weight up or down, as its soft rounding leans."""
        if self.rounding is None or self._base is None:
            return
        up = (self.rounding.detach() >= 0).to(self._base.dtype)
        codes = (self._base + up + self.zero_point).clamp(0, self.highest)
        self.register_buffer("codes", codes.to(torch.uint8))
        self.rounding = self._base = None
        self.scale = nn.Parameter(self.scale.detach(), requires_grad=False)

    def forward(self, weight: Tensor) -> Tensor:
        if self.rounding is None or self._base is None:
            return self.grid.values(self.codes)
        given = self.rounding, self.scale, self._base, self.zero_point, self.highest
        out: Tensor = SoftWeight.apply(*given)  # type: ignore[no-untyped-call]
        return out

    @torch.no_grad()
    def flipped(self, weight: Tensor) -> float:
        """The share of codes that differ from nearest rounding on the fitted grid, in [0, 1]."""
        if self.rounding is None or self._base is None:
            now = self.codes
        else:
            up = (self.rounding >= 0).to(self._base.dtype)
            now = (self._base + up + self.zero_point).clamp(0, self.highest)
        return float((now != self.nearest(weight)).float().mean())

    def stored(self) -> dict[str, Tensor]:
        return {"codes": self.codes, "scale": self.scale.detach(), "zero_point": self.zero_point,
                "fitted_scale": self.fitted_scale}  # fmt: skip

    def restore(self, state: dict[str, Tensor]) -> None:
        self.scale = nn.Parameter(state["scale"], requires_grad=False)
        for name in ("codes", "zero_point", "fitted_scale"):
            self.register_buffer(name, state[name])


class ActivationQuantizer(nn.Module):
    """One grid for a layer's whole input, 0 among its levels; finds itself in the first input it sees.

    While a block is reconstructed the step size is learned (LSQ, Esser et al. 2020, without its gradient
    scale), and each element stays float with probability `keep_float` (QDrop, Wei et al. 2022).
    """

    scale: Tensor
    channel_axis = 1  # of the input; a linear layer's channels are its last dimension

    def __init__(
        self, bits: int, *, rule: str = "mse", percentile: float = 99.9, zero_point: bool = False
    ) -> None:
        super().__init__()
        self.bits = bits
        self.rule, self.percentile, self.zero_point = rule, percentile, zero_point
        self.low, self.high = 0, 2**bits - 1
        self.fitted = False
        self.scale = nn.Parameter(torch.ones(()), requires_grad=False)
        self.keep_float = 0.0
        self.rng: torch.Generator | None = None

    def fit(self, x: Tensor) -> None:
        grid = activation_range(
            x[:FIT_IMAGES], self.bits,
            rule=self.rule, percentile=self.percentile, zero_point=self.zero_point,
        )  # fmt: skip
        self.low, self.high = grid.low, grid.high
        self.scale = nn.Parameter(torch.tensor(grid.scale, device=x.device), requires_grad=False)
        self.fitted = True

    def fit_all(self, inputs: Sequence[Tensor]) -> None:
        """Fit to all that a layer reads which runs several times on the same images."""
        # Side by side for each image: a rule that looks at a few images sees all runs.
        self.fit(torch.cat([x.flatten(1) for x in inputs], 1))

    def levels(self) -> Tensor:
        """[1, levels] values, rising."""
        codes = torch.arange(self.low, self.high + 1, device=self.scale.device)
        return (self.scale.detach() * codes).view(1, -1)

    def comparable(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x, x on the grid, and the grid's levels [1, levels], in units in which one is held against another.

        Here as they are; where parts of x have grids of their own, in their units.
        """
        return x, self(x), self.levels()

    def in_groups(self, y: Tensor) -> Tensor:
        """What was put on the grid, as [groups, n]: a row for each grid that is used; here one for all."""
        return y.reshape(1, -1)

    def side_bits(self) -> int:
        """Bits stored for the grid: one float32 scale, and the zero point where there is one."""
        return 32 + (self.bits if self.zero_point and self.low < 0 else 0)

    def learn(self, keep_float: float, rng: torch.Generator) -> None:
        self.keep_float, self.rng = keep_float, rng
        self.scale.requires_grad_()

    def settle(self) -> None:
        self.keep_float, self.rng = 0.0, None
        self.scale.requires_grad = False

    def also_learns(self) -> list[nn.Parameter]:
        """What a reconstruction moves beside the step size."""
        return []

    def forward(self, x: Tensor) -> Tensor:
        if not self.fitted:
            self.fit(x)
        if not self.scale.requires_grad:
            return on_even_levels(x, float(self.scale), self.low, self.high)
        if self.keep_float >= 1:
            return x
        mask = None
        if self.keep_float and self.rng is not None:
            mask = drop_mask(x, self.keep_float, self.rng)
        out: Tensor = LearnedStep.apply(x, self.scale, self.low, self.high, mask)  # type: ignore[no-untyped-call]
        return out

    def stored(self) -> dict[str, Tensor]:
        bounds = torch.tensor([self.low, self.high])
        return {"scale": self.scale.detach(), "bounds": bounds}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.scale = nn.Parameter(state["scale"], requires_grad=False)
        self.low, self.high = (int(v) for v in state["bounds"])
        self.fitted = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Makers:
    """How a student's quantizers are made from their bits."""

    weights: Callable[[int], Any] = WeightQuantizer
    activations: Callable[[int], Any] = ActivationQuantizer
