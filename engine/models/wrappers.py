"""What is wrapped around a network to run it faster or on several devices, taken off again."""

import types
from typing import Any

from torch import nn

_NAMES = {
    "OptimizedModule": ("torch.compile", "_orig_mod")
}  # its class lies in what takes seconds to import


def unwrapped(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """The network itself, and what was taken off, in words; its own modules are unwrapped in place."""
    taken: list[str] = []
    model = _inner(model, taken)
    for module in list(model.modules()):
        for key, child in module._modules.items():
            inner = child if child is None else _inner(child, taken)
            if inner is not child:
                module._modules[key] = inner
        if getattr(module, "_compiled_call_impl", None) is not None:  # of Module.compile()
            module._compiled_call_impl = None
            taken.append("torch.compile")
        if _decompiled(module):
            taken.append("torch.compile")
    return model, tuple(f"{what} taken off it" for what in dict.fromkeys(taken))


def _decompiled(module: nn.Module) -> bool:
    """Give a module whose methods were compiled (`@torch.compile`) those that they were made of."""
    own = {
        key: value._torchdynamo_orig_callable
        for key, value in vars(module).items()
        if hasattr(value, "_torchdynamo_orig_callable")
    }
    module.__dict__.update(own)
    kind = type(module)
    inherited: dict[str, Any] = {}
    for cls in reversed(kind.__mro__):
        inherited |= vars(cls)
    methods = {
        key: value._torchdynamo_orig_callable
        for key, value in inherited.items()
        if hasattr(value, "_torchdynamo_orig_callable")
    }
    if methods:
        methods["__module__"] = kind.__module__
        module.__class__ = types.new_class(
            kind.__name__, (kind,), exec_body=lambda body: body.update(methods)
        )
    return bool(own or methods)


def _inner(module: nn.Module, taken: list[str]) -> nn.Module:
    while True:
        what, key = _NAMES.get(type(module).__name__, ("", ""))
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            what, key = type(module).__name__, "module"
        inside = module._modules[key] if key else None
        if inside is None:
            return module
        taken.append(what)
        module = inside
