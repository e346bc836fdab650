"""A kernel as the product of three small factors of whole codes: what is stored is the factors.

Cherniuk et al., arXiv:2308.04595: W [O, I, k·k] ≈ Σ_r A[:, r] ∘ B[:, r] ∘ C[:, r], each factor on one
symmetric grid; see `cp_admm`. As layers that is a 1x1 convolution to R channels, one of k x k within each
channel, and a 1x1 convolution to the outputs. Here the layer computes with the product, which is the same
up to float rounding; between the three, values are not rounded.
"""

from typing import Any

import torch
from torch import Tensor

from engine.quantization.grids.level_sets import CodedPart, StoredWeight, WeightCodes
from engine.quantization.grids.weights.cp_admm import admm, compose, cp_als
from engine.quantization.grids.weights.split import last_code, symmetric_codes, symmetric_levels

STEP_BITS = 32  # of each factor's step
COLOURS = 3  # a layer that reads no more than an image's channels has no inner way to factorize
_NAMES = ("outputs", "inputs", "taps")
_REACHES = torch.linspace(
    0.2, 1.2, 51, dtype=torch.double
)  # of the largest value; the release tries 200
_START_SEED = (
    0  # of the random factors that least squares begins with: the same weight, the same factors
)


def searched_step(values: Tensor, bits: int) -> Tensor:
    """[1, 1]: the step of the least squared error; the grid reaches 0.2 to 1.2 times the largest."""
    flat, last = values.flatten(), last_code(bits)
    steps = _REACHES.to(flat) * flat.abs().max().clamp_min(1e-12) / last
    codes = (flat / steps[:, None] + 0.5).floor_().clamp_(-last, last)
    errors = (codes.mul_(steps[:, None]) - flat).square_().sum(1)
    return steps[errors.argmin()].view(1, 1)


def on_grid(values: Tensor, bits: int) -> Tensor:
    """The values at their nearest levels."""
    step, last = searched_step(values, bits), last_code(bits)
    return step * torch.floor(values / step + 0.5).clamp(-last, last)


def rank_for(shape: tuple[int, ...], bits: int, share: float) -> int:
    """The largest R whose factors, codes and steps, cost at most `share` of plain codes of as many bits."""
    budget = share * bits * torch.Size(shape).numel() - STEP_BITS * len(shape)
    return max(0, int(budget // (bits * sum(shape))))


def ways(weight: Tensor) -> tuple[int, ...] | None:
    """(O, I, k·k) of a kernel to be factorized; None for 1x1, depthwise, linear and the first layer."""
    if weight.dim() != 4 or weight.shape[1] <= COLOURS or weight[0, 0].numel() == 1:
        return None
    return weight.shape[0], weight.shape[1], weight[0, 0].numel()


class FactoredWeightCodes(StoredWeight):
    """Factors where the budget holds any, else the plain codes that `plain` makes of the same bits.

    The work is done when the values are first asked for: a student that is put back from a file never does
    it.
    """

    steps: Tensor  # [3, 1, 1]

    def __init__(self, bits: int, *, share: float, sweeps: int, als_only: bool, plain: Any) -> None:
        super().__init__()
        self.bits, self.share, self.sweeps, self.als_only = bits, share, sweeps, als_only
        self.plain: WeightCodes | None = plain
        self.shape, self.rank = torch.Size(), 0
        self.course: list[float] = []  # relative error of the tensor after each sweep
        self._due: Tensor | None = None

    def fit(self, weight: Tensor) -> None:
        shape = ways(weight)
        self.shape = weight.shape
        self.rank = 0 if shape is None else rank_for(shape, self.bits, self.share)
        if self.rank:
            self.plain, self._due = None, weight.detach()
        else:
            assert self.plain is not None
            self.plain.fit(weight)

    @torch.no_grad()
    def _factorized(self) -> None:
        """Do what is due: least squares in floats, then factors on their grids."""
        if self._due is None:
            return
        weight, self._due = self._due, None
        tensor = weight.double().flatten(2)
        rng = torch.Generator().manual_seed(_START_SEED)
        start = cp_als(tensor, self.rank, sweeps=50, rng=rng)
        sweeps = 0 if self.als_only else self.sweeps
        _, solved, self.course = admm(
            tensor, start, lambda factor: on_grid(factor, self.bits), sweeps=sweeps
        )
        floats = [factor.to(weight.dtype) for factor in solved]
        self.register_buffer("steps", torch.stack([searched_step(f, self.bits) for f in floats]))
        for k, factor in enumerate(floats):
            self.register_buffer(f"float{k}", factor)
            codes = symmetric_codes(factor, self.steps[k], self.bits)
            self.register_buffer(f"codes{k}", codes)

    def forward(self, weight: Tensor) -> Tensor:
        if self.plain is not None:
            values: Tensor = self.plain(weight)
            return values
        factors = [part.quantized().view(-1, self.rank) for part in self.parts(weight)]
        return compose(factors).view(self.shape)

    def parts(self, weight: Tensor) -> tuple[CodedPart, ...]:
        if self.plain is not None:
            return self.plain.parts(weight)
        self._factorized()
        return tuple(
            CodedPart(
                name=name,
                values=getattr(self, f"float{k}").view(1, -1),
                codes=getattr(self, f"codes{k}").view(1, -1),
                levels=symmetric_levels(self.steps[k], self.bits),
            )
            for k, name in enumerate(_NAMES)
        )

    def single(self) -> WeightCodes | None:
        return self.plain

    def count(self) -> int:
        if self.plain is not None:
            return self.plain.count()
        outputs, inputs, *sides = self.shape
        return self.rank * (outputs + inputs + torch.Size(sides).numel())

    def side_bits(self) -> int:
        """A float32 step for each factor."""
        return STEP_BITS * len(_NAMES) if self.plain is None else self.plain.side_bits()

    def flipped(self, weight: Tensor) -> float:
        if self.plain is not None:
            return self.plain.flipped(weight)
        away = [
            int((part.codes != symmetric_codes(part.values, step, self.bits)).sum())
            for part, step in zip(self.parts(weight), self.steps, strict=True)
        ]
        return sum(away) / self.count()

    def stored(self) -> dict[str, Tensor]:
        if self.plain is not None:
            return self.plain.stored()
        self._factorized()
        named = [f"{what}{k}" for k in range(len(_NAMES)) for what in ("codes", "float")]
        return {name: getattr(self, name) for name in ("steps", *named)}

    def restore(self, state: dict[str, Tensor]) -> None:
        if self.plain is not None:
            self.plain.restore(state)
            return
        self._due = None
        for name, value in state.items():
            self.register_buffer(name, value)
