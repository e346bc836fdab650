"""A step size that is learned (LSQ, Esser et al. 2020); what stays float (QDrop, Wei et al. 2022)."""

from typing import Any

import torch
from torch import Tensor


def drop_mask(x: Tensor, keep_float: float, rng: torch.Generator) -> Tensor:
    """1 where the quantized value is used, else 0, as x's type; drawn where `rng` lives, then moved to x's.

    One draw of 64 bits serves eight elements, whose chances are therefore whole 256ths: drawing a float
    for each took a third of a reconstruction step's time on a processor.
    """
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=rng.device)
    words.random_(-(2**63), 2**63 - 1, generator=rng)
    draws = words.view(torch.uint8)[: x.numel()].to(x.device)
    threshold = round(256 * keep_float)
    mask = torch.empty(len(draws), dtype=x.dtype, device=x.device)
    if threshold < 256:
        torch.ge(draws, threshold, out=mask)  # without Boolean values in between: ten times as fast
    else:
        mask.zero_()
    if x.dim() == 4:  # the layout of x, so that the two are read side by side
        count, channels, height, width = x.shape
        return mask.view(count, height, width, channels).permute(0, 3, 1, 2)
    return mask.view(x.shape)


def is_same(a: Tensor, b: Tensor) -> Tensor:
    """1 where the two are equal, else 0: products with it take a third of the time of Boolean choices."""
    return torch.eq(a, b, out=torch.empty_like(a))


class LearnedStep(torch.autograd.Function):
    """s · clip(round(x / s)) with straight-through gradients for x and s, in few passes over memory."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, low: int, high: int, mask: Tensor | None
    ) -> Tensor:
        ratio = x / scale
        codes = ratio.round().clamp_(low, high)
        ctx.save_for_backward(ratio, codes, mask)
        ctx.bounds = low, high
        values = codes * scale
        return torch.lerp(x, values, mask) if mask is not None else values

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        ratio, codes, mask = ctx.saved_tensors
        (grad,) = grads
        low, high = ctx.bounds
        clipped = ratio.clamp(low, high)
        inside = is_same(clipped, ratio)
        # d value / d s = round(x / s) − x / s inside the range, and the clipped code outside
        slope = torch.addcmul(codes, clipped, inside, value=-1)
        quantized = grad if mask is None else grad * mask
        grad_scale = (quantized * slope).sum()
        if mask is not None:  # what was kept float passes everywhere
            through = (grad - quantized).addcmul_(quantized, inside)
            return through, grad_scale, None, None, None
        return grad * inside, grad_scale, None, None, None
