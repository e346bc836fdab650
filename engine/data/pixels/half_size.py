"""Images at half of their size, for networks that enlarge them, and enlarged again without any network."""

from torch import Tensor
from torch.nn import functional


def halved(pixels: Tensor) -> Tensor:
    """uint8 [n, c, 2h, 2w] to uint8 [n, c, h, w]: bicubic with antialiasing, rounded to whole pixels."""
    small = functional.interpolate(pixels.float(), scale_factor=0.5, mode="bicubic", antialias=True)
    return small.round().clamp(0, 255).byte()


def enlarged(images: Tensor, side: tuple[int, int]) -> Tensor:
    """Floats [n, c, h, w] to [n, c, *side], bicubic: what a network has to do better than."""
    return functional.interpolate(images, size=side, mode="bicubic")
