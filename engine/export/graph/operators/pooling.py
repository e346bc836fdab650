"""Pooling, padding and resizing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.fx import Node

from engine.export.graph.builder import Graph, sides
from engine.export.graph.operators.common import Writer, pair, refuse


def max_pool(
    graph: Graph, node: Node, x: Node, kernel: Any, stride: Any = (), padding: Any = 0,
    dilation: Any = 1, ceil: Any = False,
) -> str:  # fmt: skip
    return graph.emit(
        "MaxPool", [graph.values[x]], node, kernel_shape=pair(kernel), strides=pair(stride or kernel),
        pads=pair(padding) * 2, dilations=pair(dilation), ceil_mode=int(ceil),
    )  # fmt: skip


def max_pool_and_places(graph: Graph, node: Node, *args: Any) -> tuple[str, None]:
    return max_pool(graph, node, *args), None


def average_pool(
    graph: Graph, node: Node, x: Node, kernel: Any, stride: Any = (), padding: Any = 0,
    ceil: Any = False, include_pad: Any = True, divisor: int | None = None,
) -> str:  # fmt: skip
    if divisor is not None:
        refuse(node, "an average over another number than its values")
    return graph.emit(
        "AveragePool", [graph.values[x]], node, kernel_shape=pair(kernel), strides=pair(stride or kernel),
        pads=pair(padding) * 2, ceil_mode=int(ceil), count_include_pad=int(include_pad),
    )  # fmt: skip


def adaptive_average(graph: Graph, node: Node, x: Node, _size: Any) -> str:
    """Global where one value is left, a plain pool where sizes divide, else two products with shares."""
    given, wanted = sides(x)[-2:], sides(node)[-2:]
    if wanted == [1, 1]:
        return graph.emit("GlobalAveragePool", [graph.values[x]], node)
    if all(a % b == 0 for a, b in zip(given, wanted, strict=True)):
        kernel = [a // b for a, b in zip(given, wanted, strict=True)]
        return average_pool(graph, node, x, kernel)
    rows, columns = (_shares(a, b) for a, b in zip(given, wanted, strict=True))
    narrow = graph.emit("MatMul", [graph.constant(rows), graph.values[x]], node)
    return graph.emit("MatMul", [narrow, graph.constant(columns.T)], node)


def _shares(given: int, wanted: int) -> NDArray[np.float32]:
    """[wanted, given]: what each value counts in each mean, torch's adaptive windows."""
    shares = np.zeros((wanted, given), np.float32)
    for k in range(wanted):
        start, stop = k * given // wanted, -(-(k + 1) * given // wanted)
        shares[k, start:stop] = 1 / (stop - start)
    return shares


def adaptive_max(graph: Graph, node: Node, x: Node, _size: Any) -> tuple[str, None]:
    given, wanted = sides(x)[-2:], sides(node)[-2:]
    if any(a % b for a, b in zip(given, wanted, strict=True)):
        refuse(node, f"a maximum over {given} in {wanted} windows of several sizes")
    kernel = [a // b for a, b in zip(given, wanted, strict=True)]
    return max_pool(graph, node, x, kernel), None


_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(
    graph: Graph, node: Node, x: Node, pads: Sequence[int], mode: str = "constant",
    value: float | None = None,
) -> str:  # fmt: skip
    dims = len(sides(x))
    before, after = [0] * dims, [0] * dims
    for k in range(len(pads) // 2):  # torch's begin with the last dimension
        before[dims - 1 - k], after[dims - 1 - k] = pads[2 * k], pads[2 * k + 1]
    inputs = [graph.values[x], graph.constant([*before, *after])]
    if mode == "constant":
        inputs.append(graph.operand(value or 0.0, node))
    return graph.emit("Pad", inputs, node, mode=_MODES[mode])


def constant_pad(graph: Graph, node: Node, x: Node, pads: Sequence[int], value: float = 0) -> str:
    return pad(graph, node, x, pads, "constant", float(value))


def _padded(mode: str) -> Writer:
    return lambda graph, node, x, pads: pad(graph, node, x, pads, mode)


def nearest(graph: Graph, node: Node, x: Node, *_: Any) -> str:
    return _resize(
        graph,
        node,
        x,
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )


def bilinear(graph: Graph, node: Node, x: Node, _size: Any, corners: Any = False, *_: Any) -> str:
    how = "align_corners" if corners else "half_pixel"
    return _resize(graph, node, x, mode="linear", coordinate_transformation_mode=how)


def _resize(graph: Graph, node: Node, x: Node, **how: Any) -> str:
    size = graph.constant(sides(node)[2:])
    return graph.emit("Resize", [graph.values[x], "", "", size], node, axes=[2, 3], **how)


WRITERS: dict[str, Writer] = {
    "aten.max_pool2d.default": max_pool,
    "aten.max_pool2d_with_indices.default": max_pool_and_places,
    "aten.avg_pool2d.default": average_pool,
    "aten.adaptive_avg_pool2d.default": adaptive_average,
    "aten._adaptive_avg_pool2d.default": adaptive_average,
    "aten.adaptive_max_pool2d.default": adaptive_max,
    "aten.pad.default": pad,
    "aten.constant_pad_nd.default": constant_pad,
    "aten.reflection_pad2d.default": _padded("reflect"),
    "aten.replication_pad2d.default": _padded("replicate"),
    "aten.upsample_nearest2d.vec": nearest,
    "aten.upsample_nearest2d.default": nearest,
    "aten.upsample_bilinear2d.vec": bilinear,
    "aten.upsample_bilinear2d.default": bilinear,
}
