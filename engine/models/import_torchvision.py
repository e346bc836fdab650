"""torchvision, imported in a way that its missing compiled operators cannot stop."""

import importlib
from functools import cache
from importlib.util import find_spec
from types import ModuleType

from engine.core.errors import UserError
from engine.core.outside.torchvision_guard import define_missing, guard_torchvision

__all__ = ["define_missing", "is_installed", "torchvision_models"]


def is_installed() -> bool:
    return find_spec("torchvision") is not None


@cache
def torchvision_models() -> ModuleType:
    """`torchvision.models`; UserError where torchvision is not installed."""
    if not is_installed():
        raise UserError(
            "torchvision is not installed; run: pip install torchvision==0.28.0 (beside torch 2.13.0)"
        )
    guard_torchvision()
    return importlib.import_module("torchvision.models")
