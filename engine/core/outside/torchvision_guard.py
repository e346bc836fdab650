"""What must be done before torchvision is first imported, whoever imports it. Imports torch only then.

torchvision's compiled library fits one build of torch only. Where the two do not match (a CPU build of
torch beside it is enough), `import torchvision` itself breaks with `operator torchvision::nms does not
exist`, although its networks need none of these operators.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_SCHEMAS = {  # the operators that torchvision gives a shape rule at import, whether they are there or not
    name: f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    for name in ("nms", "qnms")
}
_kept: list[Any] = []  # a definition ends with its library object


class _Guard(MetaPathFinder):
    """Finds nothing itself: it sees that torchvision is about to be imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            spec = PathFinder.find_spec(fullname)
            for folder in (spec and spec.submodule_search_locations) or ():
                _load_operators(Path(folder))
            define_missing("torchvision", _SCHEMAS)
        return None


def guard_torchvision() -> None:
    """From now on, the first import of torchvision in this process finds the operators that it names."""
    if "torchvision" not in sys.modules and not any(isinstance(f, _Guard) for f in sys.meta_path):
        sys.meta_path.insert(0, _Guard())


def _load_operators(package: Path) -> None:
    """Load torchvision's compiled library first: what it defines must not be defined twice."""
    import torch

    for library in package.glob("_C*.so"):
        try:
            torch.ops.load_library(library)
        except OSError:  # built for another torch
            continue


def define_missing(namespace: str, schemas: dict[str, str]) -> list[str]:
    """Define the operators (name: schema) that are not there; returns their names.

    They get no implementation: whoever calls one is told that it has none.
    """
    import torch

    operators = getattr(torch.ops, namespace)
    missing = [name for name in schemas if not hasattr(operators, name)]
    if missing:
        library = torch.library.Library(namespace, "FRAGMENT")
        for name in missing:
            library.define(schemas[name])
        _kept.append(library)
    return missing
