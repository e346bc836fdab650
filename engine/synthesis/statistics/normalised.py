"""A frozen BatchNorm and the moments of what it reads, in one: the two stand side by side in every layer."""

from typing import Any

import torch
from torch import Tensor, nn

from engine.core.trace import Forward
from engine.synthesis.statistics.moments import Moments, mean_and_std, moments_gradient


def can_normalise(norm: nn.Module, forward: Forward, x: Tensor) -> bool:
    """Whether `normalised` does what this `forward` does: torch's own BatchNorm, with nothing to learn."""
    return (
        isinstance(norm, nn.BatchNorm2d)
        and getattr(forward, "__func__", None) is nn.BatchNorm2d.forward
        and not norm.training
        and norm.running_mean is not None
        and norm.affine
        and not norm.weight.requires_grad
        and not norm.bias.requires_grad
        and x.dim() == 4
        and x.dtype == norm.weight.dtype == norm.running_mean.dtype == torch.float32
        and x.device.type == "cpu"
    )


def normalised(norm: nn.Module, x: Tensor) -> tuple[Tensor, Moments]:
    """What the frozen BatchNorm gives, and the moments of the batch that it reads."""
    y, mean, std = _Normalised.apply(x, norm)  # type: ignore[no-untyped-call]
    return y, Moments(mean, std, x.numel() // x.shape[1])


class _Normalised(torch.autograd.Function):
    """y = a x + b, with mean and deviation of x.

    a and b, and the gradient, are put together in the order of torch's own kernels, so that on a processor
    with fused multiply-add nothing differs in the last bit; what is spared is their slow way back.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: Any) -> tuple[Tensor, Tensor, Tensor]:
        mean, std = mean_and_std(x)
        variance = norm.running_var
        slope = norm.weight * (variance + norm.eps).rsqrt()
        offset = torch.addcmul(
            norm.bias.double(), norm.running_mean.double(), slope.double(), value=-1
        )
        ctx.set_materialize_grads(False)
        inverse = (1 / (variance.double() + norm.eps).sqrt()).float()
        ctx.save_for_backward(x, mean, std, inverse, norm.weight)
        return torch.addcmul(_column(offset.float()), x, _column(slope)), mean, std

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, None]:
        x, mean, std, inverse, weight = ctx.saved_tensors
        of_y, of_mean, of_std = grads
        back = None
        if of_mean is not None or of_std is not None:
            zeros = torch.zeros_like(mean)
            pair = [zeros if grad is None else grad for grad in (of_mean, of_std)]
            back = moments_gradient(x, (mean, std), pair)
        if of_y is not None:
            through = (of_y * _column(inverse)).mul_(_column(weight))
            back = through if back is None else back.add_(through)
        return back, None


def _column(values: Tensor) -> Tensor:
    return values[:, None, None]
