"""How much memory a run will take, found out on two images before anything large is begun.

What autograd keeps of the teacher, and of each block, is counted in one forward pass. Where that comes
near to what is free, the recipe's own machine takes a step on two images and on four, and is counted too.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine.core.errors import UserError
from engine.core.events import Event, Noted
from engine.core.sampling.randomness import stream
from engine.models.graph.blocks import Block
from engine.models.graph.walk import Walk, WalkPlan
from engine.run.context import Context
from engine.run.machine.memory_limit import ALMOST, Room
from engine.run.machine.resources import memory_mb
from engine.run.stages.judging.judge import BATCH, LARGE
from engine.run.stages.quantization.quantize import CHUNK, chosen_method
from engine.run.stages.synthesis.reuse import asks_for_student
from engine.run.stages.synthesis.synthesise import _method, _request, _settings, to_make

FEW, MORE = 2, 4  # images that are counted
# What a heap takes for the tensors in it, as measured on ResNet-20 and EfficientNet-Lite0.
HEAP = 1.5
# A machine beside its teacher, and with a student at work too: at most, of what was tried.
METHOD, STUDENT = 1.5, 4.0
PICTURE = 64.0  # tensors of an image's own size that are kept while it grows: a generator's
QUANTIZED = 4.0  # tensors of a quantized block that learns, to those of the float one
FORWARD = 5.0  # largest activations that a forward pass of teacher and student holds at a time
MACHINE = (
    7.5  # of its state: gradients, moments and what a step takes besides, as measured on GENIE
)
FIT_IMAGES = 64  # that ranges are searched on
PLENTY = 0.5  # of what is free: what needs less is not counted again


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """MB of an image."""

    network: float  # that autograd keeps of the whole teacher
    block: float  # of its largest block
    held: float  # in what a block keeps of an image, teacher's and student's
    activation: float  # the largest


def make_room(context: Context, room: Room, *, images_there: bool) -> Iterator[Event]:
    """Compare the run with the memory that is free: split what can be, refuse what cannot, expect the rest.

    Raises UserError with the figure and the way out.
    """
    before = memory_mb()
    free = _free_mb(context, room, before)
    try:
        counted = count(context)
    except (RuntimeError, TypeError):  # a network that cannot be worked on: its stage says why
        return
    sizes = [] if images_there else to_make(context)
    needed = _synthesis(context, counted, sizes, free)
    if needed > free:
        raise UserError(_too_large_synthesis(context, sizes, needed, free))
    quantized = _quantization(context, counted, context.recipe.images)
    if quantized > free:
        raise UserError(_too_large_quantization(context, counted, quantized, free))
    fits = int(0.5 * free / (HEAP * FORWARD * max(counted.activation, 1e-6)))
    context.most_at_once = max(1, min(fits, context.most_at_once))
    if fits < (BATCH if context.card.image_shape[1] < LARGE else CHUNK):
        yield Noted(
            message=f"Images pass the networks {context.most_at_once} at a time, for {free / 1000:.2f} GB of "
            "memory may be taken: slower, with the same numbers but for the last digits."
        )
    if context.device.type == "cpu":
        passing = HEAP * FORWARD * counted.activation * min(context.most_at_once, 250)
        room.expect(before + max(needed, quantized, passing))


def _free_mb(context: Context, room: Room, held: float) -> float:
    if context.device.type == "cuda":
        return float(ALMOST * torch.cuda.mem_get_info(context.device)[0] / 1e6)
    return room.limit_mb - held


# --- what an image takes ------------------------------------------------------------------------


def count(context: Context) -> Counted:
    """What two images take in the teacher."""
    rng = stream(context.recipe.seed, "memory")
    x = torch.randn(FEW, *context.card.image_shape, generator=rng)
    x = context.for_device(x)
    whole = saved_mb(lambda: context.teacher(x.clone().requires_grad_().clone()))
    block_mb = held = activation = 0.0
    walk = Walk(context.teacher, WalkPlan(context.teacher, context.blocks), x, FEW)
    for block in context.blocks:
        before = walk.to(block)
        found = saved_mb(partial(_learns_in, context, block, before))
        after = walk.through(block)
        block_mb = max(block_mb, found)
        held = max(held, 4 * (4 * before.numel() + 2 * after.numel()) / 1e6)
        activation = max(activation, 4 * max(before.numel(), after.numel()) / 1e6)
    return Counted(
        network=whole / FEW, block=block_mb / FEW, held=held / FEW, activation=activation / FEW
    )


def _learns_in(context: Context, block: Block, x: Tensor) -> None:
    block.run(context.teacher, x.clone().requires_grad_().clone())


def saved_mb(work: Callable[[], object]) -> float:
    """The most that autograd keeps at a time while the work is done, parameters included, in MB."""
    saved = _Saved()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(saved.keep, _Kept.give):
        work()
    return saved.most / 1e6


class _Saved:
    """The bytes of all storages that are kept now, and the most there ever were."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._now = self.most = 0

    def keep(self, tensor: Tensor) -> "_Kept":
        storage = tensor.untyped_storage()
        at = storage.data_ptr()
        self._counts[at] = self._counts.get(at, 0) + 1
        if self._counts[at] == 1:
            self._now += storage.nbytes()
            self.most = max(self.most, self._now)
        return _Kept(self, tensor)

    def drop(self, at: int, size: int) -> None:
        self._counts[at] -= 1
        if not self._counts[at]:
            self._now -= size
            del self._counts[at]


