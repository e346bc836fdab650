"""Blocks: the pieces of a network that are reconstructed one after another, found from its data flow.

How they are found: see `engine.models.graph.regions`. A network whose data flow cannot be seen (its Python
decides on values) is taken apart layer by layer instead, in the order in which its layers run.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.models.graph.flow import (
    call_node,
    is_layer,
    node_owners,
    size_nodes,
    trace,
    writes_its_input,
)
from engine.models.graph.hidden_order import order_of_layers
from engine.models.graph.regions import Region, RegionFinder

_PRODUCTS = ("scaled_dot_product_attention", "matmul", "bmm", "einsum")

__all__ = [
    "Block", "find_blocks", "is_layer", "layer_blocks", "node_owners", "remarks", "size_nodes", "trace",
    "unused_layers",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A piece of a network with one tensor as input and one as output, and the layers inside it."""

    name: str
    paths: tuple[str, ...]  # of modules, called in this order, each on the output of the one before
    layers: tuple[str, ...]  # convolutions and linear layers, in order of execution
    readers: tuple[str, ...]  # those that read the block's input
    has_shortcut: bool  # its input has several readers, and one module holds them all
    region: Region | None = None  # its place in the data flow; None where that cannot be seen
    by_nodes: bool = False  # no module runs just this: `paths` are those inside, nodes are run
    spares_input: bool = True  # False: it changes its input in place, so `run` gives it a copy

    def run(self, model: nn.Module, x: Tensor) -> Tensor:
        """The block's output in this model (the teacher, or a student: they share paths)."""
        x = x if self.spares_input else x.clone()
        if self.region is not None and self.by_nodes:
            return _run_nodes(model, self.region, x)
        if self.region is not None and len(self.paths) == 1:
            out: Tensor = model.get_submodule(self.paths[0])(
                x, *self.region.further, **self.region.named
            )
            return out
        for path in self.paths:
            x = model.get_submodule(path)(x)
        return x


def _run_nodes(model: nn.Module, region: Region, x: Tensor) -> Tensor:
    values: dict[torch.fx.Node, Any] = {region.source: x}
    for node in region.nodes:
        for source in node.all_input_nodes:  # a parameter that an earlier block read first
            if source not in values:
                values[source] = call_node(model, source, values)
        values[node] = call_node(model, node, values)
    out: Tensor = values[region.exit]
    return out


def find_blocks(model: nn.Module, image_shape: Sequence[int] | None = None) -> tuple[Block, ...]:
    """The blocks in order of execution; every layer that runs is in one of them, and in no other.

    A layer that runs several times belongs to the block in which it runs first; where that can be, one
    block holds all its runs. With `image_shape`, a network that cannot be traced is taken apart layer
    by layer; without, it is refused with a UserError.
    """
    blocks = _found(model, image_shape)
    if not any(block.layers for block in blocks):
        raise UserError(
            f"{type(model).__name__} has no convolution or linear layer that runs; bring a network with some"
        )
    return blocks


def _found(model: nn.Module, image_shape: Sequence[int] | None) -> tuple[Block, ...]:
    try:
        finder = RegionFinder(model)
    except UserError:
        if image_shape is None:
            raise
        return tuple(map(_lone_layer, order_of_layers(model, image_shape)))
    blocks = tuple(_block(finder, region) for region in finder.regions())
    _check_cover(finder, blocks)
    return blocks


def layer_blocks(model: nn.Module, paths: Iterable[str]) -> tuple[Block, ...]:
    """Each of these layers as a block of its own, with the BatchNorm and activation behind it."""
    try:
        finder = RegionFinder(model)
    except UserError:  # what stands behind a layer cannot be seen
        return tuple(_lone_layer(path) for path in paths)
    return tuple(_block(finder, finder.layer_region(path)) for path in paths)


def unused_layers(model: nn.Module, blocks: Sequence[Block]) -> tuple[str, ...]:
    """Layers that never run, such as heads that only training needs: they are no part of a student."""
    held = {path for block in blocks for path in block.layers}
    return tuple(p for p, m in model.named_modules() if is_layer(m) and p not in held)


def remarks(model: nn.Module, blocks: Sequence[Block]) -> list[str]:
    """What a reader should know of how the blocks were found, in sentences; mostly nothing."""
    said = []
    if any(block.region is None for block in blocks):
        said.append(
            f"{_why_untraceable(model)}; so its data flow is not seen: each layer is a block of its own, "
            "shortcuts carry floats, and every block runs the network anew (slow)."
        )
    unused = unused_layers(model, blocks)
    if unused:
        said.append(
            f"{len(unused)} layers do not run by themselves when images are judged, and stay as they are: "
            f"{_few(unused)}."
        )
    others = [
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        for name, parameter in module.named_parameters(recurse=False)
        if not is_layer(module) and _is_matrix(parameter)
    ]
    if others:
        said.append(f"Weights of neither Conv2d nor Linear stay float: {_few(others)}.")
    if any(block.region is not None for block in blocks):
        products = [node for node in blocks[0].region.source.graph.nodes if _is_product(node)]  # type: ignore[union-attr]
        if products:
            said.append(
                f"Two activations are multiplied in {len(products)} places, as in attention: in float, and "
                "counted in no layer's operations."
            )
    return said


def _is_product(node: torch.fx.Node) -> bool:
    """Whether two values of the data flow are multiplied as matrices, or attend to each other."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    factors = [a for a in node.args if isinstance(a, torch.fx.Node) and a.op != "get_attr"]
    return name in _PRODUCTS and len(factors) > 1


def _why_untraceable(model: nn.Module) -> str:
    try:
        trace(model)
    except UserError as error:
        return str(error).rpartition("; ")[0]  # the way out is for whoever needs the flow
    return f"{type(model).__name__} was not traced"


def _is_matrix(parameter: Tensor) -> bool:
    return sum(side > 1 for side in parameter.shape) > 1


def _few(paths: Sequence[str]) -> str:
    return ", ".join(paths[:5]) + (", …" if len(paths) > 5 else "")


def _check_cover(finder: RegionFinder, blocks: Sequence[Block]) -> None:
    covered = sorted(path for block in blocks for path in block.layers)
    used = sorted(finder.layers(finder.nodes))
    if covered != used:
        odd = sorted(set(covered) ^ set(used)) or [p for p in covered if covered.count(p) > 1]
        raise UserError(
            f"the blocks found do not hold every layer exactly once: {', '.join(odd[:5])}; call each layer "
            "in one place of the network's forward"
        )


def _block(finder: RegionFinder, region: Region) -> Block:
    model, inside = finder.model, {*region.nodes}
    readers = [n for n in region.source.users if n in inside and n not in finder.sizes]
    called = dict.fromkeys(str(n.target) for n in region.nodes if n.op == "call_module")
    alone = bool(region.path) and is_layer(model.get_submodule(region.path))
    by_module = bool(region.path) and not alone
    return Block(
        name=region.name,
        paths=(region.path,) if by_module else tuple(called),
        layers=tuple(finder.layers(region.nodes)),
        readers=tuple(
            path
            for path in finder.layers(readers)
            if all(n.all_input_nodes[0] is region.source for n in finder.inside[path])
        ),
        has_shortcut=by_module and len(readers) > 1,
        region=region,
        by_nodes=not region.path,
        spares_input=not any(writes_its_input(model, node) for node in readers),
    )


def _lone_layer(path: str) -> Block:
    return Block(name=path, paths=(path,), layers=(path,), readers=(path,), has_shortcut=False)
