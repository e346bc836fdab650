"""Blocks: the pieces of a network that are reconstructed one after another, found from its data flow.

The module tree is walked from the root. A container whose children run as a plain chain is gone down
into; a module in which data flows otherwise (a residual, a concatenation) is a block, and so is every
other module of its class, so that all inverted residuals are treated alike, with shortcut or without.
A convolution or linear layer that stands alone is a block with the BatchNorm and activation behind it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch.fx
from torch import Tensor, nn

from engine.core.errors import UserError

_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.LeakyReLU, nn.GELU, nn.ELU)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Modules that run one after another, and the layers with weights inside them."""

    name: str
    paths: tuple[str, ...]  # called in this order, each on the output of the one before
    layers: tuple[str, ...]  # convolutions and linear layers, in order of execution
    readers: tuple[str, ...]  # those that read the block's input
    has_shortcut: (
        bool  # something that has no weights reads the block's input too, or several layers do
    )

    def run(self, model: nn.Module, x: Tensor) -> Tensor:
        """The block's output in this model (the teacher, or a student: they share paths)."""
        for path in self.paths:
            x = model.get_submodule(path)(x)
        return x


def is_layer(module: nn.Module) -> bool:
    """Has weights that are quantized."""
    return isinstance(module, (nn.Conv2d, nn.Linear))


class LeafTracer(torch.fx.Tracer):
    """Sees layers, normalisations, childless modules and the modules named in `leaves` from outside."""

    def __init__(self, leaves: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._leaves = leaves

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        childless = next(m.children(), None) is None
        return childless or is_layer(m) or module_qualified_name in self._leaves


def trace(model: nn.Module, leaves: frozenset[str] = frozenset()) -> torch.fx.Graph:
    """The network's data flow, read-only; UserError where Python's control flow hides it."""
    try:
        return LeafTracer(leaves).trace(model)
    except Exception as error:  # whatever the network's own Python raises under symbolic values
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{type(model).__name__} cannot be traced: {reason}") from error


def find_blocks(model: nn.Module) -> tuple[Block, ...]:
    """The blocks in order of execution; together they hold every layer exactly once."""
    finder = _Finder(model)
    classes: frozenset[type[nn.Module]] = frozenset()
    while True:  # a class once found to be a block may stand elsewhere as a plain chain
        roots = list(finder.roots("", classes))
        found = {
            type(model.get_submodule(root))
            for root in roots
            if not is_layer(model.get_submodule(root))
        }
        found = {cls for cls in found if not issubclass(cls, _CONTAINERS)} - {type(model)}
        if found <= classes:
            break
        classes |= found
    if roots == [""]:
        raise UserError(
            f"{type(model).__name__} has one data flow that nowhere narrows to a chain of modules, so no "
            "blocks can be told apart; wrap what belongs together into modules"
        )
    blocks = tuple(finder.block(root) for root in roots)
    _check_cover(model, blocks)
    return blocks


def layer_blocks(model: nn.Module, paths: Iterable[str]) -> tuple[Block, ...]:
    """Each of these layers as a block of its own, with the BatchNorm and activation behind it."""
    finder = _Finder(model)
    return tuple(finder.block(path) for path in paths)


def _check_cover(model: nn.Module, blocks: tuple[Block, ...]) -> None:
    covered = sorted(path for block in blocks for path in block.layers)
    used = sorted(path for path, module in model.named_modules() if is_layer(module))
    if covered != used:
        odd = sorted(set(covered) ^ set(used)) or [p for p in covered if covered.count(p) > 1]
        raise UserError(
            f"the blocks found do not hold every layer exactly once: {', '.join(odd[:5])}"
        )


class _Finder:
    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.graph = trace(model)
        self.nodes = [node for node in self.graph.nodes if node.op not in ("placeholder", "output")]
        self.owners = {node: node_owners(node) for node in self.nodes}
        self.sizes = size_nodes(self.graph)

    def inside(self, path: str) -> list[torch.fx.Node]:
        return [node for node in self.nodes if not path or path in self.owners[node]]

    def roots(self, path: str, block_classes: frozenset[type[nn.Module]]) -> Iterator[str]:
        """Paths of blocks below `path`, in order of execution."""
        module = self.model.get_submodule(path)
        if is_layer(module) or (path and type(module) in block_classes):
            yield path
            return
        parts = self._parts(path)
        if not self._is_chain(parts):
            yield path
            return
        for part in dict.fromkeys(parts.values()):
            if isinstance(part, str):
                yield from self.roots(part, block_classes)

    def _parts(self, path: str) -> dict[torch.fx.Node, str | torch.fx.Node]:
        """Each node inside `path`, mapped to the direct child it runs in, or to itself.

        A child without layers (an activation, say) may be called in several places: no part of its own.
        """
        parts: dict[torch.fx.Node, str | torch.fx.Node] = {}
        for node in self.inside(path):
            owners = self.owners[node]
            deeper = owners[owners.index(path) + 1 :] if path else owners
            parts[node] = deeper[0] if deeper and self._has_layers(deeper[0]) else node
        return parts

    def _has_layers(self, path: str) -> bool:
        return any(is_layer(module) for module in self.model.get_submodule(path).modules())

    def _is_chain(self, parts: dict[torch.fx.Node, str | torch.fx.Node]) -> bool:
        """Every part has one predecessor, and every part but the last one successor."""
        before: dict[object, set[object]] = {}
        after: dict[object, set[object]] = {}
        for node, part in parts.items():
            for source in node.all_input_nodes:
                if source in self.sizes or node in self.sizes:
                    continue
                origin = parts.get(source, "input")
                if origin is not part:
                    before.setdefault(part, set()).add(origin)
                    after.setdefault(origin, set()).add(part)
        return all(len(s) == 1 for s in before.values()) and all(
            len(s) == 1 for s in after.values()
        )

    def block(self, path: str) -> Block:
        module = self.model.get_submodule(path)
        if is_layer(module):
            return Block(
                name=path,
                paths=self._with_followers(path),
                layers=(path,),
                readers=(path,),
                has_shortcut=False,
            )
        inside = self.inside(path)
        layers = tuple(dict.fromkeys(str(n.target) for n in inside if self._is_layer_node(n)))
        sources = {
            s for n in inside for s in n.all_input_nodes if s not in inside and s not in self.sizes
        }
        readers = [
            n
            for n in inside
            if any(s in sources for s in n.all_input_nodes) and n not in self.sizes
        ]
        reading_layers = tuple(str(n.target) for n in readers if self._is_layer_node(n))
        return Block(
            name=path,
            paths=(path,),
            layers=layers,
            readers=reading_layers,
            has_shortcut=len(readers) > 1,
        )

    def _is_layer_node(self, node: torch.fx.Node) -> bool:
        return node.op == "call_module" and is_layer(self.model.get_submodule(str(node.target)))

    def _with_followers(self, path: str) -> tuple[str, ...]:
        """The layer, and directly behind it: a BatchNorm, then an activation, where nothing else reads."""
        paths = [path]
        node = next(n for n in self.nodes if n.op == "call_module" and n.target == path)
        for kinds in ((nn.BatchNorm2d,), _ACTIVATIONS):
            users = list(node.users)
            if len(users) == 1 and users[0].op == "call_module":
                module = self.model.get_submodule(str(users[0].target))
                if isinstance(module, kinds):
                    node = users[0]
                    paths.append(str(node.target))
        return tuple(paths)


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
