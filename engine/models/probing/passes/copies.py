"""Whether a student can be made: a network must be copied, and its copy run layers of its own."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.trace import watch_outputs
from engine.models.graph.flow import is_layer
from engine.models.probing.guards import SharesTheRest, put_around, uncopyable


def check_copy(model: nn.Module, images: Tensor, name: str) -> list[str]:
    """A student is a copy: it must be possible, and run layers of its own."""
    notes = []
    try:
        student = _copied(model)
    except Exception:  # noqa: BLE001  (whatever an object of the user's raises)
        held = sorted({type(v).__name__ for m in model.modules() for v in _attributes(m)})
        put_around(SharesTheRest, model)
        try:
            student = _copied(model)
        except Exception as error:
            raise UserError(
                f"{name} cannot be copied: {type(error).__name__}: {error}; keep what cannot be copied "
                "out of the network"
            ) from error
        notes.append(f"It holds what cannot be copied ({', '.join(held)}): its copy shares it.")
    strangers = _runs_of(model, student, images)
    if strangers:
        raise UserError(
            f"{name} cannot be copied: its copy runs layer {strangers[0]!r} of the original (a lambda, a "
            "hook or a global holds it); let its forward reach layers through self only"
        )
    return notes


def _attributes(module: nn.Module) -> Iterator[Any]:
    for key, value in vars(module).items():
        if key not in ("_parameters", "_buffers", "_modules"):
            yield from uncopyable(value)


def _copied(model: nn.Module) -> nn.Module:
    """A copy that shares its tensors: none need be copied to see whether the rest can be."""
    memo: dict[int, Any] = {id(t): t for t in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, memo)


@torch.no_grad()
def _runs_of(original: nn.Module, student: nn.Module, images: Tensor) -> list[str]:
    """The layers of the original that run when its copy does; there must be none."""
    ran: list[str] = []
    layers = [path for path, module in original.named_modules() if path and is_layer(module)]
    with watch_outputs(original, layers, lambda path, _: ran.append(path)):
        student(images.clone())
    return ran
