"""Tiny networks whose answers can be worked out by hand."""

import torch
from torch import Tensor, nn

from engine.models.architectures.vit import SmallViT


class TwoBlocks(nn.Module):
    """A chain: 1x1 convolution x2, BatchNorm (mean 1, variance 4), ReLU; the same again; a mean.

    Without its epsilon, one block maps x to relu((2x - 1) / 2) = relu(x - 1/2); so an image of the
    constant x >= 1 has the output x - 1, and 0.5 <= x < 1 has 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = _doubling_block()
        self.second = _doubling_block()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)).mean((2, 3))


def _doubling_block() -> nn.Sequential:
    conv = nn.Conv2d(1, 1, 1, bias=False)
    bn = nn.BatchNorm2d(1, eps=0.0)
    nn.init.constant_(conv.weight, 2.0)
    nn.init.constant_(bn.running_mean, 1.0)
    nn.init.constant_(bn.running_var, 4.0)
    return nn.Sequential(conv, bn, nn.ReLU())


class ResidualToy(nn.Module):
    """A stem, a residual block x + conv(bn(x)), a classifier of 3; the residual hides no weight."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.block = Residual(4)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.3, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.stem(x)))


class Residual(nn.Module):
    """x + conv(bn(x)): data flows otherwise than in a chain, so this is one block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.bn(x))


class TinyViT(SmallViT):
    """Four tokens of eight numbers, two blocks of two heads, a classifier of 3; images of 8 by 8 pixels."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__(channels, 3, 8, width=8, depth=2, heads=2, widening=2)


class ConvWithoutBn(nn.Module):
    """No BatchNorm anywhere: nothing to synthesise from; its output is 3 times the mean of x."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(self.conv.weight, 3.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3))


class Failing(nn.Module):
    """Breaks in its second layer, after the first has run."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Identity()
        self.broken = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.broken(self.fine(x)[:, :1])


def catalog() -> dict[str, list[dict[str, object]]]:
    """A catalog of one network and one method of each kind, as engine.run.catalog would give it."""
    return {
        "models": [
            {
                "name": "toy",
                "settings": [_knob("mean", [0.5], "list")],
                "presets": {"quick": {"synthesis.steps": 7, "images": 16}},
            }
        ],
        "synthesis": [
            {
                "name": "dream",
                "settings": [
                    _knob("steps", 100, "int", low=1, high=1000, quick=10),
                    _knob("rate", 0.1, "float", low=0, high=1),
                    _knob("swing", True, "bool"),
                    _knob("start", "noise", "str", choices=["noise", "grey"]),
                ],
            }
        ],
        "quantization": [{"name": "nearest", "settings": []}],
    }


def _knob(name: str, default: object, kind: str, **more: object) -> dict[str, object]:
    quick = more.pop("quick", default)
    bounds = {"low": None, "high": None, "choices": []}
    presets = {"paper": default, "standard": default, "quick": quick}
    return {"name": name, "type": kind, "default": default, **bounds, **more, "presets": presets}
