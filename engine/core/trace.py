"""The only hooks of the engine: context managers that listen to modules and leave nothing behind."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def watch_inputs(
    model: nn.Module, paths: Iterable[str], listen: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Inside, `listen(path, x)` is called with the first input of each named module, before it runs."""
    with ExitStack() as stack:
        for path in paths:
            module = model.get_submodule(path)

            def before(_module: nn.Module, args: tuple[Any, ...], path: str = path) -> None:
                listen(path, args[0])

            stack.callback(module.register_forward_pre_hook(before).remove)
        yield


@contextmanager
def watch_outputs(
    model: nn.Module, paths: Iterable[str], listen: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Inside, `listen(path, y)` is called with the output of each named module, after it ran."""
    with ExitStack() as stack:
        for path in paths:
            module = model.get_submodule(path)

            def after(_module: nn.Module, _args: Any, output: Tensor, path: str = path) -> None:
                listen(path, output)

            stack.callback(module.register_forward_hook(after).remove)
        yield


def count_hooks(model: nn.Module) -> int:
    """How many forward hooks are on the model now; zero outside of the managers above."""
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
