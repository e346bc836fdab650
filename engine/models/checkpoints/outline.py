"""A network without its weights: as large as one likes, built in milliseconds and no memory."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_DRAWS = (Tensor.normal_, Tensor.uniform_)


class _NoWeights(TorchFunctionMode):
    """Puts every `torch.empty` on the meta device: layers allocate their parameters with it.

    Random numbers for such parameters are not drawn: on the meta device that is slow for nothing.

    (`with torch.device("meta")` moves all factories, and breaks networks that compute their widths
    with small tensors, as torchvision's RegNet does.)
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DRAWS and args[0].is_meta:
            return args[0]
        if func is torch.empty:
            kwargs = kwargs | {"device": "meta"}
        return func(*args, **kwargs)


def outline(build: Callable[[], nn.Module]) -> nn.Module:
    """What `build` makes, with parameters that have a shape and nothing else."""
    with _NoWeights():
        return build()


@dataclass(frozen=True, slots=True)
class Count:
    """What only the built network can tell."""

    parameters: int
    batchnorm_layers: int
    convolutions: int
    outputs: int  # of the last layer with weights


@cache
def count(build: Callable[[], nn.Module]) -> Count:
    """Counts what `build` makes; once only for equal builders."""
    return count_of(outline(build))


def count_of(model: nn.Module) -> Count:
    """Counts a built network."""
    last = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))][-1:]
    return Count(
        parameters=sum(p.numel() for p in model.parameters()),
        batchnorm_layers=sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()),
        convolutions=sum(isinstance(m, nn.Conv2d) for m in model.modules()),
        outputs=int(last[0].weight.shape[0]) if last else 0,
    )
