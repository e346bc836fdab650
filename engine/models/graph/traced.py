"""A traced network, and what can be asked of it: what runs inside a module, what flows in and out.

It is read only: nothing here decides where a network is cut, see engine.models.graph.regions.
"""

import operator
from collections.abc import Sequence

import torch.fx
from torch import nn

from engine.models.graph.flow import is_layer, node_owners, size_nodes, trace_calls

ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.LeakyReLU, nn.GELU, nn.ELU, nn.Hardtanh, nn.PReLU,
    nn.Mish, nn.Sigmoid, nn.Hardsigmoid, nn.Tanh, nn.CELU, nn.SELU, nn.Softplus,
)  # fmt: skip
_FUNCTIONS = {"relu", "relu_", "relu6", "silu", "hardswish", "leaky_relu", "gelu", "elu"}

Node = torch.fx.Node
Part = str | Node  # a direct child that has layers, or a node of its own


class TracedNetwork:
    """The nodes of a network's data flow in order, the modules that they run in, and their neighbours."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.graph, calls = trace_calls(model)
        self.nodes = list(self.graph.nodes)
        self.order = {node: k for k, node in enumerate(self.nodes)}
        self.owners = {node: node_owners(node) for node in self.nodes}
        self.sizes = size_nodes(self.graph)
        self.several = {node for node in self.nodes if _gives_several(node)}
        self.calls = {call.path: [c for c in calls if c.path == call.path] for call in calls}
        self.inside: dict[str, list[Node]] = {"": []}
        for node in self.nodes:
            if node.op not in ("placeholder", "output"):
                for path in ("", *dict.fromkeys(self.owners[node])):
                    self.inside.setdefault(path, []).append(node)

    def parts(self, path: str) -> dict[Node, Part]:
        """Each node inside `path`, mapped to the direct child it runs in, or to itself.

        A child without layers (an activation, say) may be called in several places: no part of its own.
        """
        parts: dict[Node, Part] = {}
        for node in self.inside[path]:
            owners = self.owners[node]
            deeper = owners[owners.index(path) + 1 :] if path else owners
            parts[node] = deeper[0] if deeper and self.has_layers(deeper[0]) else node
        return parts

    def has_layers(self, path: str) -> bool:
        return any(is_layer(module) for module in self.model.get_submodule(path).modules())

    def is_chain(self, parts: dict[Node, Part]) -> bool:
        """Every part has one predecessor, and every part but the last one successor."""
        before: dict[object, set[object]] = {}
        after: dict[object, set[object]] = {}
        for node, part in parts.items():
            for source in node.all_input_nodes:
                if not self.carries(source) or not self.carries(node):
                    continue
                origin = parts.get(source, "input")
                if origin is not part:
                    before.setdefault(part, set()).add(origin)
                    after.setdefault(origin, set()).add(part)
        repeated = any(len(self.calls.get(p, ())) > 1 for p in parts.values() if isinstance(p, str))
        return not repeated and all(
            len(ends) == 1 for side in (before, after) for ends in side.values()
        )

    def carries(self, node: Node) -> bool:
        """Whether the node's value is data that somebody reads: no size, no parameter, nothing idle."""
        return node not in self.sizes and node.op != "get_attr" and bool(node.users)

    def is_plain(self, path: str) -> bool:
        """A layer, or a chain of such."""
        if is_layer(self.model.get_submodule(path)):
            return True
        parts = self.parts(path)
        children = {part for part in parts.values() if isinstance(part, str)}
        return self.is_chain(parts) and all(self.is_plain(child) for child in children)

    def layers(self, nodes: Sequence[Node]) -> list[str]:
        return list(dict.fromkeys(str(n.target) for n in nodes if self.is_layer(n)))

    def is_layer(self, node: Node) -> bool:
        return node.op == "call_module" and is_layer(self.model.get_submodule(str(node.target)))

    def sources(self, nodes: Sequence[Node]) -> set[Node]:
        """What the nodes read from outside, parameters and sizes aside."""
        inside = {*nodes}
        return {
            s
            for n in nodes
            if n not in self.sizes
            for s in n.all_input_nodes
            if s not in inside and s not in self.sizes and s.op != "get_attr"
        }

    def exits(self, nodes: Sequence[Node]) -> set[Node]:
        """What is read of the nodes outside."""
        inside = {*nodes}
        return {n for n in nodes if n.op != "get_attr" and any(u not in inside for u in n.users)}

    def can_run_alone(self, nodes: Sequence[Node]) -> bool:
        """No size is taken from outside: a region run by its nodes has only its input."""
        inside = {*nodes}
        return not any(
            s in self.sizes and s not in inside for n in nodes for s in n.all_input_nodes
        )

    def is_batchnorm(self, node: Node) -> bool:
        return node.op == "call_module" and isinstance(
            self.model.get_submodule(str(node.target)), nn.BatchNorm2d
        )

    def is_activation(self, node: Node) -> bool:
        if node.op == "call_module":
            return isinstance(self.model.get_submodule(str(node.target)), ACTIVATIONS)
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        return name in _FUNCTIONS


def _gives_several(node: Node) -> bool:
    """Whether a node's value is several tensors, each taken out by its number (chunk, split, unbind, ..)."""
    return node.op not in ("placeholder", "output") and any(
        user.target is operator.getitem and isinstance(user.args[1], int) for user in node.users
    )
