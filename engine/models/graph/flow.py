"""A network's data flow: its fx graph, read-only, with what fx itself leaves unsaid."""

import inspect
import operator
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import torch.fx
from torch import nn
from torch.fx.node import map_aggregate

from engine.core.errors import UserError
from engine.models.graph.untraceable import where

_AUGMENTED = (operator.iadd, operator.isub, operator.imul, operator.itruediv)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a module while the network was traced."""

    path: str
    start: int  # of the nodes that ran in it, as positions in the graph ..
    stop: int  # .. the last one excluded
    reads: torch.fx.Node | None  # its one tensor, the first argument; None where it has several
    gives: torch.fx.Node | None  # its one value; None where it returns several
    further: tuple[Any, ...] = ()  # arguments behind the tensor: constants
    named: dict[str, Any] = field(default_factory=dict)


class LeafTracer(torch.fx.Tracer):
    """Sees layers, normalisations, childless modules and the modules named in `leaves` from outside."""

    def __init__(self, leaves: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._leaves = leaves
        self.calls: list[Call] = []

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        childless = next(m.children(), None) is None
        return childless or is_layer(m) or module_qualified_name in self._leaves

    def call_module(
        self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        start = len(self.graph.nodes)
        out = super().call_module(m, forward, args, kwargs)
        tensors: list[torch.fx.Node] = []

        def collect(value: Any) -> Any:
            if _is_proxy(value):
                tensors.append(value.node)

        map_aggregate((args, kwargs), collect)
        alone = len(tensors) == 1 and bool(args) and _is_proxy(args[0])
        self.calls.append(
            Call(
                self.path_of_module(m), start, len(self.graph.nodes),
                reads=tensors[0] if alone else None, gives=out.node if _is_proxy(out) else None,
                further=args[1:], named=kwargs,
            )
        )  # fmt: skip
        return out


def _is_proxy(value: Any) -> bool:
    return isinstance(value, torch.fx.Proxy)


def is_layer(module: nn.Module) -> bool:
    """Has weights that are quantized."""
    return isinstance(module, (nn.Conv2d, nn.Linear))


def trace(model: nn.Module, leaves: frozenset[str] = frozenset()) -> torch.fx.Graph:
    """The network's data flow, read-only; UserError where Python's control flow hides it."""
    return trace_calls(model, leaves)[0]


def trace_calls(
    model: nn.Module, leaves: frozenset[str] = frozenset()
) -> tuple[torch.fx.Graph, list[Call]]:
    """The data flow, and the calls of modules in it, inner ones first."""
    _refuse_any_number(model)
    tracer = LeafTracer(leaves)
    try:
        graph = tracer.trace(model, _defaults(model))
    except Exception as error:  # whatever the network's own Python raises under symbolic values
        raise UserError(
            f"{type(model).__name__} cannot be traced: {where(error)}; keep its forward to what fx can follow"
        ) from error
    kept = _without_further_inputs(model, graph)
    _redirect_writes(model, graph)
    live = _without_unread_heads(model, graph)
    kept = [live[position] for position in kept]
    return graph, [replace(c, start=kept[c.start], stop=kept[c.stop]) for c in tracer.calls]


def _refuse_any_number(model: nn.Module) -> None:
    """Of `forward(self, *images)` fx makes one value, whose first entry would be the first image."""
    first = next(iter(inspect.signature(model.forward).parameters.values()), None)
    if first is not None and first.kind is inspect.Parameter.VAR_POSITIONAL:
        raise UserError(
            f"{type(model).__name__} cannot be traced: its forward takes any number of inputs "
            f"(*{first.name}); let it take the images by a name of their own"
        )


def _defaults(model: nn.Module) -> dict[str, Any] | None:
    """What further arguments of forward, behind the images, are by default: no part of the data flow."""
    parameters = list(inspect.signature(model.forward).parameters.values())[1:]
    plain = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    return plain or None


def _without_further_inputs(model: nn.Module, graph: torch.fx.Graph) -> list[int]:
    """Erase what fx notes about defaulted arguments; returns each old position's new one."""
    nodes = list(graph.nodes)
    further: set[torch.fx.Node] = set()
    for node in nodes:
        if (node.op == "placeholder" and node is not nodes[0]) or further & {*node.all_input_nodes}:
            further.add(node)
    if any(node.op == "output" for node in further):
        raise UserError(
            f"{type(model).__name__} takes several inputs and is given one, images; wrap it in a module that "
            "takes images alone"
        )
    for node in reversed(nodes):
        if node in further:
            graph.erase_node(node)
    return [0, *accumulate(node not in further for node in nodes)]


