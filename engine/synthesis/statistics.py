"""BatchNorm statistics: what the teacher stored while it was trained, and what it sees in given images.

Statistics are tapped at the input of each BatchNorm module itself. (ZeroQ's code pairs the i-th
convolution with the i-th BatchNorm, which is wrong as soon as the two are not one to one.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.trace import watch_inputs

EPS = 1e-6  # added to a stored variance before the root, as GENIE does (not the layer's own eps)


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and standard deviation per channel, of one layer."""

    mean: Tensor  # [channels]
    std: Tensor  # [channels]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a teacher saw in a batch of images: moments at every BatchNorm layer, and its logits."""

    moments: list[Moments]
    logits: Tensor


class StoredStatistics:
    """The statistics that a teacher's BatchNorm layers keep, in order of execution."""

    def __init__(self, teacher: nn.Module, image_shape: Sequence[int]) -> None:
        names = [
            path for path, module in teacher.named_modules() if isinstance(module, nn.BatchNorm2d)
        ]
        self.paths = _in_order_of_execution(teacher, names, image_shape)
        layers = [teacher.get_submodule(path) for path in self.paths]
        for path, layer in zip(self.paths, layers, strict=True):
            if layer.running_mean is None or layer.running_var is None:
                raise UserError(
                    f"BatchNorm layer {path!r} keeps no running statistics; retrain with them"
                )
        self.moments = [
            Moments(layer.running_mean.clone(), (layer.running_var + EPS).sqrt())  # type: ignore[operator, union-attr]
            for layer in layers
        ]

    def observe(self, model: nn.Module, images: Tensor) -> Observation:
        """Run the images through the model (the teacher or a patched copy), gradients as they come."""
        seen: dict[str, Moments] = {}

        def listen(path: str, x: Tensor) -> None:
            seen[path] = batch_moments(x)

        with watch_inputs(model, self.paths, listen):
            logits = model(images)
        return Observation([seen[path] for path in self.paths], logits)


class _BatchMoments(torch.autograd.Function):
    """Per-channel mean and unbiased std in one pass, with a backward of one multiply and add.

    torch.std_mean does the same in about three times the time on a CPU, and it stands at every
    BatchNorm layer of every step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        x_nc = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])  # a view where memory is channels-last
        n = len(x_nc)
        mean = x_nc.mean(0)
        variance = (x_nc.square().mean(0) - mean.square()).clamp_min(0) * (n / max(n - 1, 1))
        std = variance.sqrt()
        ctx.save_for_backward(x, mean, std)
        return mean, std

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        x, mean, std = ctx.saved_tensors
        grad_mean, grad_std = grads
        n = x.numel() // x.shape[1]
        slope = grad_std / (std.clamp_min(1e-12) * max(n - 1, 1))  # ∂s/∂x = (x − m) / ((n − 1) s)
        offset = grad_mean / n - slope * mean
        return torch.addcmul(offset[:, None, None], x, slope[:, None, None])


def batch_moments(x: Tensor) -> Moments:
    """Per-channel mean and unbiased standard deviation over batch, height and width."""
    mean, std = _BatchMoments.apply(x.float())  # type: ignore[no-untyped-call]
    return Moments(mean, std)


def moment_distance(seen: Moments, stored: Moments) -> Tensor:
    """‖m − μ‖² + ‖s − σ‖², divided by the number of channels (GENIE's term of one layer)."""
    squares = (seen.mean - stored.mean).square() + (seen.std - stored.std).square()
    return squares.mean()


def bn_loss(seen: Observation, stored: StoredStatistics) -> Tensor:
    """The sum of the moment distances of all BatchNorm layers, equally weighted."""
    pairs = zip(seen.moments, stored.moments, strict=True)
    return torch.stack([moment_distance(a, b) for a, b in pairs]).sum()


@torch.no_grad()
def bn_gap(seen: Observation, stored: StoredStatistics) -> list[float]:
    """The moment distance of each layer in units of that layer's mean stored variance.

    0 where the statistics agree; 1 where they are one typical standard deviation apart. Dividing by the
    layer's mean variance makes layers comparable and is not blown up by a dead channel.
    """
    gaps = []
    for a, b in zip(seen.moments, stored.moments, strict=True):
        gaps.append(float(moment_distance(a, b) / b.std.square().mean().clamp_min(1e-12)))
    return gaps


@torch.no_grad()
def _in_order_of_execution(
    teacher: nn.Module, names: Sequence[str], image_shape: Sequence[int]
) -> list[str]:
    order: list[str] = []
    probe = torch.zeros(1, *image_shape, device=next(teacher.parameters()).device)
    with watch_inputs(teacher, names, lambda path, x: order.append(path)):
        teacher(probe)
    return list(dict.fromkeys(order))
