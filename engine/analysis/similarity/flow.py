"""A network's streams of channels, read off its data flow."""

from typing import Any

import numpy as np
import torch.fx
from torch import nn

from engine.analysis.similarity.streams import Numbers, Sharing, Streams, Unit
from engine.models.graph.flow import is_layer, size_nodes, trace
from engine.models.graph.traced import ACTIVATIONS

Node = torch.fx.Node
# f(s x) = s f(x) for s > 0, channel by channel
_SCALE = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity, nn.Dropout, nn.Dropout2d, nn.MaxPool2d,
          nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten, nn.Upsample,
          nn.ZeroPad2d)  # fmt: skip
_SCALING = {"relu", "relu_", "leaky_relu", "dropout", "adaptive_avg_pool2d", "avg_pool2d", "max_pool2d",
            "boolean_dispatch", "_max_pool2d", "flatten", "mean", "contiguous", "interpolate"}  # fmt: skip
_ELEMENTWISE = {"silu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "tanh", "gelu", "elu",
                "hardtanh", "clamp", "softplus", "mish"}  # fmt: skip
_ADD, _MULTIPLY = {"add", "iadd", "add_", "sub", "isub"}, {"mul", "imul", "mul_"}
_DIVIDE = {"truediv", "div", "itruediv", "div_"}
_BATCHNORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def find_streams(model: nn.Module, channels: int) -> Streams:
    """The streams of a network whose images have so many channels; UserError where it cannot be traced."""
    return _Walk(model, channels).streams()


