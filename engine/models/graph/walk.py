"""Walk a network block by block: each block is run once, never the whole network again."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.fx
from torch import Tensor, nn

from engine.core.trace import first_value
from engine.models.graph.blocks import Block
from engine.models.graph.flow import call_node
from engine.models.graph.hidden_order import FirstRuns

__all__ = ["Walk", "WalkPlan", "call_node"]


class Walk:
    """Images on their way through a model, halted before a block.

    A teacher and its student share paths, so each has a Walk of its own over the same graph; a student's
    walk goes through a block once that block is quantized, and never comes back. Where the data flow
    cannot be seen (`plan.seen` is False), each step runs the network anew from its beginning: slow, but
    the same for its reader.
    """

    def __init__(self, model: nn.Module, plan: "WalkPlan", images: Tensor, chunk: int) -> None:
        self._model = model
        self._plan = plan
        self._at = 0
        self._images = images.split(chunk)
        first = plan.nodes[0] if plan.seen else None
        self._values: list[dict[Any, Any]] = [{first: part} for part in self._images]

    @torch.no_grad()
    def to(self, block: Block) -> Tensor:
        """Run on until the block's input is there, and return it for all images."""
        if not self._plan.seen:
            return self._anew(block.paths[0], "input")
        self._run_until(self._plan.starts[block.name])
        source = self._plan.sources[block.name]
        return torch.cat([values[source] for values in self._values])

    @torch.no_grad()
    def through(self, block: Block) -> Tensor:
        """Run through the block, and return its output for all images."""
        if not self._plan.seen:
            return self._anew(block.paths[-1], "output")
        end = self._plan.ends[block.name]
        self._run_until(end + 1)
        return torch.cat([values[self._plan.nodes[end]] for values in self._values])

    def _anew(self, path: str, which: Literal["input", "output"]) -> Tensor:
        runs, values = FirstRuns(self._model, self._plan.layers), []
        for images in self._images:
            with runs.watched(path, images):
                values.append(first_value(self._model, path, which, images))
        return torch.cat(values)

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
    """The graph of a model with its blocks seen from outside, and where each block begins and ends.

    A block that a module runs is one node in it (so that a student's module can quantize its input); of
    other blocks all nodes are there.
    """

    def __init__(self, model: nn.Module, blocks: Sequence[Block]) -> None:
        self.seen = all(block.region is not None for block in blocks)
        self.layers = [layer for block in blocks for layer in block.layers]
        self.nodes: list[torch.fx.Node] = []
        self.starts: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.sources: dict[str, torch.fx.Node] = {}
        if self.seen:
            self._graph = torch.fx.Graph()  # keeps the nodes alive
            self._copy(blocks)
        self.last_readers = self._last_readers()

    def _copy(self, blocks: Sequence[Block]) -> None:
        """Copy the blocks' graph, with one call in place of all nodes that a module runs."""
        regions = [block.region for block in blocks if block.region is not None]
        called = {  # by a module of their own
            region.nodes[0]: region
            for block, region in zip(blocks, regions, strict=True)
            if not block.by_nodes and len(block.paths) == 1
        }
        copies: dict[torch.fx.Node, torch.fx.Node] = {}
        skipped: set[torch.fx.Node] = set()
        for node in regions[0].source.graph.nodes:
            if node in called:
                region = called[node]
                args = (copies[region.source], *region.further)
                copies[region.exit] = self._graph.call_module(region.path, args, region.named)
                skipped |= {*region.nodes}
            if node not in skipped or node.op == "get_attr":
                copies[node] = self._graph.node_copy(node, copies.__getitem__)
        self.nodes = list(self._graph.nodes)
        position = {node: k for k, node in enumerate(self.nodes)}
        for block, region in zip(blocks, regions, strict=True):
            first = copies[region.exit if region.nodes[0] in called else region.nodes[0]]
            self.sources[block.name] = copies[region.source]
            self.starts[block.name] = position[first]
            self.ends[block.name] = position[copies[region.exit]]

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
