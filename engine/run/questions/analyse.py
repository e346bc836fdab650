"""A finished run looked at again: what each layer's bits cost the whole network.

Everything stays quantized but one layer: what comes back then is that layer's share of the loss. Shares
need not add up, since one layer's error may hide another's.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.accuracy import logit_kl, top1
from engine.core import device as devices
from engine.core.errors import UserError
from engine.run.context import Context, make_context
from engine.run.control import Control
from engine.run.folder import RunFolder, write_atomically
from engine.run.stages.quantize import load_student
from engine.run.stages.synthesise import load_images

BATCH = 100
FILE = "analysis.json"


def analyse(folder: RunFolder, images: int = 1000) -> dict[str, Any]:
    """Leave-one-out gains of every layer, on the first test images; kept in the run's folder.

    `kl_gain`: how much nearer the predictions come to the teacher's (Kullback-Leibler divergence, nats)
    with this layer's weights and own input in float, `top1_gain` in shares of the images right (None
    without labels). An input that a whole block shares stays quantized, corrections stay as they are.
    """
    if folder.result() is None:
        raise UserError(
            f"run {folder.run_id!r} is not finished; there is no student to look at yet"
        )
    control = Control(folder.path, lambda _state: None)
    context = make_context(folder.recipe, folder, control, devices.choose())
    x, labels = _images(context, images)
    student = load_student(context)
    wanted = _logits(context, context.teacher, x)
    whole = _score(_logits(context, student, x), wanted, labels)
    layers = []
    for path in context.plan:
        with without_bits(student, path):
            alone = _score(_logits(context, student, x), wanted, labels)
        layers.append({"path": path, **_gain(whole, alone)})
    found = {
        "run": folder.run_id,
        "images": len(x),
        "test_set": context.test.name if context.test else "the calibration images themselves",
        **whole,
        "layers": layers,
    }
    write_atomically(folder.path / FILE, json.dumps(found, indent=1).encode())
    return found


def kept_analysis(folder: RunFolder) -> dict[str, Any] | None:
    """The analysis in the folder, or None where none was made."""
    try:
        kept: dict[str, Any] = json.loads((folder.path / FILE).read_text())
    except (OSError, ValueError):
        return None
    return kept


@contextmanager
def without_bits(student: nn.Module, path: str) -> Iterator[None]:
    """Inside, this layer's weights and its own input are float."""
    layer: Any = student.get_submodule(path)
    kept = layer.weight_quantizer, layer.input_quantizer
    layer.weight_quantizer = layer.input_quantizer = None
    try:
        yield
    finally:
        layer.weight_quantizer, layer.input_quantizer = kept


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
