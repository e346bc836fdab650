"""Means and standard deviations per channel: of a batch, of each image, of each class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

FAR = 100.0  # mean² over variance, from which E[x²] − m² is not exact enough in float32: a thousandth of 1 %
EPS = 1e-6  # added to a stored variance before the root, as GENIE does (not the layer's own eps)


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and standard deviation per channel, of one layer; in a row for each image, or for each class."""

    mean: Tensor  # [channels] or [rows, channels]
    std: Tensor  # unbiased where `count` is known
    count: int = 0  # values behind each number; 0 where that is not known

    @property
    def variance(self) -> Tensor:
        """Divided by the number of values, not by one less: as BatchNorm normalises in training."""
        share = (self.count - 1) / self.count if self.count > 1 else 1.0
        return self.std.square() * share

    def spread(self, second: str) -> Tensor:
        """The second moment in one of its forms: "std" or "var"."""
        return self.std if second == "std" else self.variance

    def detach(self) -> "Moments":
        return Moments(self.mean.detach(), self.std.detach(), self.count)


def as_maps(y: Tensor) -> Tensor:
    """Maps of channels [n, channels, h, w]; tokens [n, tokens, channels] are maps of one column."""
    return y.transpose(1, 2).unsqueeze(-1) if y.dim() == 3 else y


class _BatchMoments(torch.autograd.Function):
    """Per-channel mean and unbiased std in one pass, with a backward of one multiply and add.

    torch.std_mean does the same in about three times the time on a CPU, and it stands at every
    BatchNorm layer of every step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = mean_and_std(x)
        ctx.save_for_backward(x, mean, std)
        return mean, std

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        x, mean, std = ctx.saved_tensors
        return moments_gradient(x, (mean, std), grads)


def mean_and_std(x: Tensor) -> tuple[Tensor, Tensor]:
    """Per channel over batch, height and width; the unbiased deviation."""
    x_nc = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])  # a view where memory is channels-last
    n = len(x_nc)
    mean = x_nc.mean(0)
    variance = (x_nc.square().mean(0) - mean.square()).clamp_min(0)
    far = mean.square() > FAR * variance
    if bool(far.any()):  # a second pass for these channels, from their mean on
        rest = x_nc[:, far] - mean[far]
        variance[far] = rest.square().mean(0) - rest.mean(0).square()
    return mean, (variance.clamp_min(0) * (n / max(n - 1, 1))).sqrt()


def moments_gradient(x: Tensor, moments: Sequence[Tensor], grads: Sequence[Tensor]) -> Tensor:
    """The gradient of x, from those of its mean and deviation."""
    (mean, std), (grad_mean, grad_std) = moments, grads
    n = x.numel() // x.shape[1]
    slope = grad_std / (std.clamp_min(1e-12) * max(n - 1, 1))  # ∂s/∂x = (x − m) / ((n − 1) s)
    offset = grad_mean / n - slope * mean
    return torch.addcmul(offset[:, None, None], x, slope[:, None, None])


def batch_moments(x: Tensor) -> Moments:
    """Per-channel mean and unbiased standard deviation over batch, height and width."""
    mean, std = _BatchMoments.apply(x.float())  # type: ignore[no-untyped-call]
    return Moments(mean, std, x.numel() // x.shape[1])


class _ImageMoments(torch.autograd.Function):
    """The same of each image by itself; EPS keeps the slope finite where an image is constant."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        x_npc = x.permute(0, 2, 3, 1).reshape(len(x), -1, x.shape[1])
        pixels = x_npc.shape[1]
        mean = x_npc.mean(1)
        variance = (x_npc.square().mean(1) - mean.square()).clamp_min(0)
        far = (mean.square() > FAR * variance).any(0)
        if bool(far.any()):
            rest = x_npc[:, :, far] - mean[:, None, far]
            variance[:, far] = (rest.square().mean(1) - rest.mean(1).square()).clamp_min(0)
        std = (variance * (pixels / max(pixels - 1, 1)) + EPS).sqrt()
        ctx.save_for_backward(x, mean, std)
        return mean, std

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        x, mean, std = ctx.saved_tensors
        grad_mean, grad_std = grads
        pixels = x.shape[2] * x.shape[3]
        slope = grad_std / (std * max(pixels - 1, 1))
        offset = grad_mean / pixels - slope * mean
        return torch.addcmul(offset[..., None, None], x, slope[..., None, None])


def image_moments(x: Tensor) -> Moments:
    """Mean and sqrt(unbiased variance + EPS) over height and width, [images, channels] each."""
    mean, std = _ImageMoments.apply(x.float())  # type: ignore[no-untyped-call]
    return Moments(mean, std, x.shape[2] * x.shape[3])


def pooled(rows: Moments) -> Moments:
    """The moments of all images together, from those of each."""
    mean = rows.mean.mean(0)
    variance = (_bare_variance(rows) + (rows.mean - mean).square()).mean(0)
    count = rows.count * len(rows.mean)
    unbiased = variance.clamp_min(1e-12) * (count / max(count - 1, 1))
    return Moments(mean, unbiased.sqrt(), count)


def averaged(calls: Sequence[Moments]) -> Moments:
    """What a layer that ran several times saw, as one: the mean of its calls' means and variances.

    That is what a BatchNorm stores, which moves its running statistics towards each call's own alike.
    """
    if len(calls) == 1:
        return calls[0]
    mean = torch.stack([call.mean for call in calls]).mean(0)
    squares = torch.stack([call.std.square() for call in calls]).mean(0)
    return Moments(mean, squares.clamp_min(1e-12).sqrt(), min(call.count for call in calls))


def class_moments(rows: Moments, labels: Tensor) -> tuple[Tensor, Moments]:
    """The classes that occur (ascending), and the moments of each class's images together, in rows.

    The spread is the biased one; soft labels count for their most probable class.
    """
    named = labels.argmax(1) if labels.dim() == 2 else labels
    classes, place = named.unique(return_inverse=True)
    sizes = torch.bincount(place, minlength=len(classes)).to(rows.mean)[:, None]

    def average(values: Tensor) -> Tensor:
        return values.new_zeros(len(classes), values.shape[1]).index_add(0, place, values) / sizes

    mean = average(rows.mean)
    variance = average(_bare_variance(rows) + (rows.mean - mean[place]).square())
    return classes, Moments(mean, variance.clamp_min(1e-12).sqrt())


def _bare_variance(rows: Moments) -> Tensor:
    """The biased variance of each image, without the EPS that its standard deviation holds."""
    share = (rows.count - 1) / rows.count if rows.count > 1 else 1.0
    return (rows.std.square() - EPS).clamp_min(0) * share
