"""Cross-layer equalisation: neighbouring layers share out their channels' ranges, the function stays.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.1. A channel between two layers can be made 1/s times as large and the reader's weights for
it s times: behind a ReLU nothing changes. The factor s = √(r₁ / r₂) makes both ranges √(r₁ r₂).

Departures: a BatchNorm between the two is scaled instead of being folded first (r₁ is that of the folded
weights), so its statistics stay those of training; chains through ReLU6 and other bounded functions are
left alone, where the paper swaps in a ReLU; high biases are not absorbed. Since every output channel
has a grid of its own here, what gains is the reader's grid and the activation between.
"""

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.graph.blocks import trace

ROUNDS = 20  # a layer in the middle belongs to two pairs, so all pairs are gone through again
SETTLED = 1e-3  # of log s
_LIMIT = 1e4  # of s: a channel that is all but dead is not blown up beyond
# f(s x) = s f(x) for s > 0, channel by channel
_MODULES = (
    nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Dropout, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d,
)  # fmt: skip
_FUNCTIONS = (torch.relu, F.relu)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two layers with nothing between but, perhaps, a BatchNorm and what does not mind a factor."""

    writer: str
    norm: str | None
    reader: str


def find_pairs(model: nn.Module) -> list[Pair]:
    """All pairs, in order of execution; of modules whose every parameter is read once, in one place."""
    graph = trace(model)
    reads = _reads(model, graph)
    found = []
    for node in graph.nodes:
        if node.op == "call_module" and _is_layer(model, node):
            pair = _follow(model, node)
            if pair and all(reads[p.data_ptr()] == 1 for p in _parameters(model, pair)):
                found.append(pair)
    return found


def _reads(model: nn.Module, graph: torch.fx.Graph) -> Counter[int]:
    """How often each parameter, by its memory, is read in one pass: by modules, and by name in `forward`."""
    reads: Counter[int] = Counter()
    for node in graph.nodes:
        if node.op == "call_module":
            module = model.get_submodule(str(node.target))
            reads.update(p.data_ptr() for p in module.parameters())
        elif node.op == "get_attr":
            owner, _, name = str(node.target).rpartition(".")
            value = getattr(model.get_submodule(owner), name)
            if isinstance(value, Tensor):
                reads.update([value.data_ptr()])
    return reads


def _parameters(model: nn.Module, pair: Pair) -> Iterator[nn.Parameter]:
    for path in (pair.writer, pair.norm, pair.reader):
        if path is not None:
            yield from model.get_submodule(path).parameters()


def _follow(model: nn.Module, start: torch.fx.Node) -> Pair | None:
    norm: str | None = None
    node = start
    while len(node.users) == 1:
        node = next(iter(node.users))
        if node.op == "call_module":
            module = model.get_submodule(str(node.target))
            if _is_layer(model, node):
                return _pair(model, str(start.target), norm, str(node.target))
            if isinstance(module, nn.BatchNorm2d) and norm is None and _is_settled(module):
                if next(iter(node.all_input_nodes)) is not start:
                    return None
                norm = str(node.target)
            elif not isinstance(module, _MODULES):
                return None
        elif not (node.op == "call_function" and node.target in _FUNCTIONS):
            return None
    return None


def _is_settled(norm: nn.BatchNorm2d) -> bool:
    """Whether it has a factor to move, and statistics that do not follow the images."""
    return norm.affine and norm.running_mean is not None and norm.running_var is not None


def _is_layer(model: nn.Module, node: torch.fx.Node) -> bool:
    return isinstance(model.get_submodule(str(node.target)), (nn.Conv2d, nn.Linear))


def _pair(model: nn.Module, writer: str, norm: str | None, reader: str) -> Pair | None:
    """The pair, where the reader sees the writer's channels one by one."""
    module = model.get_submodule(reader)
    channels = len(model.get_submodule(writer).weight)  # type: ignore[arg-type]
    reads = module.in_channels if isinstance(module, nn.Conv2d) else module.in_features
    return Pair(writer, norm, reader) if reads == channels else None


@torch.no_grad()
def equalised(model: nn.Module) -> tuple[nn.Module, int]:
    """A copy with equalised channels that computes the same, and how many pairs there are."""
    model = copy.deepcopy(model)
    pairs = find_pairs(model)
    for _ in range(ROUNDS):
        moved = [_equalise(model, pair) for pair in pairs]
        if max(moved, default=0.0) < SETTLED:
            break
    return model, len(pairs)


def _equalise(model: nn.Module, pair: Pair) -> float:
    writer, reader = model.get_submodule(pair.writer), model.get_submodule(pair.reader)
    norm = None if pair.norm is None else model.get_submodule(pair.norm)
    written = writer.weight.flatten(1).abs().amax(1)  # type: ignore[operator]
    if isinstance(norm, nn.BatchNorm2d):
        assert norm.running_var is not None
        written = written * norm.weight.abs() / (norm.running_var + norm.eps).sqrt()
    read = torch.stack([columns.abs().amax() for columns in _columns(reader)])
    factors = (written / read).sqrt().clamp(1 / _LIMIT, _LIMIT)
    factors = torch.where((written > 0) & (read > 0), factors, torch.ones_like(factors))
    scaled = writer if norm is None else norm
    for parameter in (scaled.weight, scaled.bias):
        if isinstance(parameter, Tensor):
            parameter.div_(factors.view(-1, *[1] * (parameter.dim() - 1)))
    for columns, factor in zip(_columns(reader), factors, strict=True):
        columns.mul_(factor)
    return float(factors.log().abs().max())


def _columns(reader: nn.Module) -> Iterator[Tensor]:
    """The reader's weights for each of its input channels, as views."""
    weight = reader.weight
    assert isinstance(weight, Tensor)
    groups = reader.groups if isinstance(reader, nn.Conv2d) else 1
    for group in weight.chunk(groups):
        yield from group.unbind(1)
