"""Images of noise, to see what a network does where no others are needed: it may refuse an empty one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.core.sampling.randomness import stream


def noise_images(count: int, image_shape: Sequence[int], model: nn.Module) -> Tensor:
    """[count, ...], the same each time, where the model's parameters lie."""
    images = torch.randn(count, *image_shape, generator=stream(0, "images of noise"))
    return images.to(next((p.device for p in model.parameters()), torch.device("cpu")))
