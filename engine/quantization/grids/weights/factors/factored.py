"""A kernel as the product of three small factors of whole codes: what is stored is the factors.

Cherniuk et al., arXiv:2308.04595: W [O, I, k·k] ≈ Σ_r A[:, r] ∘ B[:, r] ∘ C[:, r], each factor on one
symmetric grid; see `cp`, and `tucker` for the form with a core. As layers that is a 1x1 convolution
to R channels, one of k x k within each channel, and a 1x1 convolution to the outputs. Here the layer
computes with the product, which is the same up to float rounding; between the three, values are not
rounded.
"""

import math
from typing import Any

import torch
from torch import Tensor

from engine.quantization.grids.level_sets import CodedPart, StoredWeight, WeightCodes
from engine.quantization.grids.weights.factors.admm import Form, Shape, admm
from engine.quantization.grids.weights.factors.cp import CP
from engine.quantization.grids.weights.factors.tucker import TUCKER
from engine.quantization.grids.weights.split import last_code, symmetric_codes, symmetric_levels

STEP_BITS = 32  # of each factor's step
COLOURS = 3  # a layer that reads no more than an image's channels has no inner way to factorize
FORMS: dict[str, Form] = {"cp": CP, "tucker": TUCKER}
_START_SWEEPS = 50  # of least squares in floats, at most
# Of the largest value; the release tries 200.
_REACHES = torch.linspace(0.2, 1.2, 51, dtype=torch.double)


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


def factor_shapes(form: str, shape: Shape, bits: int, share: float) -> tuple[Shape, ...]:
    """The shapes of the factors of a kernel (O, I, k·k): the largest that cost, codes and steps, at most
    `share` of plain codes of as many bits; () where that holds none.
    """
    budget = share * bits * torch.Size(shape).numel() - STEP_BITS * len(shape)
    return FORMS[form].shapes(shape, bits, budget)


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

    def __init__(
        self, bits: int, *, share: float, sweeps: int, als_only: bool, plain: Any, form: str = "cp"
    ) -> None:
        super().__init__()
        self.bits, self.share, self.sweeps, self.als_only = bits, share, sweeps, als_only
        self.form = FORMS[form]
        self.plain: WeightCodes | None = plain
        self.name, self.shape, self.factors = form, torch.Size(), tuple[Shape, ...]()
        self.course: list[float] = []  # relative error of the tensor after each sweep
        self._due: Tensor | None = None

    @property
    def ranks(self) -> tuple[int, ...]:
        """The rank, or in Tucker's form that of the outputs and that of the inputs."""
        return tuple(size[1] for size in self.factors[: self.form.ranks])

    def fit(self, weight: Tensor) -> None:
        shape = ways(weight)
        self.shape = weight.shape
        if shape is not None:
            self.factors = factor_shapes(self.name, shape, self.bits, self.share)
        if self.factors:
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
        sweeps = 0 if self.als_only else self.sweeps
        start = self.form.start(tensor, self.factors, _START_SWEEPS)
        _, solved, self.course = admm(
            tensor, start, lambda factor: on_grid(factor, self.bits), sweeps=sweeps,
            form=self.form,
        )  # fmt: skip
        floats = [factor.to(weight.dtype).contiguous() for factor in solved]
        self.register_buffer("steps", torch.stack([searched_step(f, self.bits) for f in floats]))
        for k, factor in enumerate(floats):
            self.register_buffer(f"float{k}", factor)
            codes = symmetric_codes(factor.flatten(1), self.steps[k], self.bits)
            self.register_buffer(f"codes{k}", codes)

    def forward(self, weight: Tensor) -> Tensor:
        if self.plain is not None:
            values: Tensor = self.plain(weight)
            return values
        parts = zip(self.parts(weight), self.factors, strict=True)
        factors = [part.quantized().view(size) for part, size in parts]
        return self.form.compose(factors).view(self.shape)

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
            for k, name in enumerate(self.form.names)
        )

    def single(self) -> WeightCodes | None:
        return self.plain

    def count(self) -> int:
        if self.plain is not None:
            return self.plain.count()
        return sum(math.prod(size) for size in self.factors)

    def side_bits(self) -> int:
        """A float32 step for each factor."""
        return STEP_BITS * len(self.factors) if self.plain is None else self.plain.side_bits()

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
        named = [f"{what}{k}" for k in range(len(self.factors)) for what in ("codes", "float")]
        return {name: getattr(self, name) for name in ("steps", *named)}

    def restore(self, state: dict[str, Tensor]) -> None:
        if self.plain is not None:
            self.plain.restore(state)
            return
        self._due = None
        for name, value in state.items():
            self.register_buffer(name, value)
