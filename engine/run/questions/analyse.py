"""A finished run looked at again: what each layer's bits cost the whole network.

Everything stays quantized but one layer, its weights alone, or its input alone: what comes back then is
their share of the loss. Shares need not add up, since one layer's error may hide another's.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.accuracy import logit_kl, top1
from engine.core import device as devices
from engine.core.errors import UserError
from engine.quantization.layers import QuantInput
from engine.run.context import Context, make_context
from engine.run.control import Control
from engine.run.folder import RunFolder, write_atomically
from engine.run.questions.layer_costs import FILE
from engine.run.stages.quantize import load_student
from engine.run.stages.synthesise import load_images

BATCH = 100
_NO_INPUT = {"input_kl_gain": None, "input_top1_gain": None}


def analyse(folder: RunFolder, images: int = 1000) -> dict[str, Any]:
    """Leave-one-out gains of every layer, on the first test images; kept in the run's folder.

    `kl_gain`: how much nearer the predictions come to the teacher's (Kullback-Leibler divergence, nats)
    with this layer's weights and input in float, `top1_gain` in shares of the images right (None without
    labels). `weights_...`: with its weights alone in float. `input_...`: with its input alone (None where
    that is float anyway). An input that a block shares comes back for all that read it. Corrections stay
    as they are.
    """
    if folder.result() is None:
        raise UserError(
            f"run {folder.run_id!r} is not finished; there is no student to look at yet"
        )
    control = Control(folder.path, lambda _state: None)
    context = make_context(folder.recipe, folder, control, devices.choose())
    if not context.card.classifier:
        raise UserError(
            f"run {folder.run_id!r} is of a network without classes, and costs of layers are told by what "
            "becomes of the classes' scores; its result has each layer's SQNR"
        )
    x, labels = _images(context, images)
    student = load_student(context)
    wanted = _logits(context, context.teacher, x)
    whole = _score(_logits(context, student, x), wanted, labels)

    def gain(floats: list[tuple[str, str]], prefix: str) -> dict[str, float | None]:
        with without(student, floats):
            alone = _score(_logits(context, student, x), wanted, labels)
        return {prefix + name: value for name, value in _gain(whole, alone).items()}

    layers = []
    for path in context.plan:
        weights = [(path, "weight_quantizer")]
        read = [(_owner(context, path), "input_quantizer")]
        read = read if _is_quantized(student, *read[0]) else []
        layers.append(
            {
                "path": path,
                **gain([*weights, *read], ""),
                **gain(weights, "weights_"),
                **(gain(read, "input_") if read else _NO_INPUT),
            }
        )
    found = {
        "run": folder.run_id,
        "images": len(x),
        "test_set": context.test.name if context.test else "the calibration images themselves",
        **whole,
        "layers": layers,
    }
    write_atomically(folder.path / FILE, json.dumps(found, indent=1).encode())
    return found


@contextmanager
def without(student: nn.Module, quantizers: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Inside, these quantizers (a module's path, and the name that it has there) are off."""
    modules: list[Any] = [student.get_submodule(path) for path, _ in quantizers]
    names = [name for _, name in quantizers]
    kept = [getattr(module, name) for module, name in zip(modules, names, strict=True)]
    for module, name in zip(modules, names, strict=True):
        setattr(module, name, nn.Identity() if isinstance(module, QuantInput) else None)
    try:
        yield
    finally:
        for module, name, one in zip(modules, names, kept, strict=True):
            setattr(module, name, one)


def _owner(context: Context, path: str) -> str:
    """The module that quantizes what the layer reads: itself, or its block."""
    if not context.plan[path].by_block:
        return path
    return next(block.paths[0] for block in context.blocks if path in block.layers)


def _is_quantized(student: nn.Module, path: str, name: str) -> bool:
    return getattr(student.get_submodule(path), name, None) is not None


def _images(context: Context, count: int) -> tuple[Tensor, Tensor | None]:
    if context.test is None:
        return load_images(context)[:count], None
    parts: list[Tensor] = []
    for batch in context.test.batches(min(BATCH, count)):
        parts.append(batch)
        if sum(map(len, parts)) >= count:
            break
    x = torch.cat(parts)[:count]
    labels = context.test.labels
    return x, None if labels is None else labels[: len(x)]


@torch.no_grad()
def _logits(context: Context, model: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([model(context.for_device(part)).cpu() for part in x.split(BATCH)])


def _score(logits: Tensor, wanted: Tensor, labels: Tensor | None) -> dict[str, float | None]:
    right = None if labels is None else top1(logits, labels)
    return {"kl": logit_kl(wanted, logits), "top1": right}


def _gain(
    whole: dict[str, float | None], alone: dict[str, float | None]
) -> dict[str, float | None]:
    def difference(name: str, sign: int) -> float | None:
        before, after = whole[name], alone[name]
        return None if before is None or after is None else sign * (after - before)

    return {"kl_gain": difference("kl", -1), "top1_gain": difference("top1", 1)}
