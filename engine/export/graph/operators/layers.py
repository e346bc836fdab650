"""Convolutions, linear layers, normalisations, and input grids."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.fx import Node

from engine.export.graph.builder import Graph, owner, sides, tensor_of
from engine.export.graph.folding import Folded
from engine.export.graph.operators.common import Writer, pair, refuse, reshaped
from engine.export.network import WeightGrid


def _biased(
    graph: Graph, node: Node, op: str, parts: list[str], bias: str | None, rank: int = 4, **how: Any
) -> str:
    """The operator with its bias: inside where weights are floats, behind where they are codes.

    ONNX Runtime rounds a bias inside to whole multiples of step size of input times step size of weight,
    which at 4 bits is a tenth of an activation's step, and more; it leaves a sum behind alone.
    """
    x, weight = parts
    if bias is None or weight not in graph.from_codes:
        return graph.emit(op, [x, weight, *([] if bias is None else [bias])], node, **how)
    y = graph.emit(op, [x, weight], node, **how)
    if rank > 2:
        shape = graph.constant([-1, *[1] * (rank - 2)])
        bias = graph.emit("Reshape", [bias, shape], node)
    return graph.emit("Add", [y, bias], node)


def _name(graph: Graph, tensor: Node | None) -> str | None:
    return None if tensor is None else str(graph.values[tensor])


def _folded_weight(graph: Graph, made: Folded) -> str:
    if isinstance(made.weight, WeightGrid):
        return graph.weight(made.path, made.weight)
    return graph.tensor(f"{made.path}.weight", made.weight)


def convolution(
    graph: Graph, node: Node, x: Node, w: Node, b: Node | None = None, stride: Any = 1,
    padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> str:  # fmt: skip
    kernel, dilations = sides(w)[2:], pair(dilation)
    if len(kernel) != 2:
        refuse(node, f"a convolution over {len(kernel)} dimensions")
    if isinstance(padding, str):
        total = [
            d * (k - 1) if padding == "same" else 0 for d, k in zip(dilations, kernel, strict=True)
        ]
        pads = [t // 2 for t in total] + [t - t // 2 for t in total]
    else:
        pads = pair(padding) * 2
    made = graph.folded.get(node)
    weight = graph.values[w] if made is None else _folded_weight(graph, made)
    bias = _name(graph, b) if made is None else graph.tensor(f"{made.path}.bias", made.bias)
    return _biased(
        graph, node, "Conv", [graph.values[x], weight], bias, kernel_shape=kernel, strides=pair(stride),
        pads=pads, dilations=dilations, group=groups,
    )  # fmt: skip


def transposed(
    graph: Graph, node: Node, x: Node, w: Node, b: Node | None = None, stride: Any = 1,
    padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> str:  # fmt: skip
    return _biased(
        graph, node, "ConvTranspose", [graph.values[x], graph.values[w]], _name(graph, b),
        kernel_shape=sides(w)[2:], strides=pair(stride), pads=pair(padding) * 2,
        output_padding=pair(output_padding), dilations=pair(dilation), group=groups,
    )  # fmt: skip


def linear(graph: Graph, node: Node, x: Node, w: Node, b: Node | None = None) -> str:
    """Gemm on rows, whatever the shape of x.

    ONNX Runtime 1.32 replaces a product (MatMul) with codes by kernels that round its other factor to 8
    bits, or read the grid of a transposed weight along the wrong side; it leaves Gemm as it is, but for
    codes of 2 bits: those it hands to a kernel that does not take them, and so a convolution of one pixel
    is written.
    """
    rows, weight = graph.values[x], graph.values[w]
    wide, few = sides(x)[-1], sides(w)[0]
    stored = graph.from_codes.get(weight)
    if stored is not None and stored.bits < 4:
        pixels = graph.emit("Reshape", [rows, graph.constant([-1, wide, 1, 1])], node)
        kernel = graph.emit("Reshape", [weight, graph.constant([few, wide, 1, 1])], node)
        y = graph.emit("Conv", [pixels, kernel], node, kernel_shape=[1, 1])
        y = graph.emit("Reshape", [y, graph.constant([-1, few])], node)
        y = y if b is None else graph.emit("Add", [y, graph.values[b]], node)
        return y if len(sides(x)) == 2 else reshaped(graph, node, y)
    if len(sides(x)) != 2:
        rows = graph.emit("Reshape", [rows, graph.constant([-1, wide])], node)
    y = _biased(graph, node, "Gemm", [rows, weight], _name(graph, b), rank=2, transB=1)
    return y if len(sides(x)) == 2 else reshaped(graph, node, y)


def batchnorm(
    graph: Graph, node: Node, x: Node, w: Node | None, b: Node | None, mean: Node, var: Node,
    _momentum: float, eps: float,
) -> tuple[str, None, None]:  # fmt: skip
    if x in graph.folded:
        return graph.values[x], None, None
    channels = sides(mean)[0]
    scale = graph.values[w] if w is not None else graph.constant(np.ones(channels, np.float32))
    shift = graph.values[b] if b is not None else graph.constant(np.zeros(channels, np.float32))
    inputs = [graph.values[x], scale, shift, graph.values[mean], graph.values[var]]
    return graph.emit("BatchNormalization", inputs, node, epsilon=eps), None, None


def layer_norm(
    graph: Graph, node: Node, x: Node, shape: Sequence[int], w: Node | None = None,
    b: Node | None = None, eps: float = 1e-5, *_: Any,
) -> str:  # fmt: skip
    scale = graph.values[w] if w is not None else graph.constant(np.ones(shape, np.float32))
    inputs = [graph.values[x], scale, *([] if b is None else [graph.values[b]])]
    return graph.emit("LayerNormalization", inputs, node, axis=-len(shape), epsilon=eps)


def group_norm(
    graph: Graph, node: Node, x: Node, groups: int, w: Node | None = None, b: Node | None = None,
    eps: float = 1e-5, *_: Any,
) -> str:  # fmt: skip
    channels = sides(x)[1]
    scale = graph.values[w] if w is not None else graph.constant(np.ones(channels, np.float32))
    shift = graph.values[b] if b is not None else graph.constant(np.zeros(channels, np.float32))
    inputs = [graph.values[x], scale, shift]
    return graph.emit("GroupNormalization", inputs, node, num_groups=groups, epsilon=eps)


def even_levels(graph: Graph, node: Node, x: Node, scale: float, low: int, high: int) -> str:
    """QuantizeLinear and DequantizeLinear in unsigned 8 bits; of fewer levels the codes are clipped.

    Where levels lie on both sides of 0 the zero point is 128, or that of the grid where they do not fit
    around it: ONNX Runtime 1.32 mistakes the type of signed codes where it moves them past a change of shape.
    """
    if high - low > 255 or low > 0:
        refuse(node, f"an input grid of codes {low} … {high}, more than 8 bits,")
    path = owner(node).removesuffix("input_quantizer").rstrip(".")
    graph.grids[path] = graph.values[x]
    around = -128 <= low < 0 and high < 128
    middle = 128 if around else -low
    step, zero = graph.constant(scale), graph.constant(np.asarray(middle, np.uint8))
    codes = graph.emit("QuantizeLinear", [graph.values[x], step, zero], node)
    if (low + middle, high + middle) != (0, 255):
        ends = [graph.constant(np.asarray(end + middle, np.uint8)) for end in (low, high)]
        codes = graph.emit("Clip", [codes, *ends], node)
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
    "aten.conv2d.default": convolution,
    "aten.conv2d.padding": convolution,
    "aten.conv_transpose2d.input": transposed,
    "aten.linear.default": linear,
    "aten._native_batch_norm_legit_no_training.default": batchnorm,
    "aten.layer_norm.default": layer_norm,
    "aten.group_norm.default": group_norm,
    "quantoscope.even_levels.default": even_levels,
    "aten.bucketize.Tensor": bucketize,
    "aten.index.Tensor": lookup,
}
