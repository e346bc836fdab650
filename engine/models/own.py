"""A network from the user's own Python file, `path/to/file.py:factory`; only the command line offers this.

The file is executed: it is the user's own program, named by the user on the command line.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

from engine.core.errors import UserError
from engine.core.own_code import file_and_factory, is_own, load_factory
from engine.models.card import ModelCard

__all__ = ["is_own", "own_card"]
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def own_card(name: str, settings: Mapping[str, Any]) -> ModelCard:
    """A card for what the factory returns: a module, with its weights or to be given some."""
    file, factory_name = file_and_factory(name)
    factory = load_factory(name, "model")

    def build() -> nn.Module:
        model = factory()
        if not isinstance(model, nn.Module):
            raise UserError(
                f"{name} returned {type(model).__name__}; it must return a torch.nn.Module"
            )
        return model

    shape = _shape(settings.get("image_shape") or _guess_shape(build(), name), name)
    three = shape[0] == 3
    mean = settings.get("mean") or (_IMAGENET[0] if three else (0.5,) * shape[0])
    std = settings.get("std") or (_IMAGENET[1] if three else (0.5,) * shape[0])
    return ModelCard(
        name=name, title=factory_name, summary=f"A network of your own, from {file.name}.",
        paper="", licence="yours", dataset="", image_shape=shape, mean=tuple(mean), std=tuple(std),
        resize=int(settings.get("resize") or shape[1]),
        interpolation=settings.get("interpolation") or "bicubic",
        build=build, weights=lambda: None, classifier=settings.get("output") != "embedding",
    )  # fmt: skip


def _guess_shape(model: nn.Module, name: str) -> list[int]:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return [module.in_channels, 224, 224]
    raise UserError(f"{name} has no convolution; give a convolutional network")


def _shape(values: Any, name: str) -> tuple[int, int, int]:
    numbers = [int(v) for v in values]
    if len(numbers) != 3 or min(numbers) < 1:
        raise UserError(f"model.image_shape of {name} is {numbers}; give channels,height,width")
    return numbers[0], numbers[1], numbers[2]
