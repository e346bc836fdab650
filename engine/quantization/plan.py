"""Which layer gets how many bits: the rules for first and last layers that papers silently differ in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

EDGE_BITS = 8


class BlockLike(Protocol):
    """What a plan needs to know of a block (engine.models.graph.blocks.Block is one)."""

    @property
    def name(self) -> str: ...
    @property
    def layers(self) -> tuple[str, ...]: ...
    @property
    def readers(self) -> tuple[str, ...]: ...
    @property
    def has_shortcut(self) -> bool: ...
    @property
    def paths(self) -> tuple[str, ...]: ...
    def run(self, model: Any, x: Any) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBits:
    """The bits of one layer; its input is quantized by itself, by its block, or (None) not at all."""

    path: str
    block: str
    weight_bits: int
    activation_bits: int | None
    by_block: bool


def plan_bits(
    blocks: Sequence[BlockLike], *, weight_bits: int, activation_bits: int, edge_rule: str
) -> dict[str, LayerBits]:
    """Bits for every layer, in order of execution.

    brecq: the weights that read the image stay at 8 bits and the image as it is, the input of the layer
    behind them at 8, the last layer's weights and input at 8. qdrop: the same, but for the input of the
    layer behind the first. all: every layer alike, the image too.

    An image that several branches read (RepVGG's first block) is left as it is for all of them: a grid
    fitted to synthetic images clips real ones, whose pixels reach further.
    """
    order = [path for block in blocks for path in block.layers]
    last = order[-1]
    image = _image_readers(blocks[0])
    second = next((path for path in order if path not in image), None)
    plan = {}
    for block in blocks:
        for path in block.layers:
            weights, activations = weight_bits, activation_bits
            shared = block.has_shortcut and path in block.readers
            if edge_rule != "all":
                if path in image or path == last:
                    weights = EDGE_BITS
                reads_second = path == second or (shared and second in block.readers)
                if path == last or (edge_rule == "brecq" and reads_second):
                    activations = EDGE_BITS
            spared = path in image and edge_rule != "all"
            plan[path] = LayerBits(
                path=path, block=block.name, weight_bits=weights,
                activation_bits=None if spared else activations, by_block=shared,
            )  # fmt: skip
    return plan


def _image_readers(block: BlockLike) -> set[str]:
    """The first layer, and those that share its input."""
    first = block.layers[0]
    return {first, *block.readers} if block.has_shortcut and first in block.readers else {first}
