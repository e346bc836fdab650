"""What is wrapped around a network to run it faster or on several devices, taken off again."""

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
    return model, tuple(f"{what} taken off it" for what in dict.fromkeys(taken))


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