class _Walk:
    """Goes through the data flow once; `values` has the channels of each node, None where not followed."""

    def __init__(self, model: nn.Module, channels: int) -> None:
        self.model, self.channels = model, channels
        self.graph = trace(model)
        self.sizes = size_nodes(self.graph)
        self.sharing = Sharing()
        self.values: dict[Node, Numbers | None] = {}
        self.joined: set[Node] = set()  # several streams side by side
        self.units: dict[str, Unit] = {}

    def streams(self) -> Streams:
        for node in self.graph.nodes:
            self.values[node] = None if node in self.sizes else self._value(node)
            passes = node.op != "call_module" or not is_layer(
                self.model.get_submodule(str(node.target))
            )
            if passes and self._is_joined(node):
                self.joined.add(node)
        return self.sharing.streams([*self.units.values()])

    def _value(self, node: Node) -> Numbers | None:
        if node.op == "placeholder":
            return self._fixed(self.channels)
        if node.op == "get_attr":
            return None
        if node.op == "call_module":
            return self._module(node, self.model.get_submodule(str(node.target)))
        if node.op != "output":
            return self._function(node)
        return self._lost(node)

    # --- modules --------------------------------------------------------------------------------

    def _module(self, node: Node, module: nn.Module) -> Numbers | None:
        if is_layer(module):
            return self._layer(node, module)
        (found, *others) = self._read(node)
        if found is None or others:
            return self._lost(node)
        if isinstance(module, _BATCHNORMS) and module.running_mean is not None:
            return self._unit(str(node.target), found, len(found), eps=module.eps)
        if isinstance(module, _SCALE):
            return found
        if isinstance(module, ACTIVATIONS):
            self.sharing.fix(found, "factor")
            return found
        return self._lost(node)

    def _layer(self, node: Node, module: Any) -> Numbers:
        convolution = isinstance(module, nn.Conv2d)
        wide = module.in_channels if convolution else module.in_features
        out = module.out_channels if convolution else module.out_features
        found = self._read(node)[0]
        if found is None or wide % len(found):
            self._lost(node)
            found = self._fixed(wide)
        groups = module.groups if convolution else 1
        return self._unit(str(node.target), found, out, groups=groups)

    def _unit(
        self, path: str, reads: Numbers, out: int, groups: int = 1, eps: float | None = None
    ) -> Numbers:
        if path in self.units:  # it runs again: what it reads and writes has the same factors
            unit = self.units[path]
            if len(unit.reads) != len(reads):
                self.sharing.fix(np.concatenate([unit.reads, reads]), "factor", "order")
            else:
                self._tie(unit.reads, reads)
            return unit.writes
        writes = self.sharing.new(out)
        unit = Unit(path=path, reads=reads, writes=writes, groups=groups, eps=eps)
        self.units[path] = unit
        if unit.by_channel and len(reads) == out:
            self.sharing.join("order", reads, writes)
        elif groups > 1:
            self.sharing.fix(np.concatenate([reads, writes]), "order")
        return writes

    # --- functions ------------------------------------------------------------------------------

    def _function(self, node: Node) -> Numbers | None:
        name = node.target if isinstance(node.target, str) else node.target.__name__
        found = self._read(node)
        known = [one for one in found if one is not None]
        if not known or len(known) < len(found):
            return self._lost(node)
        if name in ("cat", "concat") and _dimension(node) == 1:
            self.joined.add(node)
            return np.concatenate(known)
        if name in _ADD and len({*map(len, known)}) == 1:
            return self._sum(node, known)
        divides = name in _DIVIDE and len(known) == 1 and node.args[0] is node.all_input_nodes[0]
        if name in _MULTIPLY or divides:
            return self._product(node, known)
        if len(known) > 1:
            return self._lost(node)
        if (name in _SCALING and not _mixes(node, name)) or _flattens(node, name):
            return known[0]
        if name in _ELEMENTWISE:
            self.sharing.fix(known[0], "factor")
            return known[0]
        return self._lost(node)

    def _sum(self, node: Node, known: list[Numbers]) -> Numbers:
        if len(known) == 1 and not _twice(node):
            self.sharing.fix(known[0], "factor")  # a constant has no factor
        for other in known[1:]:
            self._tie(known[0], other)
            if self._is_joined(node):
                self.sharing.fix(np.concatenate([known[0], other]), "order")
        return known[0]

    def _product(self, node: Node, known: list[Numbers]) -> Numbers | None:
        """A number times a stream, or a gate whose own factor is 1."""
        if len(known) == 1:
            if _twice(node):
                self.sharing.fix(known[0], "factor")
            return known[0]
        if len(known) > 2 or len(known[0]) != len(known[1]):
            return self._lost(node)
        first, second = known
        self.sharing.join("order", first, second)
        if self._is_joined(node):
            self.sharing.fix(np.concatenate(known), "order")
        if self.sharing.is_fixed(second):
            return first
        if not self.sharing.is_fixed(first):
            self.sharing.fix(np.concatenate(known), "factor")
        return second

    # --- channels -------------------------------------------------------------------------------

    def _read(self, node: Node) -> list[Numbers | None]:
        return [self.values[one] for one in node.all_input_nodes if one not in self.sizes] or [None]

    def _tie(self, a: Numbers, b: Numbers) -> None:
        self.sharing.join("factor", a, b)
        self.sharing.join("order", a, b)

    def _fixed(self, count: int) -> Numbers:
        found = self.sharing.new(count)
        self.sharing.fix(found, "factor", "order")
        return found

    def _is_joined(self, node: Node) -> bool:
        return any(source in self.joined for source in node.all_input_nodes)

    def _lost(self, node: Node) -> Numbers | None:
        """What goes in here is followed no further: factors are 1, channels stay."""
        for found in self._read(node):
            if found is not None:
                self.sharing.fix(found, "factor", "order")
        return None


def _twice(node: Node) -> bool:
    """Whether both operands are the same tensor."""
    return len(node.args) > 1 and node.args[0] is node.args[1]


def _dimension(node: Node) -> Any:
    return node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)


def _mixes(node: Node, name: str) -> bool:
    """A mean that takes other dimensions than those of the picture, or a flattening of images."""
    if name == "mean":
        over = _dimension(node)
        over = over if isinstance(over, (tuple, list)) else (over,)
        return not {*over} <= {2, 3, -1, -2}
    start = node.kwargs.get("start_dim", node.args[1] if len(node.args) > 1 else 0)
    return name == "flatten" and bool(start != 1)


def _flattens(node: Node, name: str) -> bool:
    """x.view(n, -1) or x.reshape(n, -1)."""
    return name in ("view", "reshape") and len(node.args) == 3 and bool(node.args[2] == -1)
