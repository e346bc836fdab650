"""The whole graph: a traced network, operator by operator, as an ONNX model."""

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.fx import Node

from engine.core.errors import UserError
from engine.export.graph.builder import Graph, onnx_type, sides, tensor_of, where
from engine.export.graph.folding import Folded, fold
from engine.export.graph.integers import Stored
from engine.export.graph.operators import WRITERS
from engine.export.graph.trace import Traced, trace
from engine.export.network import Network

IMAGES, OUTPUT = "images", "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An ONNX model, and what became of the network in it."""

    model: Any  # onnx.ModelProto
    ends: dict[str, str]  # by the path of a block's last module: the name of its value in the graph
    grids: dict[str, str]  # by module: the value that its input grid reads
    in_floats: frozenset[str]  # of those the ones that are written in plain arithmetic
    stored: dict[str, Stored]  # by layer: the type that its codes are kept in
    any_batch: bool
    folded_bytes: int  # of BatchNorm, less that of the biases that it became


def write_graph(network: Network, name: str) -> Written:
    """The network in ONNX, checked; UserError names what cannot be said in it."""
    traced = trace(network)
    _check_known(traced)
    folded, gone = fold(traced, network)
    graph = Graph(folded)
    taken_in = {node for node in traced.graph.nodes if _is_taken_in(node, folded, gone, traced)}
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            if node not in taken_in:
                _placeholder(graph, node, traced, network)
        elif node.op == "call_function" and _is_of_tensors(node):
            graph.values[node] = _call(graph, node)
    ends = [str(graph.values[node]) for node in traced.outputs[1:]]
    return Written(
        model=_model(graph, traced, network, name),
        ends=dict(zip(network.ends, ends, strict=True)),
        grids=graph.grids,
        in_floats=frozenset(graph.in_floats),
        stored=graph.stored,
        any_batch=traced.any_batch,
        folded_bytes=_bytes_of(taken_in - {node.args[1] for node in folded}, traced)
        - sum(made.bias.nbytes for made in folded.values()),
    )


def _is_taken_in(
    node: Node, folded: Mapping[Node, Folded], gone: Set[Node], traced: Traced
) -> bool:
    """Whether a tensor is in the file only as what folding made of it."""
    here = node.op == "placeholder" and node.name != traced.images
    return here and not node.users.keys() - folded.keys() - gone


def _bytes_of(nodes: Iterable[Any], traced: Traced) -> int:
    """Of the tensors that are floats: counters of batches are nobody's to store."""
    tensors = [traced.tensors[node.name][1] for node in nodes if node.users]
    return sum(values.nbytes for values in tensors if values.dtype.kind == "f")


def _check_known(traced: Traced) -> None:
    unknown = {
        str(node.target): node
        for node in traced.graph.nodes
        if node.op == "call_function" and _is_of_tensors(node) and not _writer(node)
    }
    if unknown:
        listed = "; ".join(where(node) for node in list(unknown.values())[:3])
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise UserError(
            f"not written in ONNX here: {listed}{more}; take the codes (--codes) or the weights "
            "(--state-dict) instead"
        )


def _is_of_tensors(node: Node) -> bool:
    """Whether the node gives a tensor, or several: sizes are known without being computed."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) or (
        isinstance(value, (tuple, list)) and any(isinstance(one, Tensor) for one in value)
    )


def _writer(node: Node) -> Any:
    if getattr(node.target, "__name__", "") == "getitem":
        return lambda graph, _node, several, place: graph.values[several][place]
    return WRITERS.get(str(node.target)) or (_made if not node.all_input_nodes else None)


def _made(graph: Graph, node: Node, *args: Any, **options: Any) -> str:
    """A tensor made of nothing (zeros, a range): it is the same every time."""
    if -1 in sides(node):
        raise UserError(f"{where(node)} makes a tensor for each image; take --codes instead")
    made = node.target(*args, **options)  # type: ignore[operator]
    return graph.constant(made.numpy())


def _call(graph: Graph, node: Node) -> Any:
    return _writer(node)(graph, node, *node.args, **node.kwargs)


def _placeholder(graph: Graph, node: Node, traced: Traced, network: Network) -> None:
    if node.name == traced.images:
        graph.values[node] = IMAGES
        return
    name, values = traced.tensors[node.name]
    path, _, what = name.rpartition(".")
    grid = network.weights.get(path) if what == "weight" else None
    if grid is None or grid.scale is None:
        graph.values[node] = graph.tensor(name, values)
    else:
        graph.values[node] = graph.weight(path, grid)


def _model(graph: Graph, traced: Traced, network: Network, name: str) -> Any:
    from onnx import checker, helper, shape_inference

    first = traced.outputs[0]
    graph.nodes.append(helper.make_node("Identity", [graph.values[first]], [OUTPUT], name=OUTPUT))
    batch = "images" if traced.any_batch else 1
    shape = ["images" if side == -1 else side for side in sides(first)]
    made = helper.make_graph(
        graph.nodes,
        name,
        [helper.make_tensor_value_info(IMAGES, 1, [batch, *network.image_shape])],
        [helper.make_tensor_value_info(OUTPUT, onnx_type(tensor_of(first).dtype, first), shape)],
        list(graph.initializers.values()),
    )
    opsets = [helper.make_opsetid("", graph.opset)]
    model = helper.make_model(
        made, producer_name="quantoscope", opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
    )  # fmt: skip
    helper.set_model_props(model, {"quantoscope": json.dumps(dict(network.facts or {}))})
    checker.check_model(model, full_check=True)
    shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    return model
