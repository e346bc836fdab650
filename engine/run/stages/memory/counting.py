"""How much memory images take in a network: what autograd keeps of them, counted in one pass of two."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from engine.core.sampling.randomness import stream
from engine.models.graph.blocks import Block
from engine.models.graph.walk import Walk, WalkPlan
from engine.run.context import Context

FEW = 2  # images that are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """MB of an image."""

    network: float  # that autograd keeps of the whole teacher
    block: float  # of its largest block
    held: float  # in what a block keeps of an image, teacher's and student's
    activation: float  # the largest


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
