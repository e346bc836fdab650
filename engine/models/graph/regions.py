"""Regions: the pieces of a data flow that have one tensor as input and one as output.

The module tree is walked from the root. What runs as a plain chain is gone down into. A module in which
data flows otherwise (a residual, a concatenation) is a region, and so is every other module of its class,
so that all inverted residuals are treated alike, with shortcut or without. A layer that stands alone is a
region with the BatchNorm and activation behind it.

The root itself, and a module with more than MANY layers (DenseNet's dense blocks), is cut instead: first
where a single tensor flows; then, where what lies between two cuts is still too large, into its modules.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from engine.models.graph.flow import is_layer
from engine.models.graph.traced import Node, Part, TracedNetwork

MANY = 10  # layers that are reconstructed together at most; InceptionV3's largest block has as many
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Nodes that run one after another, read one tensor from outside, and give one."""

    name: str
    nodes: tuple[Node, ...]
    source: Node
    exit: Node
    path: str  # the module that runs just these nodes; "" where there is none
    further: tuple[Any, ...] = ()  # what the module is given besides the tensor: constants
    named: dict[str, Any] = field(default_factory=dict)


class RegionFinder(TracedNetwork):
    """Cuts a network into regions that together run every layer, each layer in one of them."""

    def regions(self) -> list[Region]:
        """In order of execution."""
        classes: frozenset[type[nn.Module]] = frozenset()
        while True:  # a class once found to be a region may stand elsewhere as a plain chain
            self._taken: set[str] = set()
            found = list(self._split("", classes))
            paths = [region.path for region in found if region.path]
            modules = [self.model.get_submodule(path) for path in paths]
            new = {type(m) for m in modules if not is_layer(m) and not isinstance(m, _CONTAINERS)}
            new -= {type(self.model)}
            if new <= classes:
                return found
            classes |= new

    # --- down the module tree -------------------------------------------------------------------

    def _split(self, path: str, classes: frozenset[type[nn.Module]]) -> Iterator[Region]:
        module = self.model.get_submodule(path)
        nodes = self.inside[path]
        if is_layer(module):
            yield from self._layer(path)
            return
        parts = self.parts(path)
        is_chain = self.is_chain(parts)
        known = bool(path) and type(module) in classes
        if known or (path and not is_chain and len(self.layers(nodes)) <= MANY):
            region = self._module(path) or self._trimmed(path, nodes)
            if region is not None:
                yield self._take(region)
                return
        if is_chain:
            for part in dict.fromkeys(parts.values()):
                if isinstance(part, str):
                    yield from self._split(part, classes)
        else:
            yield from self._cut(parts, classes)

    # --- cutting where one tensor flows ---------------------------------------------------------

    def _cut(
        self, parts: dict[Node, Part], classes: frozenset[type[nn.Module]]
    ) -> Iterator[Region]:
        segments = list(self._segments(parts))
        for number, segment in enumerate(segments):
            children = [p for p in dict.fromkeys(parts[n] for n in segment) if isinstance(p, str)]
            if not children:
                continue
            region = None
            if not self._is_for_itself(segment, children):
                behind = segments[number + 1] if number + 1 < len(segments) else []
                last = behind if len(behind) == 1 and self.is_activation(behind[0]) else []
                region = self._trimmed("", [*segment, *last])
            if region is not None:
                yield self._take(region)
                continue
            for child in children:
                yield from self._whole(child, classes)

    def _is_for_itself(self, segment: list[Node], children: list[str]) -> bool:
        """One part that runs once, with nothing around it, or with blocks of its own inside."""
        (first, *others) = children
        if others or len(self.calls[first]) > 1:
            return False
        alone = len(segment) == len(self.inside[first])
        return alone or is_layer(self.model.get_submodule(first)) or not self.is_plain(first)

    def _segments(self, parts: dict[Node, Part]) -> Iterator[list[Node]]:
        """Runs of nodes between places where a single tensor flows, and between whole parts."""
        last_read = {
            source: self.order[node]
            for node in parts
            if node not in self.sizes
            for source in node.all_input_nodes
            if self.carries(source)
        }
        last_of = {part: self.order[node] for node, part in parts.items()}
        live = {source for source in last_read if source not in parts}
        segment: list[Node] = []
        open_until = -1
        for node, part in parts.items():
            segment.append(node)
            open_until = max(open_until, last_of[part])
            live.add(node)
            live = {n for n in live if last_read.get(n, -1) > self.order[node]}
            if len(live) <= 1 and not live & self.several and open_until <= self.order[node]:
                yield segment
                segment = []
        if segment:
            yield segment

    def _whole(self, path: str, classes: frozenset[type[nn.Module]]) -> Iterator[Region]:
        """A module of a piece that is too large: one region where it is a mere chain, else split."""
        nodes = self.inside[path]
        if len(self.layers(nodes)) > 1 and self.is_plain(path):
            region = self._module(path) or self._trimmed(path, nodes)
            if region is not None:
                yield self._take(region)
                return
        yield from self._split(path, classes)

    # --- regions --------------------------------------------------------------------------------

    def _take(self, region: Region) -> Region:
        self._taken |= {*self.layers(region.nodes)}
        return region

    def _layer(self, path: str) -> Iterator[Region]:
        if (
            path not in self._taken
        ):  # else it runs again, under another name or far behind the first
            yield self._take(self.layer_region(path))

    def layer_region(self, path: str) -> Region:
        """The layer, and directly behind it: a BatchNorm, then an activation, where nothing else reads."""
        nodes = [next(n for n in self.inside[path] if n.op == "call_module" and n.target == path)]
        source = nodes[0].all_input_nodes[0]
        for follows in (self.is_batchnorm, self.is_activation):
            following = self.nodes[self.order[nodes[-1]] + 1]
            if list(nodes[-1].users) == [following] and follows(following):
                nodes.append(following)
        modules_alone = all(node.op == "call_module" for node in nodes)
        return Region(
            name=path, nodes=tuple(nodes), source=source, exit=nodes[-1],
            path=path if modules_alone else "",
        )  # fmt: skip

    def _module(self, path: str) -> Region | None:
        """The module as a region that is run by calling it; None where more goes in or comes out."""
        calls = self.calls.get(path, ())
        nodes = self.inside[path]
        if len(calls) != 1 or not nodes or self._taken & {*self.layers(nodes)}:
            return None
        (call,) = calls
        sources, exits = self.sources(nodes), self.exits(nodes)
        if sources != {call.reads} or exits != {call.gives} or (sources | exits) & self.several:
            return None
        assert call.reads is not None
        assert call.gives is not None
        return Region(name=path, nodes=tuple(nodes), source=call.reads, exit=call.gives, path=path)

    def _trimmed(self, path: str, nodes: Sequence[Node]) -> Region | None:
        """The nodes as a region, without what joins several inputs before the first layer; None: none."""
        nodes = self.nodes[
            self.order[nodes[0]] : self.order[nodes[-1]] + 1
        ]  # what runs between, too
        while nodes and len(self.sources(nodes)) > 1 and not self.is_layer(nodes[0]):
            nodes = nodes[1:]
        while nodes and nodes[-1] not in self.exits(nodes) and not self.is_layer(nodes[-1]):
            nodes = nodes[:-1]
        layers = self.layers(nodes)
        sources, exits = self.sources(nodes), self.exits(nodes)
        if len(sources) != 1 or len(exits) != 1 or (sources | exits) & self.several:
            return None
        if not self.can_run_alone(nodes):
            return None
        if not 1 <= len(layers) <= MANY or self._taken & {*layers}:
            return None
        name = path or (layers[0] if len(layers) == 1 else f"{layers[0]}..{layers[-1]}")
        return Region(
            name=name, nodes=tuple(nodes), source=sources.pop(), exit=exits.pop(), path=""
        )
