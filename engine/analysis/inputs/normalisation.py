"""Is the network fed as it was trained? Its first BatchNorm remembers how its input looked.

A wrong pixel mean or standard deviation breaks nothing: the network runs, only worse. But the first
BatchNorm layer stored the statistics of the first convolution's output over the training images, so
images that are normalised in another way do not meet them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.core.sampling.noise_images import noise_images
from engine.core.trace import first_value, watch_inputs
from engine.models.graph.blocks import is_layer

NEAR, FAR = 1.15, 1.3  # ratios of standard deviations: still near, and clearly off
NEAR_Z, FAR_Z = 0.25, 0.5  # shifts of the mean, in stored standard deviations
PHOTO_STD = (0.15, 0.42)  # of pixels in [0, 1]: sets of photographs and of drawings lie between
NEIGHBOURS = 0.95  # correlation of neighbouring pixels in natural images
COLOURS = 0.9  # correlation of the colours of one pixel
COMMON = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "-1 to 1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "0 to 1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "0 to 255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How images meet the statistics that the first BatchNorm stored, over its living channels."""

    std_ratio: float  # median of seen to stored standard deviation; 1 where they agree
    # Two standard errors of the logarithm of that ratio: few images differ by chance.
    std_chance: float
    mean_shift: float  # root mean square, in stored standard deviations, less what chance explains
    images: int

    @property
    def distance(self) -> float:
        """0 where all agrees; 1 at the ratio or the shift from which it is clearly off."""
        return max(self._off / math.log(FAR), self.mean_shift / FAR_Z)

    @property
    def is_near(self) -> bool:
        return self._off <= math.log(NEAR) and self.mean_shift <= NEAR_Z

    @property
    def _off(self) -> float:
        """How far the logarithm of the ratio is from 0, beyond chance."""
        return max(0.0, abs(math.log(self.std_ratio)) - self.std_chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Implied:
    """The training images as the first convolution and its BatchNorm remember them, without any data."""

    mean: tuple[float, ...]  # per colour, of pixels in [0, 1]
    std: float  # of pixels in [0, 1], averaged over the colours

    @property
    def is_plausible(self) -> bool:
        inside = PHOTO_STD[0] <= self.std <= PHOTO_STD[1]
        return inside and all(-0.05 <= mean <= 1.05 for mean in self.mean)


def stem_of(model: nn.Module, image_shape: Sequence[int]) -> str:
    """The path of the first BatchNorm, where only a convolution stands before it; else empty."""
    first: list[str] = []
    paths = [p for p, m in model.named_modules() if is_layer(m) or isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad(), watch_inputs(model, paths, lambda path, x: first.append(path)):
        model(noise_images(1, image_shape, model))
    if len(first) < 2:
        return ""
    conv = model.get_submodule(first[0])
    if not isinstance(conv, nn.Conv2d) or conv.in_channels != image_shape[0]:
        return ""
    module = model.get_submodule(first[1])
    kept = isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
    return first[1] if kept else ""


@torch.no_grad()
def match(model: nn.Module, stem: str, images: Tensor) -> Match:
    """How the normalised images [n, c, h, w] meet the statistics stored at the BatchNorm `stem`."""
    x = first_value(model, stem, "input", images).float()
    mean, std, alive = _stored(model, stem)
    own = x.mean((2, 3))  # [n, channels]: images differ, so a few of them have a mean of their own
    seen_mean = own.mean(0)
    seen_std = x.transpose(0, 1).flatten(1).std(1)
    chance = own.var(0) / len(own) if len(own) > 1 else torch.zeros_like(mean)
    shift = ((seen_mean - mean).square() - chance) / std.square()
    ratio = (seen_std / std)[alive].median()
    # Each image's own part of the variance.
    energy = (x - seen_mean[:, None, None]).square().mean((2, 3))
    spread = (
        energy.std(0) / energy.mean(0).clamp_min(1e-12) if len(x) > 1 else torch.ones_like(mean)
    )
    return Match(
        std_ratio=max(float(ratio), 1e-6),
        # Two errors; the root of the variance's ratio halves them.
        std_chance=float(spread[alive].median()) / math.sqrt(len(x)),
        mean_shift=float(shift[alive].mean().clamp_min(0).sqrt()),
        images=len(images),
    )


def renormalised(images: Tensor, old: "Normalisation", new: "Normalisation") -> Tensor:
    """The same pixels, normalised otherwise."""
    pixels = images * _column(old[1], images) + _column(old[0], images)
    return (pixels - _column(new[0], images)) / _column(new[1], images)


Normalisation = tuple[Sequence[float], Sequence[float]]  # mean, std


def best_common(
    model: nn.Module, stem: str, images: Tensor, declared: Normalisation
) -> tuple[str, Normalisation, Match]:
    """Of the usual normalisations the one that meets the stored statistics best."""
    channels = images.shape[1]
    tried = []
    for name, (mean, std) in COMMON.items():
        usual = (mean[:channels], std[:channels])
        again = match(model, stem, renormalised(images, declared, usual))
        tried.append((name, usual, again))
    return min(tried, key=lambda one: one[2].distance)


@torch.no_grad()
def implied(model: nn.Module, conv: str, stem: str, declared: Normalisation) -> Implied | None:
    """What the stored statistics say of the training images, by the declared normalisation.

    The mean of a convolution's output is its kernels' sums times the mean of its input: solved by least
    squares for the input's mean. Its variance is that of a stationary input whose pixels correlate as
    in natural images (0.95 to the power of their distance; colours 0.9), so the ratio of the two is the
    input's variance. A rule of thumb of ours, good to about ten percent where it was checked; None where
    the kernels cannot tell (a 1x1 stem, grouped kernels).
    """
    module = model.get_submodule(conv)
    if not isinstance(module, nn.Conv2d) or module.groups > 1 or max(module.kernel_size) < 3:
        return None
    mean, std, alive = _stored(model, stem)
    weight = module.weight.double()[alive]
    if module.bias is not None:
        mean = mean - module.bias
    mean, std = mean.double()[alive], std.double()[alive]
    if len(weight) < weight.shape[1]:
        return None
    solved = torch.linalg.lstsq(weight.sum((2, 3)), mean[:, None]).solution[:, 0]
    expected = _variance_of_natural_input(weight)
    size = float((std.square() / expected.clamp_min(1e-12)).median().sqrt())
    pixel_mean = tuple(
        m + s * float(x) for m, s, x in zip(declared[0], declared[1], solved, strict=True)
    )
    return Implied(mean=pixel_mean, std=size * sum(declared[1]) / len(declared[1]))


def _variance_of_natural_input(weight: Tensor) -> Tensor:
    """Of each kernel's output, for an input of variance 1."""
    out, colours, height, width = weight.shape
    rows, cols = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = torch.stack([rows.flatten(), cols.flatten()], 1).double()
    space = NEIGHBOURS ** torch.cdist(place, place).to(weight.device)
    colour = torch.full((colours, colours), COLOURS, dtype=torch.float64, device=weight.device)
    colour.fill_diagonal_(1.0)
    w = weight.reshape(out, colours, -1)
    return torch.einsum("oap,obq,ab,pq->o", w, w, colour, space)


def _stored(model: nn.Module, stem: str) -> tuple[Tensor, Tensor, Tensor]:
    """Stored mean and std, and which channels live: a dead one agrees with nothing."""
    layer = model.get_submodule(stem)
    mean, variance = layer.running_mean, layer.running_var
    assert isinstance(mean, Tensor)
    assert isinstance(variance, Tensor)
    std = variance.clamp_min(0).sqrt()
    alive = std > 1e-3 * std.max()
    return mean, std.clamp_min(1e-12), alive


def _column(values: Sequence[float], images: Tensor) -> Tensor:
    return torch.tensor(values, dtype=images.dtype, device=images.device).view(-1, 1, 1)
