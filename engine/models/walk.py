"""Walk a network block by block: each block is run once, never the whole network again."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from engine.models.blocks import Block, trace


class Walk:
    """Images on their way through a model, halted before a block.

    A teacher and its student share paths, so each has a Walk of its own over the same graph; a student's
    walk goes through a block once that block is quantized, and never comes back.
    """

    def __init__(self, model: nn.Module, plan: "WalkPlan", images: Tensor, chunk: int) -> None:
        self._model = model
        self._plan = plan
        self._at = 0
        first = plan.nodes[0]
        self._values: list[dict[torch.fx.Node, Any]] = [
            {first: part} for part in images.split(chunk)
        ]

    @torch.no_grad()
    def to(self, block: Block) -> Tensor:
        """Run on until the block's input is there, and return it for all images."""
        start = self._plan.starts[block.name]
        self._run_until(start)
        node = self._plan.nodes[start]
        source = node.all_input_nodes[0]
        return torch.cat([values[source] for values in self._values])

    @torch.no_grad()
    def through(self, block: Block) -> Tensor:
        """Run through the block, and return its output for all images."""
        end = self._plan.ends[block.name]
        self._run_until(end + 1)
        return torch.cat([values[self._plan.nodes[end]] for values in self._values])

    def _run_until(self, index: int) -> None:
        for node in self._plan.nodes[self._at : index]:
            done = self._plan.last_readers[node]
            for values in self._values:
                if node.op != "placeholder":
                    values[node] = call_node(self._model, node, values)
                for used_up in done:
                    values.pop(used_up, None)
        self._at = max(self._at, index)


class WalkPlan:
    """The graph of a model with its blocks seen from outside, and where each block begins and ends."""

    def __init__(self, model: nn.Module, blocks: Sequence[Block]) -> None:
        leaves = frozenset(path for block in blocks for path in block.paths)
        graph = trace(model, leaves)
        self.nodes: list[torch.fx.Node] = list(graph.nodes)
        self._graph = graph  # keeps the nodes alive
        position = {
            str(n.target): i
            for i, n in reversed(list(enumerate(self.nodes)))
            if n.op == "call_module"
        }
        self.starts = {block.name: position[block.paths[0]] for block in blocks}
        self.ends = {
            block.name: self._position_after(position[block.paths[0]], block.paths[-1])
            for block in blocks
        }
        self.last_readers = self._last_readers()

    def _position_after(self, start: int, path: str) -> int:
        for index in range(start, len(self.nodes)):
            if self.nodes[index].op == "call_module" and str(self.nodes[index].target) == path:
                return index
        raise LookupError(path)

    def _last_readers(self) -> dict[torch.fx.Node, list[torch.fx.Node]]:
        """For each node, the values that nobody needs once it has run."""
        last: dict[torch.fx.Node, torch.fx.Node] = {}
        for node in self.nodes:
            for source in node.all_input_nodes:
                last[source] = node
        done: dict[torch.fx.Node, list[torch.fx.Node]] = {node: [] for node in self.nodes}
        for source, reader in last.items():
            done[reader].append(source)
        return done


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