class _Kept:
    """A tensor that autograd keeps, counted for as long as it does."""

    def __init__(self, saved: _Saved, tensor: Tensor) -> None:
        self._saved, self._tensor = saved, tensor

    def give(self) -> Tensor:
        return self._tensor

    def __del__(self) -> None:
        storage = self._tensor.untyped_storage()
        self._saved.drop(storage.data_ptr(), storage.nbytes())


# --- what a stage takes -------------------------------------------------------------------------


def _synthesis(context: Context, counted: Counted, sizes: list[int], free: float) -> float:
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
    all_images += _of_a_machine(context)
    rough = HEAP * (network + PICTURE * pixels) * max(sizes)
    counting = (
        2 * MORE * rough / max(sizes)
    )  # what a step on a few images takes of the machine itself
    if all_images + rough < PLENTY * free or counting > PLENTY * free:
        return all_images + rough
    fixed, each = _of_a_step(context, rough / max(sizes))
    return all_images + HEAP * (fixed + each * max(sizes))


def _of_a_machine(context: Context) -> float:
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


def _of_a_step(context: Context, rough: float) -> tuple[float, float]:
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


def _quantization(context: Context, counted: Counted, images: int) -> float:
    """MB of quantizing with so many images."""
    settings: dict[str, Any] = context.recipe.quantization_settings
    steps = chosen_method(context).steps_of(context.blocks[0]) if context.blocks else 0
    batch = min(int(settings.get("batch") or 32), images) if steps else 0
    each = QUANTIZED * counted.block
    if chosen_method(context).looks_ahead:
        each += counted.network
    at_once = max(each * batch, FORWARD * counted.activation * min(images, FIT_IMAGES))
    return HEAP * (counted.held * images + at_once)


# --- the way out --------------------------------------------------------------------------------


def _too_large_synthesis(context: Context, sizes: list[int], needed: float, free: float) -> str:
    shape = " x ".join(map(str, context.card.image_shape))
    fixed = 16 * math.prod(context.card.image_shape) / 1e6 * context.recipe.images
    fixed += _of_a_machine(context)
    each = max(1e-6, (needed - fixed) / max(sizes, default=1))
    fit = int(0.9 * (free - fixed) / each)
    at_once = _method(context).at_once or not hasattr(_settings(context), "batch")
    knob = "images" if at_once else "synthesis.batch"
    return _refusal(
        f"making {max(sizes, default=0)} images of {shape} at a time", needed, free, knob, fit
    )


def _too_large_quantization(context: Context, counted: Counted, needed: float, free: float) -> str:
    images = context.recipe.images
    fit = images
    while fit > 1 and _quantization(context, counted, fit) > free:
        fit //= 2
    fit = fit if _quantization(context, counted, fit) <= free else 0
    return _refusal(f"quantizing with {images} images", needed, free, "images", fit)


def _refusal(what: str, needed: float, free: float, knob: str, fit: int) -> str:
    way = f"set {knob} to {fit} or less" if fit >= 2 else "use a smaller network or smaller images"
    return (
        f"{what} needs about {needed / 1000:.2f} GB, and this run may take {free / 1000:.2f} GB more; "
        f"{way}, or free some memory and resume"
    )
