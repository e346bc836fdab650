"""How much memory making the images takes, and quantizing with them, from what one image takes.

Where that comes near to what is free, the recipe's own machine takes a step on two images and on four, and is
counted too.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from engine.run.context import Context
from engine.run.stages.judging.judge import LARGE
from engine.run.stages.memory.counting import FEW, Counted, saved_mb
from engine.run.stages.quantization.quantize import chosen_method
from engine.run.stages.synthesis.reuse import asks_for_student
from engine.run.stages.synthesis.synthesise import _method, _request, _settings

MORE = 4  # images that a step is counted on, beside FEW
# What a heap takes for the tensors in it, as measured on ResNet-20 and EfficientNet-Lite0.
HEAP = 1.5
# A machine beside its teacher, and with a student at work too: at most, of what was tried.
METHOD, STUDENT = 1.5, 4.0
PICTURE = 64.0  # tensors of an image's own size that are kept while it grows: a generator's
QUANTIZED = 4.0  # tensors of a quantized block that learns, to those of the float one
FORWARD = 5.0  # largest activations that a forward pass of teacher and student holds at a time
# Of a machine's state: gradients, moments and what a step takes besides, as measured on GENIE.
MACHINE = 7.5
FIT_IMAGES = 64  # that ranges are searched on
PLENTY = 0.5  # of what is free: what needs less is not counted again


def synthesis_mb(context: Context, counted: Counted, sizes: list[int], free: float) -> float:
    """MB of making the images that are not there yet, and of holding all."""
    pixels = 4 * math.prod(context.card.image_shape) / 1e6
    all_images = 4 * pixels * context.recipe.images
    if not sizes:
        return all_images
    if not _method(context).planned_steps(
        _settings(context), 0
    ):  # images as they are: looked at alone
        return all_images + HEAP * FORWARD * counted.activation * min(256, max(sizes))
    with_student = asks_for_student(context.recipe.synthesis_settings)
    network = counted.network * (STUDENT if with_student else METHOD)
    all_images += machine_mb(context)
    rough = HEAP * (network + PICTURE * pixels) * max(sizes)
    counting = (
        2 * MORE * rough / max(sizes)
    )  # what a step on a few images takes of the machine itself
    if all_images + rough < PLENTY * free or counting > PLENTY * free:
        return all_images + rough
    fixed, each = _step_mb(context, rough / max(sizes))
    return all_images + HEAP * (fixed + each * max(sizes))


def machine_mb(context: Context) -> float:
    """MB that a machine holds of its own, gradients and moments included: much for large images alone."""
    if context.card.image_shape[1] < LARGE:
        return 0.0
    with torch.random.fork_rng(devices=[]):
        try:
            state = _method(context)(_request(context, 0, FEW)).state_dict()
        except (RuntimeError, ValueError, LookupError):  # a method that cannot do with so few
            return 0.0
    return MACHINE * sum(map(_mb, _tensors(state)))


def _tensors(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, dict):
        for part in state.values():
            yield from _tensors(part)
    elif isinstance(state, (list, tuple)):
        for part in state:
            yield from _tensors(part)


def _mb(tensor: Tensor) -> float:
    return tensor.numel() * tensor.element_size() / 1e6


def _step_mb(context: Context, rough: float) -> tuple[float, float]:
    """(MB whatever the batch, MB of an image) that a step of the recipe's own machine keeps."""
    found = []
    with torch.random.fork_rng(devices=[]):
        for size in (FEW, MORE):
            try:
                machine = _method(context)(_request(context, 0, size))
                found.append(saved_mb(machine.step))
            except (RuntimeError, ValueError, LookupError):  # a method that cannot do with so few
                return 0.0, rough
    each = max(0.0, (found[1] - found[0]) / (MORE - FEW))
    return max(0.0, found[0] - FEW * each), each


def quantization_mb(context: Context, counted: Counted, images: int) -> float:
    """MB of quantizing with so many images."""
    settings: dict[str, Any] = context.recipe.quantization_settings
    steps = chosen_method(context).steps_of(context.blocks[0]) if context.blocks else 0
    batch = min(int(settings.get("batch") or 32), images) if steps else 0
    each = QUANTIZED * counted.block
    if chosen_method(context).looks_ahead:
        each += counted.network
    at_once = max(each * batch, FORWARD * counted.activation * min(images, FIT_IMAGES))
    return HEAP * (counted.held * images + at_once)
