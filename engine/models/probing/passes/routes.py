"""A network that takes its way by chance: some layers run in one pass, and not in the next."""

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.trace import watch_inputs
from engine.models.graph.flow import is_layer

_PASSES = 12  # a layer that runs in half of them is overlooked once in 2,000 times


@torch.no_grad()
def check_routes(model: nn.Module, images: Tensor, name: str) -> None:
    """UserError that names a layer which runs in some passes of the same images, and not in all."""
    layers = [path for path, m in model.named_modules() if path and is_layer(m)]
    passes: list[set[str]] = []
    with watch_inputs(model, layers, lambda path, _: passes[-1].add(path)):
        for _ in range(_PASSES):
            passes.append(set())
            model(images.clone())
    by_chance = sorted(set().union(*passes) - passes[0].intersection(*passes))
    if by_chance:
        raise UserError(
            f"{name} runs layer {by_chance[0]!r} in some passes and not in others, for the same images; "
            "let its forward take one way unless self.training"
        )
