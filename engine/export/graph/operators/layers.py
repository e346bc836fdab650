"""Convolutions, linear layers, normalisations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.fx import Node

from engine.export.graph.builder import Graph, sides
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


WRITERS: dict[str, Writer] = {
    "aten.conv2d.default": convolution,
    "aten.conv2d.padding": convolution,
    "aten.conv_transpose2d.input": transposed,
    "aten.linear.default": linear,
    "aten._native_batch_norm_legit_no_training.default": batchnorm,
    "aten.layer_norm.default": layer_norm,
    "aten.group_norm.default": group_norm,
}
