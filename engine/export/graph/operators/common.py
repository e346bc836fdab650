"""What the writers share."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from torch.fx import Node

from engine.core.errors import UserError
from engine.export.graph.builder import Graph, sides, where

Writer = Callable[..., Any]  # (graph, node, *arguments) -> name, or names


def pair(value: int | Sequence[int]) -> list[int]:
    """A setting of two directions, given once or twice."""
    both = [value] if isinstance(value, int) else list(value)
    return both * 2 if len(both) == 1 else both


def refuse(node: Node, what: str) -> NoReturn:
    """UserError: this form of the operator is not written here."""
    raise UserError(
        f"{where(node)}: {what} is not written in ONNX here; take the codes (--codes) or the weights "
        "(--state-dict) instead"
    )


def plain(op: str) -> Writer:
    """A writer of one operator with one input and nothing to set."""

    def write(graph: Graph, node: Node, x: Node, *_: Any, **__: Any) -> str:
        return graph.emit(op, [graph.values[x]], node)

    return write


def same(graph: Graph, node: Node, x: Node, *_: Any, **__: Any) -> Any:
    """Nothing to write: the value as it is."""
    return graph.values[x]


def reshaped(graph: Graph, node: Node, name: str) -> str:
    """The value in the node's own shape, of which one side may depend on the number of images."""
    wanted = sides(node)
    if wanted.count(-1) > 1:
        refuse(node, "a shape with several sides that depend on the number of images")
    return graph.emit("Reshape", [name, graph.constant(wanted)], node)
