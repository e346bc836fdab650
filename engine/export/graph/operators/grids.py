"""Input grids: in integers where the weights beside them are codes, in floats where those are floats."""

from collections.abc import Sequence

import numpy as np
from torch.fx import Node

from engine.export.graph.builder import Graph, owner, sides, tensor_of
from engine.export.graph.operators.common import Writer, refuse
from engine.export.network import WeightGrid

_LEVELS = "quantoscope.even_levels.default"
# Operators with weights, and which of their operands these are.
_WEIGHED = {
    "aten.conv2d.default": 1, "aten.conv2d.padding": 1, "aten.conv_transpose2d.input": 1,
    "aten.linear.default": 1, "aten.addmm.default": 2, "aten.mm.default": 1, "aten.matmul.default": 1,
    "aten.bmm.default": 1,
}  # fmt: skip


def even_levels(graph: Graph, node: Node, x: Node, scale: float, low: int, high: int) -> str:
    """The nearest of scale · [low … high], halves to even.

    Between two grids ONNX Runtime 1.32 rounds float weights to 8 bits of its own choice, one step size for
    all channels, where it sees QuantizeLinear and DequantizeLinear on both sides; so in front of float
    weights the same values are written in plain arithmetic.
    """
    path = owner(node).removesuffix("input_quantizer").rstrip(".")
    graph.grids[path] = graph.values[x]
    if _meets_floats(graph, node):
        graph.in_floats.add(path)
        return _as_floats(graph, node, graph.values[x], scale, (low, high))
    return _as_integers(graph, node, graph.values[x], scale, (low, high))


def _meets_floats(graph: Graph, node: Node) -> bool:
    """Whether what the grid gives reaches float weights, past whatever has none, before another grid."""
    seen, waiting = {node}, [*node.users]
    while waiting:
        one = waiting.pop()
        kind = str(one.target)
        place = _WEIGHED.get(kind)
        if place is not None and not _has_codes(graph, one, one.args[place]):
            return True
        if place is None and kind != _LEVELS and one not in seen:
            waiting += one.users
        seen.add(one)
    return False


def _has_codes(graph: Graph, layer: Node, weight: object) -> bool:
    made = graph.folded.get(layer)
    if made is not None:
        return isinstance(made.weight, WeightGrid)
    return isinstance(weight, Node) and graph.values.get(weight) in graph.from_codes


def _as_floats(graph: Graph, node: Node, x: str, scale: float, ends: tuple[int, int]) -> str:
    step = graph.constant(scale)
    whole = graph.emit("Round", [graph.emit("Div", [x, step], node)], node)
    clipped = graph.emit("Clip", [whole, *(graph.constant(float(end)) for end in ends)], node)
    return graph.emit("Mul", [clipped, step], node)


def _as_integers(graph: Graph, node: Node, x: str, scale: float, ends: tuple[int, int]) -> str:
    """QuantizeLinear and DequantizeLinear in unsigned 8 bits; of fewer levels the codes are clipped.

    Where levels lie on both sides of 0 the zero point is 128, or that of the grid where they do not fit
    around it: ONNX Runtime 1.32 mistakes the type of signed codes where it moves them past a change of shape.
    """
    low, high = ends
    if high - low > 255 or low > 0:
        refuse(node, f"an input grid of codes {low} … {high}, more than 8 bits,")
    around = -128 <= low < 0 and high < 128
    middle = 128 if around else -low
    step, zero = graph.constant(scale), graph.constant(np.asarray(middle, np.uint8))
    codes = graph.emit("QuantizeLinear", [x, step, zero], node)
    if (low + middle, high + middle) != (0, 255):
        bounds = [graph.constant(np.asarray(end + middle, np.uint8)) for end in ends]
        codes = graph.emit("Clip", [codes, *bounds], node)
    return graph.emit("DequantizeLinear", [codes, step, zero], node)


def bucketize(
    graph: Graph,
    node: Node,
    x: Node,
    middles: Node,
    *,
    out_int32: bool = False,
    right: bool = False,
) -> str:
    """How many of the rising middles are at most x, by halving: as many comparisons as levels have bits."""
    count = sides(middles)[0]
    bits = (count + 1).bit_length() - 1
    if not right or count != 2**bits - 1:
        refuse(node, "this search")
    place = graph.emit(
        "Mul",
        [
            graph.emit("Cast", [graph.values[x]], node, to=7),
            graph.constant(np.asarray(0, np.int64)),
        ],
        node,
    )
    for bit in reversed(range(bits)):
        middle = graph.emit("Add", [place, graph.constant(np.asarray(2**bit - 1, np.int64))], node)
        border = graph.emit("Gather", [graph.values[middles], middle], node)
        above = graph.emit("GreaterOrEqual", [graph.values[x], border], node)
        step = graph.emit(
            "Mul",
            [graph.emit("Cast", [above], node, to=7), graph.constant(np.asarray(2**bit, np.int64))],
            node,
        )
        place = graph.emit("Add", [place, step], node)
    return place


def lookup(graph: Graph, node: Node, table: Node, places: Sequence[Node | None]) -> str:
    """table[places] along the first dimension."""
    if len(places) != 1 or places[0] is None:
        refuse(node, "indexing in several dimensions")
    if tensor_of(places[0]).dtype.is_floating_point:
        refuse(node, "indexing by a mask")
    return graph.emit("Gather", [graph.values[table], graph.values[places[0]]], node)


WRITERS: dict[str, Writer] = {
    _LEVELS: even_levels,
    "aten.bucketize.Tensor": bucketize,
    "aten.index.Tensor": lookup,
}
