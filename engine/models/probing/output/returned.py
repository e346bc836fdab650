"""What a network returned, whatever it is: the tensors in it, and the way to each."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

Entry = tuple[tuple[str, Any], ...]  # ("item", key) or ("attribute", name), from outside to inside


def tensors(value: Any, entry: Entry = ()) -> Iterator[tuple[Entry, Tensor]]:
    """Every tensor in what a network returned, with the way to it; nothing for what holds none."""
    if isinstance(value, Tensor):
        yield entry, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from tensors(one, (*entry, ("item", key)))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from tensors(getattr(value, field.name), (*entry, ("attribute", field.name)))
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for name in value._fields:
            yield from tensors(getattr(value, name), (*entry, ("attribute", name)))
    elif isinstance(value, (tuple, list)):
        for k, one in enumerate(value):
            yield from tensors(one, (*entry, ("item", k)))


def named(entry: Entry) -> str:
    """The way to a tensor as it is asked for, for example "aux.logits"; empty for the whole."""
    return ".".join(str(name) for _, name in entry)


def first_tensor(value: Any) -> Tensor | None:
    """The first tensor of floats; None where there is none."""
    return next((y for _, y in tensors(value) if y.is_floating_point()), None)
