"""A network from the user's own Python file, `path/to/file.py:factory`; only the command line offers this.

The file is executed: it is the user's own program, named by the user on the command line. It is executed
and its factory called with one fixed seed (not the recipe's: every run must have the same teacher).
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from engine.core.errors import UserError
from engine.core.outside.own_code import file_and_factory, guarded, is_own, load_factory
from engine.models.card import ModelCard
from engine.models.card_settings import check_shape
from engine.models.probing.image_size import Size, channels_of, known_shape

__all__ = ["is_own", "own_card"]
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_SEED = (
    0  # of torch, numpy and random, before the file is executed and before the factory is called
)


def own_card(name: str, settings: Mapping[str, Any]) -> ModelCard:
    """A card for what the factory returns: a module, with its weights or to be given some.

    The shape of its images is the setting `image_shape`; else the size of the images to judge with, or
    what its checkpoint is known for (`image_size`: height, width or channels, height, width; see
    engine.run.recipes.image_size); else what the network itself tells. UserError where all are silent.
    """
    file, factory_name = file_and_factory(name)
    with _seeded():
        factory = load_factory(name, "model")

    def build() -> nn.Module:
        with _seeded():
            model = guarded(factory, name, step=f"{name}()", trouble=f"{name} cannot be called")
        if not isinstance(model, nn.Module):
            raise UserError(
                f"{name} returned {type(model).__name__}; it must return a torch.nn.Module"
            )
        return model

    given = settings.get("image_shape")
    shape = (
        check_shape(given, "model.image_shape")
        if given
        else _found(build(), settings.get("image_size"), name)
    )
    three = shape[0] == 3
    mean = settings.get("mean") or (_IMAGENET[0] if three else (0.5,) * shape[0])
    std = settings.get("std") or (_IMAGENET[1] if three else (0.5,) * shape[0])
    return ModelCard(
        name=name, title=factory_name, summary=f"A network of your own, from {file.name}.",
        paper="", licence="yours", dataset="", image_shape=shape, mean=tuple(mean), std=tuple(std),
        resize=int(settings.get("resize") or shape[1]),
        interpolation=settings.get("interpolation") or "bicubic",
        build=build, weights=lambda: None, output=str(settings.get("output") or "auto"),
    )  # fmt: skip


@contextmanager
def _seeded() -> Iterator[None]:
    """Inside, what draws from the process's own generators draws the same each time; no switch stays set."""
    python, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002  (the user's may use it)
    kind, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        random.seed(_SEED)
        np.random.seed(_SEED)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)  # noqa: NPY002
            torch.set_default_dtype(kind)  # the engine's own tensors are no double ones
            torch.set_grad_enabled(gradients)


def _found(model: nn.Module, size: Size | None, name: str) -> tuple[int, int, int]:
    """The shape that the images, the checkpoint or the network itself tell; never a guess."""
    channels = channels_of(model)
    if size is not None:
        return channels or (size[0] if len(size) == 3 else 3), size[-2], size[-1]
    known = known_shape(model)
    if known is not None:
        return known
    takes = f"images of {channels} channels" if channels else "images"
    raise UserError(
        f"{name} takes {takes}, and of what size nothing tells; give --set model.image_shape="
        f"{channels or 3},HEIGHT,WIDTH (as it was trained, for example {channels or 3},32,32), or --data "
        "with images that are all of that size"
    )
