"""Where branches meet, added or side by side: how large each is, and which layer reads the result."""

import operator
from collections.abc import Collection, Iterator
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from engine.analysis.doctor.record import Meeting
from engine.core.errors import UserError
from engine.models.graph.blocks import trace
from engine.models.graph.flow import call_node, is_layer, size_nodes

ADDED, JOINED = "addition", "concatenation"
_ADDS = (operator.add, operator.iadd, torch.add)
_JOINS = (torch.cat, torch.concat, torch.concatenate)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@torch.no_grad()
def meetings(model: nn.Module, x: Tensor) -> dict[str, Meeting]:
    """By the path of each layer that reads where branches meet, the meeting; of several the most unequal.

    x: images as the network takes them, [n, c, h, w]. Empty where the data flow cannot be seen.
    """
    try:
        graph = trace(model)
    except UserError:
        return {}
    sizes = size_nodes(graph)
    kinds = {node: kind for node in graph.nodes if (kind := _kind(node)) and node not in sizes}
    met = {node: sources for node in kinds if len(sources := _branches(node, sizes)) > 1}
    measured = _measured(model, graph, x, {one for sources in met.values() for one in sources})
    found: dict[str, Meeting] = {}
    for node, sources in met.items():
        if any(source not in measured for source in sources):  # numbers, not tensors
            continue
        named = _named([_writer(model, one) for one in sources])
        parts = {name: measured[one] for name, one in zip(named, sources, strict=True)}
        meeting = Meeting(kind=kinds[node], sizes=parts)
        for reader in _readers(model, node, met, joined=meeting.kind == JOINED):
            if reader not in found or _spread(meeting) > _spread(found[reader]):
                found[reader] = meeting
    return found


def _named(writers: list[str]) -> list[str]:
    """A name for each branch; two of one layer are told apart."""
    return [
        name if name not in writers[:k] else f"{name} once more" for k, name in enumerate(writers)
    ]


def _spread(meeting: Meeting) -> float:
    sizes = [size for size in meeting.sizes.values() if size > 0]
    return max(sizes) / min(sizes) if len(sizes) > 1 else 1.0


def _kind(node: torch.fx.Node) -> str:
    if node.op == "call_function":
        return (
            "addition" if node.target in _ADDS else "concatenation" if node.target in _JOINS else ""
        )
    return ADDED if node.op == "call_method" and node.target in ("add", "add_") else ""


def _branches(node: torch.fx.Node, sizes: set[torch.fx.Node]) -> list[torch.fx.Node]:
    return [one for one in node.all_input_nodes if one not in sizes and one.op != "get_attr"]


def _measured(
    model: nn.Module, graph: torch.fx.Graph, x: Tensor, wanted: set[torch.fx.Node]
) -> dict[torch.fx.Node, float]:
    """The root mean square of each wanted value; a value is let go when its last reader has run."""
    left = {node: len(node.users) for node in graph.nodes}
    values: dict[torch.fx.Node, Any] = {}
    found: dict[torch.fx.Node, float] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = None if values else x
        elif node.op != "output":
            values[node] = call_node(model, node, values)
        value = values.get(node)
        if node in wanted and isinstance(value, Tensor):  # before anybody adds to it in place
            found[node] = float(value.double().square().mean().sqrt())
        for source in node.all_input_nodes:
            left[source] -= 1
            if not left[source]:
                values.pop(source, None)
    return found


def _writer(model: nn.Module, node: torch.fx.Node) -> str:
    """The layer that the branch comes from, past all that has no weights."""
    while node.op != "placeholder":
        if _is_layer(model, node):
            return str(node.target)
        if not node.all_input_nodes:
            return ""
        node = node.all_input_nodes[0]
    return ""


def _readers(
    model: nn.Module, meeting: torch.fx.Node, met: Collection[torch.fx.Node], *, joined: bool
) -> Iterator[str]:
    """The layers behind it, up to where branches meet again.

    Behind a concatenation a BatchNorm gives every channel a range of its own, and nothing is told.
    """
    waiting, seen = [*meeting.users], set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if _is_layer(model, node):
            yield str(node.target)
        elif node not in met and not (joined and _is_norm(model, node)):
            waiting += [*node.users]


def _is_layer(model: nn.Module, node: torch.fx.Node) -> bool:
    return node.op == "call_module" and is_layer(model.get_submodule(str(node.target)))


def _is_norm(model: nn.Module, node: torch.fx.Node) -> bool:
    return node.op == "call_module" and isinstance(model.get_submodule(str(node.target)), _NORMS)
