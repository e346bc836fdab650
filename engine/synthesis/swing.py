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
        if min(x.shape[-2:]) > 1 and (dy, dx) != (1, 1):  # reflection needs a second pixel
            x = _Shifted.apply(x, dy - 1, dx - 1)  # type: ignore[no-untyped-call]
        out: Tensor = super().forward(x)  # type: ignore[misc]
        return out


class _Shifted(torch.autograd.Function):
    """The images moved by one pixel or none along each side, with a reflected border where one runs out.

    One pass over the memory forward and one back. Slices and their concatenation take six: each slice's
    gradient is a whole image of zeros first.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, dy: int, dx: int) -> Tensor:
        ctx.moved = dy, dx
        out = torch.empty_like(x)
        for row, from_row in _parts(x.shape[-2], dy):
            for column, from_column in _parts(x.shape[-1], dx):
                out[..., row, column] = x[..., from_row, from_column]
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = grads
        dy, dx = ctx.moved
        back = torch.empty_like(grad)
        (row, from_row), *border = _parts(grad.shape[-2], dy)
        _columns_back(back[..., from_row, :], grad[..., row, :], dx)
        if dy:
            back[..., _UNREAD[dy], :] = 0
        for row, from_row in border:
            line = torch.empty_like(back[..., from_row, :])
            _columns_back(line, grad[..., row, :], dx)
            back[..., from_row, :] += line
        return back, None, None


def _columns_back(back: Tensor, grad: Tensor, dx: int) -> None:
    """Write the gradient of rows that were moved along their length."""
    (column, from_column), *border = _parts(grad.shape[-1], dx)
    back[..., from_column] = grad[..., column]
    if dx:
        back[..., _UNREAD[dx]] = 0
    for column, from_column in border:
        back[..., from_column] += grad[..., column]


_UNREAD = {1: slice(0, 1), -1: slice(-1, None)}  # what moved out, by the way it went


def _parts(size: int, by: int) -> list[tuple[slice, slice]]:
    """(where to, where from) along one side: the inside, and the pixel that is reflected."""
    if by > 0:
        last = slice(size - 1, size), slice(size - 2, size - 1)
        return [(slice(0, size - 1), slice(1, size)), last]
    if by < 0:
        return [(slice(1, size), slice(0, size - 1)), (slice(0, 1), slice(1, 2))]
    return [(slice(0, size), slice(0, size))]


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
