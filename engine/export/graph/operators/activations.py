"""Activations, element by element, and softmax."""

from typing import Any

from torch.fx import Node

from engine.export.graph.builder import Graph, sides
from engine.export.graph.operators.common import Writer, plain, refuse, same


def clip(graph: Graph, node: Node, x: Node, low: Any = None, high: Any = None) -> str:
    bounds = ["" if end is None else graph.operand(end, node) for end in (low, high)]
    return graph.emit("Clip", [graph.values[x], *bounds], node)


def hardtanh(graph: Graph, node: Node, x: Node, low: float = -1, high: float = 1) -> str:
    return clip(graph, node, x, low, high)


def relu6(graph: Graph, node: Node, x: Node) -> str:
    return clip(graph, node, x, 0.0, 6.0)


def at_most(graph: Graph, node: Node, x: Node, high: Any) -> str:
    return clip(graph, node, x, None, high)


def silu(graph: Graph, node: Node, x: Node) -> str:
    share = graph.emit("Sigmoid", [graph.values[x]], node)
    return graph.emit("Mul", [graph.values[x], share], node)


def gelu(graph: Graph, node: Node, x: Node, *, approximate: str = "none") -> str:
    return graph.emit("Gelu", [graph.values[x]], node, approximate=approximate)


def leaky_relu(graph: Graph, node: Node, x: Node, slope: float = 0.01) -> str:
    return graph.emit("LeakyRelu", [graph.values[x]], node, alpha=float(slope))


def elu(
    graph: Graph, node: Node, x: Node, alpha: float = 1, scale: float = 1, inner: float = 1
) -> str:
    if scale != 1 or inner != 1:
        refuse(node, "a scaled ELU")
    return graph.emit("Elu", [graph.values[x]], node, alpha=float(alpha))


def celu(graph: Graph, node: Node, x: Node, alpha: float = 1) -> str:
    return graph.emit("Celu", [graph.values[x]], node, alpha=float(alpha))


def softplus(graph: Graph, node: Node, x: Node, beta: float = 1, *_: Any) -> str:
    if beta != 1:
        refuse(node, f"softplus with beta={beta}")
    return graph.emit("Softplus", [graph.values[x]], node)


def prelu(graph: Graph, node: Node, x: Node, slope: Node) -> str:
    shape = [-1, *[1] * (len(sides(x)) - 2)]
    turned = graph.emit("Reshape", [graph.values[slope], graph.constant(shape)], node)
    return graph.emit("PRelu", [graph.values[x], turned], node)


def hardsigmoid(graph: Graph, node: Node, x: Node) -> str:
    return graph.emit("HardSigmoid", [graph.values[x]], node, alpha=1 / 6, beta=0.5)


def softmax(graph: Graph, node: Node, x: Node, dim: int, *_: Any) -> str:
    return graph.emit("Softmax", [graph.values[x]], node, axis=dim)


def log_softmax(graph: Graph, node: Node, x: Node, dim: int, *_: Any) -> str:
    return graph.emit("LogSoftmax", [graph.values[x]], node, axis=dim)


def square(graph: Graph, node: Node, x: Node) -> str:
    return graph.emit("Mul", [graph.values[x]] * 2, node)


def rsqrt(graph: Graph, node: Node, x: Node) -> str:
    return graph.emit("Reciprocal", [graph.emit("Sqrt", [graph.values[x]], node)], node)


def power(graph: Graph, node: Node, x: Node, exponent: float) -> str:
    if exponent == 2:
        return square(graph, node, x)
    return graph.emit("Pow", [graph.values[x], graph.constant(float(exponent))], node)


_PLAIN = {
    "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "hardswish": "HardSwish", "mish": "Mish",
    "selu": "Selu", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "reciprocal": "Reciprocal", "abs": "Abs",
    "neg": "Neg", "floor": "Floor", "ceil": "Ceil", "round": "Round", "erf": "Erf", "sign": "Sign",
    "sin": "Sin", "cos": "Cos",
}  # fmt: skip

WRITERS: dict[str, Writer] = {
    **{f"aten.{name}.default": plain(op) for name, op in _PLAIN.items()},
    **{f"aten.{name}.default": same for name in ("dropout", "feature_dropout", "alpha_dropout")},
    "aten.clamp.default": clip,
    "aten.clamp_min.default": clip,
    "aten.clamp_max.default": at_most,
    "aten.hardtanh.default": hardtanh,
    "aten.relu6.default": relu6,
    "aten.silu.default": silu,
    "aten.gelu.default": gelu,
    "aten.leaky_relu.default": leaky_relu,
    "aten.elu.default": elu,
    "aten.celu.default": celu,
    "aten.softplus.default": softplus,
    "aten.prelu.default": prelu,
    "aten._prelu_kernel.default": prelu,
    "aten.hardsigmoid.default": hardsigmoid,
    "aten.softmax.int": softmax,
    "aten._softmax.default": softmax,
    "aten.log_softmax.int": log_softmax,
    "aten._log_softmax.default": log_softmax,
    "aten.square.default": square,
    "aten.rsqrt.default": rsqrt,
    "aten.pow.Tensor_Scalar": power,
}
