"""What moves values without changing them: reshaping, joining, splitting, picking."""

from collections.abc import Sequence
from typing import Any

from torch.fx import Node

from engine.export.graph.builder import Graph, sides
from engine.export.graph.operators.common import Writer, refuse, reshaped, same

_LAST = 2**63 - 1


def reshape(graph: Graph, node: Node, x: Node, *_: Any, **__: Any) -> str:
    """Any change of shape alone."""
    return reshaped(graph, node, graph.values[x])


def expand(graph: Graph, node: Node, x: Node, *_: Any, **__: Any) -> str:
    """Repeat along sides of 1; along the images as often as there are images."""
    given, wanted = sides(x), sides(node)
    given = [1] * (len(wanted) - len(given)) + given
    if not any(b == -1 and a != -1 for a, b in zip(given, wanted, strict=True)):
        target = graph.constant([1 if side == -1 else side for side in wanted])
        return graph.emit("Expand", [graph.values[x], target], node)
    if wanted[0] != -1 or -1 in wanted[1:]:
        refuse(node, "repeating by the number of images in another place than the first")
    images = next(
        n
        for n in node.graph.nodes
        if n in graph.values
        and n.op == "placeholder"
        and n.meta["val"].dim() == 4
        and sides(n)[0] == -1
    )
    count = graph.emit("Shape", [graph.values[images]], node, start=0, end=1)
    target = graph.emit("Concat", [count, graph.constant(wanted[1:])], node, axis=0)
    return graph.emit("Expand", [graph.values[x], target], node)


def concat(graph: Graph, node: Node, parts: Sequence[Node], dim: int = 0) -> str:
    return graph.emit("Concat", [graph.operand(part, node) for part in parts], node, axis=dim)


def stack(graph: Graph, node: Node, parts: Sequence[Node], dim: int = 0) -> str:
    axis = dim % len(sides(node))
    place = graph.constant([axis])
    rows = [graph.emit("Unsqueeze", [graph.operand(p, node), place], node) for p in parts]
    return graph.emit("Concat", rows, node, axis=axis)


def split(graph: Graph, node: Node, x: Node, _sizes: Any, dim: int = 0) -> list[str]:
    axis = dim % len(sides(x))
    lengths = [int(part.shape[axis]) for part in node.meta["val"]]
    inputs = [graph.values[x], graph.constant(lengths)]
    return graph.emit_several("Split", inputs, node, len(lengths), axis=axis)


def unbind(graph: Graph, node: Node, x: Node, dim: int = 0) -> list[str]:
    return [_at(graph, node, x, dim, k) for k in range(len(node.meta["val"]))]


def select(graph: Graph, node: Node, x: Node, dim: int, place: int) -> str:
    return _at(graph, node, x, dim, place)


def _at(graph: Graph, node: Node, x: Node, dim: int, place: int) -> str:
    inputs = [graph.values[x], graph.constant([place])]
    row = graph.emit("Gather", inputs, node, axis=dim)
    return graph.emit("Squeeze", [row, graph.constant([dim])], node)


def piece(
    graph: Graph,
    node: Node,
    x: Node,
    dim: int = 0,
    start: Any = None,
    stop: Any = None,
    step: int = 1,
) -> str:
    first, last = start or 0, _LAST if stop is None else stop
    if not (isinstance(first, int) and isinstance(last, int)):
        refuse(node, "a slice by the number of images")
    bounds = [graph.constant([one]) for one in (first, last, dim, step)]
    return graph.emit("Slice", [graph.values[x], *bounds], node)


def permute(graph: Graph, node: Node, x: Node, order: Sequence[int]) -> str:
    count = len(order)
    return graph.emit("Transpose", [graph.values[x]], node, perm=[k % count for k in order])


def transpose(graph: Graph, node: Node, x: Node, first: int, second: int) -> str:
    order = list(range(len(sides(x))))
    order[first], order[second] = order[second], order[first]
    return permute(graph, node, x, order)


def shuffle(graph: Graph, node: Node, x: Node, factor: int) -> str:
    return graph.emit("DepthToSpace", [graph.values[x]], node, blocksize=factor, mode="CRD")


WRITERS: dict[str, Writer] = {
    **{
        f"aten.{name}": reshape
        for name in (
            "view.default", "reshape.default", "_unsafe_view.default", "flatten.using_ints",
            "unflatten.int", "squeeze.default", "squeeze.dim", "squeeze.dims", "unsqueeze.default",
        )
    },
    **{
        f"aten.{name}.default": same
        for name in ("clone", "contiguous", "detach", "alias", "lift_fresh_copy", "lift_fresh")
    },
    "aten.expand.default": expand,
    "aten.cat.default": concat,
    "aten.stack.default": stack,
    "aten.split.Tensor": split,
    "aten.split_with_sizes.default": split,
    "aten.chunk.default": split,
    "aten.unbind.int": unbind,
    "aten.select.int": select,
    "aten.slice.Tensor": piece,
    "aten.permute.default": permute,
    "aten.transpose.int": transpose,
    "aten.t.default": lambda graph, node, x: transpose(graph, node, x, 0, 1),
    "aten.pixel_shuffle.default": shuffle,
}  # fmt: skip