def _redirect_writes(model: nn.Module, graph: torch.fx.Graph) -> None:
    """Who reads a tensor after it was changed in place reads what the change gave: now edges say so."""
    order = {node: k for k, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        if writes_its_input(model, node):
            changed = node.args[0]
            for reader in list(changed.users):
                if order[reader] > order[node]:
                    reader.replace_input_with(changed, node)


def _without_unread_heads(model: nn.Module, graph: torch.fx.Graph) -> list[int]:
    """Erase layers that nothing of the output is computed from; returns each old position's new one.

    Such are the heads of a network that returns several values, of which one is looked at.
    """
    nodes = list(graph.nodes)
    read = {node for node in nodes if node.op in ("placeholder", "output")}
    for node in reversed(nodes):
        writes = (
            writes_its_input(model, node) and node.args[0] in read
        )  # someone may see it by a view
        if node in read or writes:
            read |= {node, *node.all_input_nodes}
    heads = {node for node in nodes if node not in read}
    if not any(
        node.op == "call_module" and is_layer(model.get_submodule(str(node.target)))
        for node in heads
    ):
        heads = set()
    for node in reversed(nodes):
        if node in heads:
            graph.erase_node(node)
    return [0, *accumulate(node not in heads for node in nodes)]


def writes_its_input(model: nn.Module, node: torch.fx.Node) -> bool:
    """Whether the node changes its first argument in place."""
    if not node.args or not isinstance(node.args[0], torch.fx.Node):
        return False
    if node.op == "call_module":
        return bool(getattr(model.get_submodule(str(node.target)), "inplace", False))
    if node.kwargs.get("inplace"):
        return True
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if node.target in _AUGMENTED:
        return True
    in_torch = node.op == "call_method" or "torch" in str(getattr(node.target, "__module__", ""))
    return in_torch and name.endswith("_") and not name.endswith("__")


def node_owners(node: torch.fx.Node) -> tuple[str, ...]:
    """The paths of the modules that the node runs in, outermost first."""
    stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    if node.op == "call_module" and str(node.target) not in stack:
        stack.append(str(node.target))
    return tuple(path for path in stack if path)


def size_nodes(graph: torch.fx.Graph) -> set[torch.fx.Node]:
    """Nodes that carry shapes, not data: a reader of a shape, and all that is computed from shapes alone."""
    sizes: set[torch.fx.Node] = set()
    for node in graph.nodes:
        reads = node.op == "call_method" and node.target in ("size", "dim")
        reads = reads or (node.target is getattr and len(node.args) > 1 and node.args[1] == "shape")
        sources = node.all_input_nodes
        if reads or (sources and all(source in sizes for source in sources)):
            sizes.add(node)
    return sizes


def call_node(model: nn.Module, node: torch.fx.Node, values: dict[torch.fx.Node, Any]) -> Any:
    """What a node computes in this model from the values of the nodes before it; None for in- and output."""
    args = torch.fx.node.map_arg(node.args, values.__getitem__)
    kwargs = torch.fx.node.map_arg(node.kwargs, values.__getitem__)
    if node.op == "call_module":
        return model.get_submodule(str(node.target))(*args, **kwargs)
    if node.op == "call_function":
        return node.target(*args, **kwargs)  # type: ignore[operator]
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
    if node.op == "get_attr":
        return _attribute(model, str(node.target))
    return None


def _attribute(model: nn.Module, path: str) -> Any:
    value: Any = model
    for name in path.split("."):
        value = getattr(value, name)
    return value


def inner_nodes(graph: torch.fx.Graph) -> Iterator[torch.fx.Node]:
    """All nodes but those of in- and output."""
    return (node for node in graph.nodes if node.op not in ("placeholder", "output"))
