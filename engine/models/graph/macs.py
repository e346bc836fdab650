"""Multiplications and additions of each layer, counted on what one image makes of the network."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from engine.core.trace import watch_outputs


@torch.no_grad()
def count_macs(model: nn.Module, paths: Iterable[str], image: Tensor) -> dict[str, int]:
    """Multiply-accumulates of each named convolution or linear layer for the one image [1, c, h, w]."""
    found: dict[str, int] = {}

    def listen(path: str, out: Tensor) -> None:
        layer = model.get_submodule(path)
        weight: Tensor = layer._parameters["weight"]  # type: ignore[assignment]
        positions = out.numel() // len(weight)
        found[path] = found.get(path, 0) + positions * weight.numel()

    with watch_outputs(model, list(paths), listen):
        model(image)
    return found
