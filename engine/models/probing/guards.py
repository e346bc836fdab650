"""What is put around a network whose own ways would harm its neighbours; paths and names stay.

As with quantized layers (engine.quantization.layers): a subclass at the same place, made when needed.
"""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

from torch import nn

_TENSORS = ("_parameters", "_buffers", "_modules")  # torch's own, which can always be copied


class SparesImages:
    """Mixed into a network that writes into its input: it is given a copy, so that the images survive."""

    def forward(self, images: Any) -> Any:
        return super().forward(images.clone())  # type: ignore[misc]


class SharesTheRest:
    """Mixed into a network that holds what cannot be copied (a lock, a file): copies share that one."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        for module in list(self.modules()):  # type: ignore[attr-defined]
            for key, value in vars(module).items():
                if key not in _TENSORS:
                    memo.update({id(part): part for part in uncopyable(value)})
        made = self.__class__.__new__(self.__class__)
        memo[id(self)] = made
        made.__dict__ = copy.deepcopy(self.__dict__, memo)
        return made


def uncopyable(value: Any, depth: int = 3) -> Iterator[Any]:
    """The parts of a module's attribute that cannot be copied, each as small as can be."""
    if isinstance(value, (nn.Module, str, int, float, bool, type(None))):
        return
    if isinstance(value, (dict, list, tuple, set)) and depth:
        for part in value.values() if isinstance(value, dict) else value:
            yield from uncopyable(part, depth - 1)
        return
    try:
        copy.deepcopy(value)
    except Exception:  # noqa: BLE001  (whatever an object of the user's raises)
        yield value


@cache
def _mixed(mixin: type, cls: Any) -> Any:
    return type(cls)(cls.__name__, (mixin, cls), {"__module__": cls.__module__})


def put_around(mixin: type, model: nn.Module) -> None:
    """Mix it into the network's class, in place; nothing where it is there already."""
    if not isinstance(model, mixin):
        model.__class__ = _mixed(mixin, type(model))  # type: ignore[arg-type]
