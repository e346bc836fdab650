"""A network as a picture needs it: what runs, in which order, and what reads what, as plain data."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from engine.core.sampling.noise_images import noise_images
from engine.models.graph.blocks import Block
from engine.models.graph.flow import call_node, is_layer, node_owners, size_nodes, trace

_MOVES = ("getitem", "getattr", "contiguous")  # carry data from here to there, and are not drawn


@torch.no_grad()
def network_graph(
    model: nn.Module, image_shape: Sequence[int], blocks: Sequence[Block]
) -> dict[str, Any]:
    """The data flow of a network: nodes in order of execution, edges from writer to reader.

    {"nodes": [{"id": 0, "path": "", "kind": "image", "shape": [3, 32, 32], "block": "", "layer": False},
               {"id": 1, "path": "conv1", "kind": "Conv2d", "shape": [16, 32, 32], "block": "conv1",
                "layer": True}, …],
     "edges": [[0, 1], …]}

    A module without children (and a layer) is one node: `path`, and its class as `kind`; a module that
    runs twice is two nodes. A function is a node with the path of the module that calls it, and its name
    as `kind` ("add", "cat", "relu", …). `shape` is one image's output, without the batch. `block` is the
    name of the block that it runs in, "" for what runs between blocks; `layer` says that it has weights
    that are quantized. Size computations and indexing are left out, edges lead past them.
    UserError where the network cannot be traced.
    """
    graph, held = _graph(model, blocks)
    sizes = size_nodes(graph)
    shapes = _shapes(model, graph, image_shape)
    drawn: dict[torch.fx.Node, int] = {}
    reads: dict[torch.fx.Node, list[int]] = {}  # of a node not drawn: the drawn ones behind it
    nodes: list[dict[str, Any]] = []
    edges: list[list[int]] = []
    for node in graph.nodes:
        sources = dict.fromkeys(
            i
            for source in node.all_input_nodes
            for i in ([drawn[source]] if source in drawn else reads.get(source, []))
        )
        kind = _kind(model, node)
        if node in sizes or node.op in ("get_attr", "output") or kind in _MOVES:
            reads[node] = [] if node in sizes else list(sources)
            continue
        drawn[node] = len(nodes)
        nodes.append(
            _entry(model, node, kind, shapes) | {"id": drawn[node], "block": held.get(node, "")}
        )
        edges += [[source, drawn[node]] for source in sources]
    return {"nodes": nodes, "edges": edges}


def _graph(
    model: nn.Module, blocks: Sequence[Block]
) -> tuple[torch.fx.Graph, dict[torch.fx.Node, str]]:
    """The data flow, the one that the blocks were found in, and the block of each of its nodes."""
    regions = {block.name: block.region for block in blocks if block.region is not None}
    held = {node: name for name, region in regions.items() for node in region.nodes}
    return (next(iter(held)).graph if held else trace(model)), held


def _entry(
    model: nn.Module, node: torch.fx.Node, kind: str, shapes: Mapping[torch.fx.Node, list[int]]
) -> dict[str, Any]:
    owners = node_owners(node)
    return {
        "path": owners[-1] if owners else "",
        "kind": kind,
        "shape": shapes.get(node, []),
        "layer": node.op == "call_module" and is_layer(model.get_submodule(str(node.target))),
    }


def _kind(model: nn.Module, node: torch.fx.Node) -> str:
    if node.op == "placeholder":
        return "image"
    if node.op == "call_module":
        return type(model.get_submodule(str(node.target))).__name__
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name.strip("_") if isinstance(name, str) else ""


def _shapes(
    model: nn.Module, graph: torch.fx.Graph, image_shape: Sequence[int]
) -> dict[torch.fx.Node, list[int]]:
    """Each node's output for one image, found by running one."""
    values: dict[torch.fx.Node, Any] = {}
    shapes = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            first = not values
            values[node] = noise_images(1, image_shape, model) if first else None
        elif node.op != "output":
            values[node] = call_node(model, node, values)
        value = values.get(node)
        if isinstance(value, Tensor):
            shapes[node] = list(value.shape[1:])
    return shapes
