"""Hooks that a network comes with: those that only watch are taken off, those that compute stay inside.

A block is run by itself and a graph knows no hooks of the whole, so what a hook on the network itself
computes would be missing there: such a network is refused.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError

_HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs", "_forward_hooks_always_called", "_backward_hooks",
    "_backward_pre_hooks",
)  # fmt: skip
Answer = Callable[[Tensor], Tensor | None]


def take_off_watchers(model: nn.Module, images: Tensor, answer: Answer, name: str) -> list[str]:
    """Remove hooks without which it answers the same; UserError where the network itself needs one."""
    hooked = [m for m in model.modules() if any(getattr(m, kind) for kind in _HOOKS)]
    if not hooked:
        return []
    other = images.flip(0) * 0.5
    wanted = answer(images)
    answer(other)  # what a hook has kept of `images` is gone
    kept = {m: _taken(m) for m in hooked}
    if _is_same(wanted, answer, images):
        return [f"{len(hooked)} modules had hooks that only watch: they were taken off."]
    for module, hooks in kept.items():
        _put_back(module, hooks)
    answer(other)
    root = _taken(model)
    if any(root.values()) and not _is_same(wanted, answer, images):
        raise UserError(
            f"{name} has a hook on the network itself that changes what it computes; write that into its "
            "forward"
        )
    return [f"{len(hooked)} modules have hooks that change what they compute: they stay."]


def _taken(module: nn.Module) -> dict[str, dict[int, Any]]:
    hooks = {kind: dict(getattr(module, kind)) for kind in _HOOKS}
    for kind in _HOOKS:
        getattr(module, kind).clear()
    return hooks


def _put_back(module: nn.Module, hooks: dict[str, dict[int, Any]]) -> None:
    for kind, those in hooks.items():
        getattr(module, kind).update(those)


def _is_same(wanted: Tensor | None, answer: Answer, images: Tensor) -> bool:
    try:
        got = answer(images)
    except Exception:  # noqa: BLE001  (what a hook should have left is missing)
        return False
    return got is not None and wanted is not None and torch.equal(got, wanted)
