"""torchvision, imported in a way that its missing compiled operators cannot stop.

torchvision's compiled library fits one build of torch only. Where the two do not match (a CPU build of
torch beside it is enough), `import torchvision` itself breaks with `operator torchvision::nms does not
exist`, although its networks need none of these operators.
"""

import importlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

from engine.core.errors import UserError

_SCHEMAS = {  # the operators that torchvision gives a shape rule at import, whether they are there or not
    name: f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    for name in ("nms", "qnms")
}
_kept: list[torch.library.Library] = []  # a definition ends with its library object


def is_installed() -> bool:
    return find_spec("torchvision") is not None


@cache
def torchvision_models() -> ModuleType:
    """`torchvision.models`; UserError where torchvision is not installed."""
    spec = find_spec("torchvision")
    if spec is None:
        raise UserError(
            "torchvision is not installed; run: pip install torchvision==0.28.0 (beside torch 2.13.0)"
        )
    for folder in spec.submodule_search_locations or ():
        _load_operators(Path(folder))
    define_missing("torchvision", _SCHEMAS)
    return importlib.import_module("torchvision.models")


def _load_operators(package: Path) -> None:
    """Load torchvision's compiled library first: what it defines must not be defined twice."""
    for library in package.glob("_C*.so"):
        try:
            torch.ops.load_library(library)
        except OSError:  # built for another torch
            continue


def define_missing(namespace: str, schemas: dict[str, str]) -> list[str]:
    """Define the operators (name: schema) that are not there; returns their names.

    They get no implementation: whoever calls one is told that it has none.
    """
    operators = getattr(torch.ops, namespace)
    missing = [name for name in schemas if not hasattr(operators, name)]
    if missing:
        library = torch.library.Library(namespace, "FRAGMENT")
        for name in missing:
            library.define(schemas[name])
        _kept.append(library)
    return missing
