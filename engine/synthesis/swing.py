"""Swing convolution: a random shift by one pixel before every strided convolution.

Jeon et al., GENIE, CVPR 2023, section 3.2: gradients through a strided convolution leave a checkerboard
in the image, because some pixels take part in more windows than others; shifting evens this out.
"""

import copy
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn


class _Swing:
    """Mixed into a convolution's class: shifts the input, then convolves as before."""

    swing_rng: torch.Generator

    def forward(self, x: Tensor) -> Tensor:
        dy, dx = torch.randint(0, 3, (2,), generator=self.swing_rng).tolist()
        if min(x.shape[-2:]) > 1:  # reflection needs a second pixel
            x = _shifted(_shifted(x, dy - 1, dim=-2), dx - 1, dim=-1)
        out: Tensor = super().forward(x)  # type: ignore[misc]
        return out


def _shifted(x: Tensor, by: int, *, dim: int) -> Tensor:
    """The images moved by one pixel, -1, 0 or 1, with a reflected border where one runs out."""
    size = x.shape[dim]
    if by < 0:
        return torch.cat([x.narrow(dim, 1, 1), x.narrow(dim, 0, size - 1)], dim)
    if by > 0:
        return torch.cat([x.narrow(dim, 1, size - 1), x.narrow(dim, size - 2, 1)], dim)
    return x


@cache
def _swing_class(conv: type[nn.Conv2d]) -> Any:
    return type(f"Swing{conv.__name__}", (_Swing, conv), {})


def with_swing(teacher: nn.Module, rng: torch.Generator) -> nn.Module:
    """A copy of the teacher whose strided convolutions swing; one draw per layer and forward pass."""
    patched = copy.deepcopy(teacher)
    for module in patched.modules():
        if isinstance(module, nn.Conv2d) and tuple(module.stride) != (1, 1):
            module.__class__ = _swing_class(type(module))  # type: ignore[arg-type]
            module.swing_rng = rng  # type: ignore[assignment]
    return patched
