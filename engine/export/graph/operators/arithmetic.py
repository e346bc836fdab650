"""Sums, products, comparisons, reductions, matrix products, attention."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from engine.export.graph.builder import Graph, onnx_type, sides, tensor_of
from engine.export.graph.operators.common import Writer, refuse


def _binary(op: str) -> Writer:
    def write(graph: Graph, node: Node, x: Any, y: Any) -> str:
        return graph.emit(op, [graph.operand(x, node), graph.operand(y, node)], node)

    return write


def _scaled(op: str) -> Writer:
    """X ± alpha · y."""

    def write(graph: Graph, node: Node, x: Any, y: Any, *, alpha: float = 1) -> str:
        second = graph.operand(y, node)
        if alpha != 1:
            second = graph.emit("Mul", [second, graph.operand(alpha, node)], node)
        return graph.emit(op, [graph.operand(x, node), second], node)

    return write


def _comparison(op: str) -> Writer:
    def write(graph: Graph, node: Node, x: Node, y: Any) -> str:
        kind = tensor_of(x).dtype
        if isinstance(y, Node):
            kind = torch.promote_types(kind, tensor_of(y).dtype)
            second = graph.cast(y, kind, node)
        else:
            second = graph.constant(np.asarray(y), torch.empty(0, dtype=kind).numpy().dtype)
        return graph.emit(op, [graph.cast(x, kind, node), second], node)

    return write


def _reduction(op: str) -> Writer:
    def write(
        graph: Graph, node: Node, x: Node, dims: Any = None, keepdim: Any = False, **_: Any
    ) -> str:
        axes = range(len(sides(x))) if not dims and dims != 0 else dims
        axes = [axes] if isinstance(axes, int) else list(axes)
        return graph.emit(op, [graph.values[x], graph.constant(axes)], node, keepdims=int(keepdim))

    return write


def where_(graph: Graph, node: Node, condition: Node, x: Any, y: Any) -> str:
    inputs = [graph.values[condition], graph.operand(x, node), graph.operand(y, node)]
    return graph.emit("Where", inputs, node)


def convert(graph: Graph, node: Node, x: Node, *_: Any, **__: Any) -> str:
    if tensor_of(x).dtype == tensor_of(node).dtype:
        return str(graph.values[x])
    kind = onnx_type(tensor_of(node).dtype, node)
    return graph.emit("Cast", [graph.values[x]], node, to=kind)


def product(graph: Graph, node: Node, x: Node, y: Node) -> str:
    return graph.emit("MatMul", [graph.values[x], graph.values[y]], node)


def addmm(
    graph: Graph, node: Node, b: Node, x: Node, y: Node, *, beta: float = 1, alpha: float = 1
) -> str:
    inputs = [graph.values[one] for one in (x, y, b)]
    return graph.emit("Gemm", inputs, node, alpha=float(alpha), beta=float(beta))


def attention(
    graph: Graph, node: Node, q: Node, k: Node, v: Node, mask: Any = None, dropout: float = 0.0,
    causal: Any = False, *, scale: float | None = None, **_: Any,
) -> str:  # fmt: skip
    """softmax(q kᵀ · scale) v (Vaswani et al. 2017, eq. 1)."""
    if mask is not None or causal:
        refuse(node, "attention with a mask")
    dims = len(sides(k))
    perm = [*range(dims - 2), dims - 1, dims - 2]
    turned = graph.emit("Transpose", [graph.values[k]], node, perm=perm)
    factor = scale if scale is not None else 1 / math.sqrt(sides(q)[-1])
    scaled = graph.emit("Mul", [graph.values[q], graph.constant(float(factor))], node)
    weights = graph.emit("Softmax", [graph.emit("MatMul", [scaled, turned], node)], node, axis=-1)
    return graph.emit("MatMul", [weights, graph.values[v]], node)


def _forms(
    name: str, writer: Writer, forms: Sequence[str] = ("Tensor", "Scalar")
) -> dict[str, Writer]:
    return {f"aten.{name}.{form}": writer for form in forms}


WRITERS: dict[str, Writer] = {
    **_forms("add", _scaled("Add")),
    **_forms("sub", _scaled("Sub")),
    **_forms("mul", _binary("Mul")),
    **_forms("div", _binary("Div")),
    **_forms("rsub", lambda graph, node, x, y, **k: _scaled("Sub")(graph, node, y, x, **k)),
    **_forms("ge", _comparison("GreaterOrEqual")),
    **_forms("gt", _comparison("Greater")),
    **_forms("le", _comparison("LessOrEqual")),
    **_forms("lt", _comparison("Less")),
    **_forms("eq", _comparison("Equal")),
    "aten.maximum.default": _binary("Max"),
    "aten.minimum.default": _binary("Min"),
    "aten.where.self": where_,
    "aten.mean.dim": _reduction("ReduceMean"),
    "aten.mean.default": _reduction("ReduceMean"),
    "aten.sum.dim_IntList": _reduction("ReduceSum"),
    "aten.amax.default": _reduction("ReduceMax"),
    "aten.amin.default": _reduction("ReduceMin"),
    "aten._to_copy.default": convert,
    "aten.to.dtype": convert,
    "aten.matmul.default": product,
    "aten.bmm.default": product,
    "aten.mm.default": product,
    "aten.addmm.default": addmm,
    "aten.scaled_dot_product_attention.default": attention,
}
