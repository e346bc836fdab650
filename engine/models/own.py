"""A network from the user's own Python file, `path/to/file.py:factory`; only the command line offers this.

The file is executed: it is the user's own program, named by the user on the command line.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from engine.core.errors import UserError
from engine.models.card import ModelCard

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def is_own(name: str) -> bool:
    """Whether a network's name is FILE.py:FACTORY."""
    file, colon, factory = name.rpartition(":")
    return bool(colon and factory) and file.endswith(".py")


def own_card(name: str, settings: Mapping[str, Any]) -> ModelCard:
    """A card for what the factory returns: a module, with its weights or to be given some."""
    file, _, factory_name = name.rpartition(":")
    factory = _find(Path(file), factory_name)

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
        name=name, title=factory_name, summary=f"A network of your own, from {Path(file).name}.",
        paper="", licence="yours", dataset="", image_shape=shape, mean=tuple(mean), std=tuple(std),
        resize=int(settings.get("resize") or shape[1]),
        interpolation=settings.get("interpolation") or "bicubic",
        build=build, weights=lambda: None,
    )  # fmt: skip


def _find(file: Path, factory: str) -> Any:
    if not file.is_file():
        raise UserError(f"model file {file} is not there; give the path of one that exists")
    spec = importlib.util.spec_from_file_location("own_network", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(
            f"model file {file} cannot be executed: {type(error).__name__}: {error}"
        ) from error
    if not callable(getattr(module, factory, None)):
        raise UserError(f"model file {file} has no function {factory!r}; name one behind the colon")
    return getattr(module, factory)


def _guess_shape(model: nn.Module, name: str) -> list[int]:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return [module.in_channels, 224, 224]
    raise UserError(f"{name} has no convolution; Quantoscope works on convolutional networks")


def _shape(values: Any, name: str) -> tuple[int, int, int]:
    numbers = [int(v) for v in values]
    if len(numbers) != 3 or min(numbers) < 1:
        raise UserError(f"model.image_shape of {name} is {numbers}; give channels,height,width")
    return numbers[0], numbers[1], numbers[2]
