"""The first pass of a network through two images: why it does not run, and what it keeps out of sight."""

import inspect
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine.core.errors import UserError
from engine.core.outside.own_code import in_its_folder, in_words, is_own
from engine.core.outside.slow_code import said_when_slow
from engine.core.trace import watch_inputs
from engine.models.graph.flow import is_layer
from engine.models.plain_modules import shape_words
from engine.models.probing.passes.switches import unswitched

_IN_A_THREAD = (
    "in another thread than the one that calls it, where nobody can tell what comes first",
    "let its forward call its layers one after another",
)


def first_pass(model: nn.Module, images: Tensor, name: str) -> Any:
    """What the network returns for the images, [2, ...]; UserError with the cause and the way out."""
    _, channels, height, width = images.shape
    trouble = f"{name} does not run on two images of {shape_words((channels, height, width))}"
    unread: dict[str, tuple[str, str]] = {}
    try:
        with (
            in_its_folder(name) if is_own(name) else nullcontext(),
            torch.no_grad(),
            unswitched(name),
            _watch_insides(model, unread),
            said_when_slow(
                f"the first pass of {name}, on two images,", "mend the loop in its forward"
            ),
        ):
            returned = model(images)
    except UserError:
        raise
    except SystemExit as error:
        raise UserError(
            f"{trouble}: it ends the program (sys.exit({error.code!r})); take that out of its forward"
        ) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise UserError(f"{trouble}: {in_words(error)}; {_way_out(model, error)}") from error
    for path, (where, way) in unread.items():
        raise UserError(f"{name} runs layer {path!r} {where}; {way}")
    return returned


def _watch_insides(
    model: nn.Module, unread: dict[str, tuple[str, str]]
) -> AbstractContextManager[None]:
    """In it, layers that run where nobody can follow are noted: where that is, and the way out."""
    read = [p for p, m in model.named_modules() if p and (is_layer(m) or isinstance(m, _BatchNorm))]
    here = threading.get_ident()

    def listen(path: str, x: Any) -> None:
        if threading.get_ident() != here:
            unread.setdefault(path, _IN_A_THREAD)
        elif isinstance(x, Tensor) and (what := _transform(x)):
            where = f"inside {what}, where what it reads is no plain batch of images"
            unread.setdefault(path, (where, "call its layers outside of that"))

    return watch_inputs(model, read, listen)


def _transform(x: Tensor) -> str:
    """What computes with more than the images that the layer reads; "" where nothing does."""
    if torch._C._functorch.is_functorch_wrapped_tensor(x):
        kind = torch._C._functorch.peek_interpreter_stack()
        return f"torch.func.{'vmap' if kind is None else kind.key().name.lower()}"
    if x.requires_grad and torch.is_grad_enabled():  # the images and weights want none
        return "a gradient of its own (torch.autograd.grad)"
    return ""


def _way_out(model: nn.Module, error: BaseException) -> str:
    if _needs_more(model):
        return "it is given images alone: wrap it in a module that takes these and knows the rest"
    if "higher order operator" in str(error).lower():
        return "call its layers outside of what torch captures whole (torch.cond, torch.while_loop, ..)"
    words = str(error).lower()
    if any(word in words for word in ("cuda", "mps", " device")):
        return "take what names a device (.cuda(), .to('cuda')) out of its forward"
    if "same dtype" in words or "scalar type" in words:
        return (
            "it computes in float32 here: take .double(), .half() and the like out of its forward"
        )
    return "give the size it takes as model.image_shape=channels,height,width, or mend its forward"


def _needs_more(model: nn.Module) -> bool:
    """Whether its forward asks for other inputs than one by its place."""
    kinds = inspect.Parameter
    needed = [
        p for p in inspect.signature(model.forward).parameters.values()
        if p.default is kinds.empty and p.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
    ]  # fmt: skip
    return len(needed) > 1 or any(p.kind is kinds.KEYWORD_ONLY for p in needed)


def unregistered(model: nn.Module) -> list[str]:
    """A sentence on layers that a module holds in a plain list or dictionary, which torch cannot see."""
    known = {id(module) for module in model.modules()}
    places = [
        f"{path}.{key}".strip(".")
        for path, module in model.named_modules()
        for key, value in vars(module).items()
        if key != "_modules"
        and any(id(one) not in known and _has_layers(one) for one in _modules_in(value))
    ]
    if not places:
        return []
    return [
        f"Layers in a plain list or dictionary ({', '.join(places[:3])}) are no part of it: they stay float "
        "and are not counted; hold them in nn.ModuleList or nn.ModuleDict."
    ]


def _modules_in(value: Any) -> Iterator[nn.Module]:
    values = value.values() if isinstance(value, Mapping) else value
    if isinstance(values, nn.Module) or not isinstance(value, (list, tuple, Mapping)):
        return
    yield from (one for one in values if isinstance(one, nn.Module))


def _has_layers(module: nn.Module) -> bool:
    return any(is_layer(one) for one in module.modules())
