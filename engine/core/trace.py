"""The only hooks of the engine: context managers that listen to modules and leave nothing behind."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Literal

import torch
from torch import Tensor, nn

from engine.core.errors import UserError

Forward = Callable[[Tensor], Tensor]


def first_given(args: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """The first of what a module is called with, by its place or by its name."""
    return args[0] if args else next(iter(named.values()))


@contextmanager
def watch_inputs(
    model: nn.Module, paths: Iterable[str], listen: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Inside, `listen(path, x)` is called with the first input of each named module, before it runs."""
    with ExitStack() as stack:
        for path in paths:
            module = model.get_submodule(path)

            def before(
                _module: nn.Module, args: tuple[Any, ...], named: dict[str, Any], path: str = path
            ) -> None:
                listen(path, first_given(args, named))

            stack.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
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


class _Seen(Exception):  # noqa: N818  (no error: it ends a pass early)
    pass


def first_value(
    model: nn.Module, path: str, which: Literal["input", "output"], x: Tensor
) -> Tensor:
    """What the named module reads or gives when it first runs; the model is run that far and no further."""
    seen: list[Tensor] = []

    def listen(_path: str, value: Tensor) -> None:
        seen.append(value.clone())
        raise _Seen

    watch = watch_inputs if which == "input" else watch_outputs
    with watch(model, [path], listen), suppress(_Seen):
        model(x)
    if not seen:
        raise UserError(
            f"layer {path!r} does not run for these images, though it did for others; make the "
            "network's forward take the same way for every image"
        )
    return seen[0]


@torch.no_grad()
def first_not_finite(model: nn.Module, x: Tensor, *, infinite: bool = True) -> str:
    """The path of the layer, or module without children, that first gives what is not finite; else "".

    Without `infinite` only what is no number counts: a network may mask by minus infinity.
    """
    found: list[str] = []

    def listen(path: str, y: Any) -> None:
        if not found and isinstance(y, Tensor):
            broken = ~y.isfinite() if infinite else y.isnan()
            found.extend([path] if bool(broken.any()) else [])

    leaves: list[str] = []
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{leaf}.") for leaf in leaves[-1:])
        childless = next(module.children(), None) is None
        if path and not inside and (childless or isinstance(module, (nn.Conv2d, nn.Linear))):
            leaves.append(path)
    with watch_outputs(model, leaves, listen):
        model(x)
    return next(iter(found), "")


@contextmanager
def computed_by(
    model: nn.Module, paths: Iterable[str], compute: Callable[[str, Tensor, Forward], Tensor]
) -> Iterator[None]:
    """Inside, the named modules give `compute(path, x, forward)`; their hooks work as before.

    `forward` is what the module itself does.
    """
    with ExitStack() as stack:
        for path in paths:
            module = model.get_submodule(path)
            kept, own = module.__dict__.get("forward"), module.forward

            def forward(*args: Any, path: str = path, own: Forward = own, **named: Any) -> Tensor:
                return compute(path, first_given(args, named), own)

            module.forward = forward
            stack.callback(_put_forward, module, kept)
        yield


def _put_forward(module: nn.Module, kept: Any) -> None:
    if kept is None:
        del module.__dict__["forward"]
    else:
        module.forward = kept


@contextmanager
def replaced_output(model: nn.Module, path: str, value: Tensor) -> Iterator[None]:
    """Inside, the named module gives `value`, whatever it reads."""
    handle = model.get_submodule(path).register_forward_hook(lambda *_: value)
    try:
        yield
    finally:
        handle.remove()


def count_hooks(model: nn.Module) -> int:
    """How many hooks and stand-ins are on the model now; zero outside of the managers above."""
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + ("forward" in m.__dict__)
        for m in model.modules()
    )
