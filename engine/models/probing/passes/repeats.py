"""The same images again: a network must stay what it is, and should give the same answer."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.models.probing.output.returned import first_tensor

_PLAIN = (bool, int, float, str)  # attributes that a network may count or remember with


def statistics(model: nn.Module) -> dict[str, Tensor]:
    """What its BatchNorm layers hold, copied."""
    return {
        name: buffer.clone()
        for name, buffer in model.named_buffers()
        if name.endswith(("running_mean", "running_var"))
    }


def check_statistics(model: nn.Module, before: Mapping[str, Tensor], name: str) -> None:
    """UserError where a pass has changed what its BatchNorm layers hold."""
    after = dict(model.named_buffers())
    for path, was in before.items():
        if path in after and not torch.equal(after[path].nan_to_num(), was.nan_to_num()):
            raise UserError(
                f"{name} changes {path!r} while it runs, as in training; take train() out of its forward"
            )


@torch.no_grad()
def check_repeats(model: nn.Module, images: Tensor, answer: Tensor, name: str) -> list[str]:
    """A sentence where the answer to the same images differs; UserError where the network has changed."""
    before = _state(model)
    again = first_tensor(model(images.clone()))
    after = _state(model)
    for path, module in before.items():
        if isinstance(module, nn.Module) and after.get(path) is not module:
            raise UserError(
                f"{name} replaces its module {path!r} while it runs; build it once, in __init__"
            )
    if again is not None and torch.equal(again.nan_to_num(), answer.nan_to_num()):
        return []
    for path in before:
        if before[path] != after.get(path):
            raise UserError(
                f"{name} changes {path!r} while it runs, and gives another answer then: it is another "
                "network in each pass; let its forward leave it as it is unless self.training"
            )
    return [
        "It gives another answer to the same images each time (dropout in eval mode, or noise of its own): "
        "what differs between it and its copy is not all due to fewer bits."
    ]


def _state(model: nn.Module) -> dict[str, Any]:
    """Its modules, sums of its tensors and its plain attributes, by their names."""
    found: dict[str, Any] = {}
    for path, module in model.named_modules():
        if path:
            found[path] = module
        for key, value in vars(module).items():
            if isinstance(value, _PLAIN):
                found[f"{path}.{key}".strip(".")] = repr(value)
    for path, tensor in (*model.named_parameters(), *model.named_buffers()):
        values = tensor.float() if tensor.is_floating_point() else tensor
        found[path] = repr(complex(values.sum()))  # as text, in which what is no number is itself
    return found
