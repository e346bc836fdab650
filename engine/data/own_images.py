"""Images from the user's own program: whatever a function in a Python file yields, `file.py:factory`."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.core.errors import UserError
from engine.core.outside.own_code import load_factory
from engine.data.pixels.decode import to_pixels
from engine.data.pixels.high_bit_depth import check_scale, largest

_SLACK = 1e-3  # by which a generator's pixels may leave [0, 1]: they are clipped


def images_from(
    name: str,
    count: int,
    *,
    image_shape: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
    resize: int,
) -> Tensor:
    """The first `count` images of `factory()`, normalised, [count, channels, height, width].

    The factory returns an iterator or anything that can be iterated, endless or not. It gives images as
    tensors or arrays of the network's shape, or batches of them: floats in [0, 1], or bytes (0 to 255);
    or Pillow's images, which are fitted like those of a folder. No more is asked for than is needed.
    UserError, which names the file and function, for anything else.
    """
    taken: list[Tensor] = []
    peaks: list[int | None] = []
    have = 0
    for part in _parts(name):
        batch = _batch(name, part, have, image_shape, resize)
        taken.append(batch[: count - have])
        if isinstance(part, Image.Image):
            peaks.append(largest(part))
        have += len(taken[-1])
        if have >= count:
            break
    if have < count:
        raise UserError(
            f"synthesis 'external' needs {count} images, and {name} gave {have}; choose fewer --images"
        )
    dark = check_scale(peaks)
    if dark:
        raise UserError(
            f"the pictures of {name} of more than 8 bits have {dark}, and would be nearly black; "
            "give them as 8 bits"
        )
    centre, spread = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
    return (torch.cat(taken) - centre) / spread


def _parts(name: str) -> Iterator[Any]:
    """What the user's iterator gives; its own errors are the user's to mend."""
    factory = load_factory(name, "generator")
    given = 0
    try:
        for part in factory():
            yield part
            given += 1
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{name} broke off after {given} items: {type(error).__name__}: {error}; it must return "
            "something that yields images"
        ) from error


def _batch(name: str, part: Any, number: int, shape: tuple[int, int, int], resize: int) -> Tensor:
    """One item as [n, channels, height, width] in [0, 1]."""
    if isinstance(part, Image.Image):
        try:
            return torch.from_numpy(to_pixels(part, shape, resize).copy())[None].float() / 255
        except ValueError as error:
            raise UserError(
                f"image {number} of {name} cannot be used: {error}; give one of the network's shape"
            ) from error
    if not isinstance(part, (Tensor, np.ndarray)):
        raise UserError(
            f"image {number} of {name} is of type {type(part).__name__}; "
            "give tensors, arrays or Pillow's images"
        )
    try:
        pixels = torch.as_tensor(part).detach().cpu()
    except TypeError as error:
        raise UserError(
            f"image {number} of {name} holds no numbers: {error}; give floats in [0, 1], or bytes"
        ) from error
    if pixels.ndim not in (3, 4) or tuple(pixels.shape[-3:]) != shape:
        raise UserError(
            f"image {number} of {name} has the shape {list(pixels.shape)}, and the network takes "
            f"{list(shape)}; give that, or batches of it"
        )
    if not len(pixels):
        raise UserError(
            f"image {number} of {name} is an empty batch; give images, or come to an end"
        )
    pixels = pixels.reshape(-1, *shape)
    if pixels.dtype == torch.uint8:
        return pixels.float() / 255
    if not pixels.is_floating_point():
        raise UserError(
            f"image {number} of {name} is of {pixels.dtype}; give floats in [0, 1], or bytes"
        )
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= -_SLACK and high <= 1 + _SLACK):  # not a number is refused too
        raise UserError(
            f"image {number} of {name} has values from {low:.3g} to {high:.3g}; give them in [0, 1]"
        )
    return pixels.float().clamp(0, 1)
