"""An ONNX graph while it is written: nodes, constants, and the weights with their codes."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.fx import Node

from engine.core.errors import UserError
from engine.export.graph.folding import Folded
from engine.export.graph.integers import Stored, stored_as
from engine.export.network import WeightGrid

ONNX_OF = {
    torch.float32: 1, torch.uint8: 2, torch.int8: 3, torch.int32: 6, torch.int64: 7, torch.bool: 9,
    torch.float16: 10, torch.float64: 11,
}  # fmt: skip  # TensorProto's numbers


class Graph:
    """What has been written so far. Values are named as torch.export names them, weights as the network."""

    def __init__(self, folded: Mapping[Node, Folded] = MappingProxyType({})) -> None:
        self.folded = folded  # convolutions that have taken their BatchNorm in
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.values: dict[
            Node, Any
        ] = {}  # the name of each node's value; a tuple where it has several
        self.opset = 21  # the first with 4-bit integers
        self.stored: dict[str, Stored] = {}  # by layer: the type that its codes are kept in
        self.grids: dict[str, str] = {}  # by module: the value that its input grid reads
        self.in_floats: set[str] = set()  # of those the ones that are written in plain arithmetic
        self.from_codes: dict[
            str, Stored
        ] = {}  # by a dequantized weight's name: what its codes are
        self._taken: set[str] = set()

    # --- writing ------------------------------------------------------------------------------

    def emit(self, op: str, inputs: Sequence[str], near: Node, **attributes: Any) -> str:
        """One node; returns the name of its one value."""
        return self.emit_several(op, inputs, near, 1, **attributes)[0]

    def emit_several(
        self, op: str, inputs: Sequence[str], near: Node, count: int, **attributes: Any
    ) -> list[str]:
        """One node with so many values; returns their names. `near` is what it is written for."""
        from onnx import helper

        outputs = [self._fresh(near.name) for _ in range(count)]
        name = self._fresh(f"{owner(near) or near.name}/{op}")
        self.nodes.append(helper.make_node(op, list(inputs), outputs, name=name, **attributes))
        return outputs

    def constant(self, array: NDArray[Any] | Sequence[int] | float, dtype: Any = None) -> str:
        """The name of a constant tensor, float32 of a float, int64 of integers; small ones are shared."""
        from onnx import numpy_helper

        if isinstance(array, np.ndarray):
            values = array if dtype is None else array.astype(dtype)
        else:
            values = np.asarray(
                array, dtype or (np.float32 if isinstance(array, float) else np.int64)
            )
        key = f"constant/{values.dtype}/{'x'.join(map(str, values.shape))}/{values.tobytes().hex()[:64]}"
        if values.nbytes > 32:
            key = self._fresh("constant")
        if key not in self.initializers:
            self.initializers[key] = numpy_helper.from_array(np.ascontiguousarray(values), key)
            self._taken.add(key)
        return key

    def tensor(self, name: str, values: NDArray[Any]) -> str:
        """A tensor of the network under its own name."""
        from onnx import numpy_helper

        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
            self._taken.add(name)
        return name

    def weight(self, path: str, grid: WeightGrid) -> str:
        """A layer's weight from its codes: DequantizeLinear with a scale and a zero point a channel."""
        from onnx import helper

        name = f"{path}.weight".lstrip(".")
        if name in self._taken:
            return name
        assert grid.scale is not None
        assert grid.zero_point is not None
        kept = stored_as(grid.bits)
        self.stored[path] = kept
        self.opset = max(self.opset, kept.opset)
        for part, codes in (("codes", grid.codes), ("zero_point", grid.zero_point)):
            key = f"{path}.{part}"
            self.initializers[key] = kept.tensor(key, codes)
        self.tensor(f"{path}.scale", grid.scale)
        parts = [f"{path}.{part}" for part in ("codes", "scale", "zero_point")]
        self.nodes.append(
            helper.make_node(
                "DequantizeLinear", parts, [name], name=f"{path}/DequantizeLinear", axis=0
            )
        )
        self._taken.add(name)
        self.from_codes[name] = kept
        return name

    def _fresh(self, wanted: str) -> str:
        name, k = wanted, 1
        while name in self._taken:
            name, k = f"{wanted}.{k}", k + 1
        self._taken.add(name)
        return name

    # --- reading ------------------------------------------------------------------------------

    def operand(self, value: Any, near: Node) -> str:
        """The name of an operand in the type of what is computed: a value, cast if need be, or a number."""
        kind = tensor_of(near).dtype
        if not isinstance(value, Node):
            plain = value if isinstance(value, (bool, int, float)) else _refuse_size(near)
            return self.constant(np.asarray(plain), torch_to_numpy(kind))
        return self.cast(value, kind, near)

    def cast(self, value: Node, kind: torch.dtype, near: Node) -> str:
        """The value's name, or that of its cast to the type."""
        name = cast(str, self.values[value])
        if tensor_of(value).dtype == kind:
            return name
        return self.emit("Cast", [name], near, to=onnx_type(kind, near))


def _refuse_size(near: Node) -> Any:
    raise UserError(
        f"{where(near)} computes with the number of images in a batch, which a file cannot; "
        "take the codes (--codes) instead"
    )


def torch_to_numpy(kind: torch.dtype) -> Any:
    return torch.empty(0, dtype=kind).numpy().dtype


def onnx_type(kind: torch.dtype, near: Node) -> int:
    if kind not in ONNX_OF:
        raise UserError(
            f"{where(near)} computes in {kind}, which is not written here; take --codes instead"
        )
    return ONNX_OF[kind]


def tensor_of(node: Node) -> torch.Tensor:
    """The node's value without its numbers: shape and type."""
    value = node.meta["val"]
    return cast(torch.Tensor, value[0] if isinstance(value, (tuple, list)) else value)


def sides(node: Node) -> list[int]:
    """The shape of a node's value, -1 for what depends on the number of images."""
    return [side if isinstance(side, int) else -1 for side in tensor_of(node).shape]


def owner(node: Node) -> str:
    """The path of the innermost module that the node runs in."""
    stack = [str(path) for path, _ in node.meta.get("nn_module_stack", {}).values()]
    return stack[-1].removeprefix("network").lstrip(".") if stack else ""


def where(node: Node) -> str:
    """The node for a reader: what it does, and in which module."""
    path = owner(node)
    return f"operator {node.target}" + (f" in {path!r}" if path else "")
