"""The class-conditional generator of GDFQ, which most later generator methods share.

Xu et al., "Generative Low-bitwidth Data Free Quantization", ECCV 2020, arXiv:2003.03603, section 3.2.
What goes into it, and so how it is told the class, is a module of its own (`embedding`).
"""

import torch
from torch import Tensor, nn

from engine.synthesis.generators.networks.classmix import ClassMix
from engine.synthesis.generators.networks.doubling import DoublingConv2d
from engine.synthesis.generators.networks.genie_generator import seed_size

WIDTH = 128  # channels before the second doubling
_SOFT_EPS = 0.8  # of the two inner normalisations, as GDFQ has it: they damp what varies little


class ClassBatchNorm(nn.Module):
    """BatchNorm whose scale and shift belong to the image's class: Σₖ λₖ γ_{yₖ} and Σₖ λₖ β_{yₖ}.

    (Qimera's released code takes the mean over k of these products, a factor K too small.)
    """

    def __init__(self, channels: int, classes: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = _own_norm(channels, eps, affine=False)
        self.scale = nn.Parameter(torch.ones(classes, channels))
        self.shift = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Tensor, mix: ClassMix) -> Tensor:
        scale, shift = (
            (table[mix.classes] * mix.weights[..., None]).sum(1)[..., None, None]
            for table in (self.scale, self.shift)
        )
        normalised: Tensor = self.norm(x)
        return torch.addcmul(shift, normalised, scale)


class PlainBatchNorm(nn.Module):
    """BatchNorm with one scale and shift for all classes: the small-image form."""

    def __init__(self, channels: int, classes: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = _own_norm(channels, eps, affine=True)

    def forward(self, x: Tensor, mix: ClassMix) -> Tensor:
        normalised: Tensor = self.norm(x)
        return normalised


class ConditionalGenerator(nn.Module):
    """Codes [n, code] and classes to images [n, channels, height, width] of mean 0, std 1 per channel.

    `class_norms` is the ImageNet form, in which the class enters through the three inner BatchNorms.
    Every BatchNorm normalises each batch by itself and keeps nothing. Sides that 4 does not divide are
    rounded up inside and cropped before the last one.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],  # channels, height, width
        *,
        code: int,
        classes: int,
        class_norms: bool = False,
        width: int = WIDTH,
    ) -> None:
        super().__init__()
        channels, height, width_px = image_shape
        self._size, self._seed_size = (height, width_px), seed_size(height, width_px)
        self._width = width
        norm = ClassBatchNorm if class_norms else PlainBatchNorm
        self.project = nn.Linear(code, width * self._seed_size[0] * self._seed_size[1])
        self.norm_1 = norm(width, classes)
        self.conv_2 = DoublingConv2d(width, width)
        self.norm_2 = norm(width, classes, _SOFT_EPS)
        self.conv_3 = DoublingConv2d(width, width // 2)
        self.norm_3 = norm(width // 2, classes, _SOFT_EPS)
        self.act = nn.LeakyReLU(0.2)
        self.conv_4 = nn.Conv2d(width // 2, channels, 3, padding=1)
        self.norm_4 = _own_norm(channels, 1e-5, affine=False)

    def forward(self, code: Tensor, mix: ClassMix) -> Tensor:
        height, width = self._size
        x = self.project(code).view(len(code), self._width, *self._seed_size)
        x = self.conv_2(self.norm_1(x, mix))
        x = self.conv_3(self.act(self.norm_2(x, mix)))
        x = self.act(self.norm_3(x, mix))
        images: Tensor = self.norm_4(torch.tanh(self.conv_4(x))[..., :height, :width])
        return images


def _own_norm(channels: int, eps: float, *, affine: bool) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=eps, affine=affine, track_running_stats=False)
