"""A finished run looked at again: what each layer's bits cost the whole network.

Everything stays quantized but one layer, its weights alone, or its input alone: what comes back then is
their share of the loss. Shares need not add up, since one layer's error may hide another's.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.answers.accuracy import agreement, image_kls, logit_kl, paired_drop, top1
from engine.core import device as devices
from engine.core.errors import UserError
from engine.core.paired import mean_band
from engine.quantization.layers import QuantInput
from engine.run.context import Context, make_context
from engine.run.folders.control import Control
from engine.run.folders.folder import RunFolder, write_atomically
from engine.run.folders.opened import opened_from
from engine.run.questions.costs.layer_costs import FILE
from engine.run.stages.quantization.quantize import load_student
from engine.run.stages.synthesis.held_out_images import load_others, set_name
from engine.run.stages.synthesis.synthesise import load_images

BATCH = 100
GAINS = (
    "kl_gain", "kl_gain_low", "kl_gain_high", "agreement_gain", "agreement_gain_low", "agreement_gain_high",
    "top1_gain", "top1_gain_low", "top1_gain_high",
)  # fmt: skip
_NO_INPUT = {f"input_{name}": None for name in GAINS}


def analyse(
    folder: RunFolder,
    images: int = 1000,
    tell: Callable[[int, int, str], None] = lambda _done, _total, _path: None,
) -> dict[str, Any]:
    """Leave-one-out gains of every layer, on the first test images; kept in the run's folder.

    `kl_gain`: how much nearer the predictions come to the teacher's (Kullback-Leibler divergence, nats)
    with this layer's weights and input in float, `agreement_gain` in shares of the images that both give
    the same class, `top1_gain` in shares of the images right (None without labels). `..._low` and
    `..._high`: the 95 % band of each, paired, since the images are the same; `rank`: 1 for the layer of the
    largest `kl_gain`, None where its band holds 0 and the gain may be chance. `weights_...`: with
    its weights alone in float. `input_...`: with its input alone (None where that is float anyway). An
    input that a block shares comes back for all that read it. Corrections stay as they are. `tell` hears
    before each layer how many are done, how many there are, and its path.
    """
    if folder.result() is None:
        raise UserError(
            f"run {folder.run_id!r} is not finished and has no student to look at yet; let it end, with "
            f"`python -m engine resume {folder.run_id}` where nothing is at work on it"
        )
    if opened_from(folder.path):
        raise UserError(
            f"run {folder.run_id!r} came in a bundle, without its network; run its recipe again, and "
            "analyse that"
        )
    control = Control(folder.path, lambda _state: None)
    context = make_context(folder.recipe, folder, control, devices.choose())
    if not context.output.has_classes:
        raise UserError(
            f"run {folder.run_id!r} is of a network without classes of images (its output is of the kind "
            f"{context.output.kind}), and costs of layers are told by what becomes of the classes' scores; "
            "see each layer's SQNR in its result"
        )
    x, labels = _images(context, images)
    student = load_student(context)
    wanted = _logits(context, context.teacher, x)
    whole = _logits(context, student, x)

    def gain(floats: list[tuple[str, str]], prefix: str) -> dict[str, float | None]:
        with without(student, floats):
            found = _gain(whole, _logits(context, student, x), wanted, labels)
        return {prefix + name: value for name, value in found.items()}

    layers = []
    for done, path in enumerate(context.plan):
        tell(done, len(context.plan), path)
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
        "test_set": _test_set(context),
        **_score(whole, wanted, labels),
        "layers": ranked(layers),
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


def ranked(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers with their ranks by `kl_gain`; what may be chance has none."""
    sure = [layer for layer in layers if (layer["kl_gain_low"] or 0) > 0]
    order = sorted(sure, key=lambda layer: -float(layer["kl_gain"]))
    places = {layer["path"]: k + 1 for k, layer in enumerate(order)}
    return [layer | {"rank": places.get(layer["path"])} for layer in layers]


def _test_set(context: Context) -> str:
    if context.test is not None:
        return context.test.name
    there = load_others(context) is not None  # older runs have none
    return set_name(context) if there else "the calibration images themselves"


def _images(context: Context, count: int) -> tuple[Tensor, Tensor | None]:
    """Those that the run was judged on, and their labels."""
    if context.test is None:
        others = load_others(context)
        return (load_images(context) if others is None else others)[:count], None
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
    return {
        "kl": logit_kl(wanted, logits),
        "agreement": agreement(wanted, logits),
        "top1": None if labels is None else top1(logits, labels),
    }


def _gain(
    whole: Tensor, alone: Tensor, wanted: Tensor, labels: Tensor | None
) -> dict[str, float | None]:
    """What is better in the logits with something in float than in those of the whole student."""
    found: dict[str, float | None] = dict.fromkeys(GAINS)
    found["kl_gain"] = logit_kl(wanted, whole) - logit_kl(wanted, alone)
    band = mean_band((image_kls(wanted, whole) - image_kls(wanted, alone)).tolist())
    if band is not None:
        found |= {"kl_gain_low": band.low, "kl_gain_high": band.high}
    for name, right in (("agreement", wanted.argmax(1)), ("top1", labels)):
        if right is not None:  # the gain is the drop from the better student to the whole one
            gain = paired_drop(alone, whole, right)
            found |= {
                f"{name}_gain": gain.share,
                f"{name}_gain_low": gain.band.low,
                f"{name}_gain_high": gain.band.high,
            }
    return found
