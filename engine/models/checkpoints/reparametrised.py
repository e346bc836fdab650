"""Weights that a checkpoint keeps in parts (pruning, weight norm), put together as a layer uses them."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from engine.models.checkpoints.read import Checkpoint


def baked(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with whole weights, and a word on what was put together; itself where all are whole."""
    tensors = dict(checkpoint.tensors)
    kinds = []
    for kind, name, parts, weight in _found(checkpoint.tensors):
        for part in parts:
            tensors.pop(part)
        tensors[name] = weight
        kinds.append(kind)
    if not kinds:
        return checkpoint
    words = [f"{kinds.count(kind)} weights put together ({kind})" for kind in dict.fromkeys(kinds)]
    return replace(checkpoint, tensors=tensors, undone=(*checkpoint.undone, *words))


def _found(tensors: dict[str, Tensor]) -> Iterator[tuple[str, str, tuple[str, str], Tensor]]:
    """(kind, name, its parts, the whole) of each weight in parts whose shapes belong together."""
    for first in tensors:
        if first.endswith("_orig"):
            name = first.removesuffix("_orig")
            parts = first, f"{name}_mask"
            if parts[1] in tensors and tensors[first].shape == tensors[parts[1]].shape:
                yield "pruning", name, parts, tensors[first] * tensors[parts[1]]
        elif first.endswith("_g"):
            name = first.removesuffix("_g")
            parts = first, f"{name}_v"
            if parts[1] in tensors and _is_norm(tensors[first], tensors[parts[1]]):
                yield "weight norm", name, parts, _directed(tensors[first], tensors[parts[1]])
        elif first.endswith(".original0") and "parametrizations." in first:
            name = first.removesuffix(".original0").replace("parametrizations.", "")
            parts = first, first.removesuffix("0") + "1"
            if parts[1] in tensors and _is_norm(tensors[first], tensors[parts[1]]):
                yield "weight norm", name, parts, _directed(tensors[first], tensors[parts[1]])


def _is_norm(size: Tensor, direction: Tensor) -> bool:
    pairs = zip(size.shape, direction.shape, strict=False)
    return size.ndim == direction.ndim and all(a in (1, b) for a, b in pairs)


def _directed(size: Tensor, direction: Tensor) -> Tensor:
    over = [d for d in range(size.ndim) if size.shape[d] == 1]
    if not over:
        return size * direction.sign()
    length: Tensor = torch.linalg.vector_norm(direction, dim=over, keepdim=True)
    return size * direction / length
