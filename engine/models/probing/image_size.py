"""What a network itself tells of the size of its images; where it is silent, nothing is guessed."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from engine.core.sampling.noise_images import noise_images

Size = tuple[int, ...]  # height, width; or channels before them
_USUAL = (28, 32, 48, 56, 64, 75, 84, 96, 112, 128, 160, 192, 224, 227, 240, 256, 299, 331, 384)
_MOST_PIXELS = 2**18


def channels_of(model: nn.Module) -> int:
    """How many channels the first convolution takes; 0 where none says."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)) and module.in_channels > 0:
            return module.in_channels if isinstance(module, nn.Conv2d) else 0
    return 0


def known_shape(model: nn.Module) -> tuple[int, int, int] | None:
    """Channels, height, width: from what the network keeps of it, or because it runs at one size only."""
    channels = channels_of(model) or 3
    for size in _kept(model):
        return channels, size[-2], size[-1]
    fitting = []
    for side in _USUAL:
        if side * side <= _MOST_PIXELS and _runs(model, (channels, side, side)):
            fitting.append(side)
        if len(fitting) > 1:
            return None  # it pools, and takes any
    return (channels, fitting[0], fitting[0]) if fitting else None


def _kept(model: nn.Module) -> Iterator[Size]:
    """Sizes that a network of a library keeps with itself (timm, torchvision's transformers, others)."""
    for name in ("pretrained_cfg", "default_cfg", "config"):
        about = getattr(model, name, None)
        size = about.get("input_size") if isinstance(about, Mapping) else None
        yield from _as_size(size)
    for name in ("input_size", "image_shape", "img_size", "image_size"):
        yield from _as_size(getattr(model, name, None))


def _as_size(value: Any) -> Iterator[Size]:
    if isinstance(value, int) and not isinstance(value, bool) and 8 <= value <= 4096:
        yield value, value
    is_shape = isinstance(value, (list, tuple)) and len(value) in (2, 3)
    if is_shape and all(isinstance(one, int) and 1 <= one <= 4096 for one in value):
        yield tuple(value)


@torch.no_grad()
def _runs(model: nn.Module, shape: tuple[int, int, int]) -> bool:
    kind = next((p.dtype for p in model.parameters()), torch.float32)
    was_training = model.training
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.eval()(noise_images(2, shape, model).to(kind))
    except Exception:  # noqa: BLE001  (not of this size)
        return False
    finally:
        model.train(was_training)
    return True
