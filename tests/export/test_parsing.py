"""Files as a reader of ONNX finds them: every node's and tensor's type and shape, in both opsets."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, shape_inference
from torch import nn

from engine.export.graph.levels import EvenLevels
from engine.export.graph.write import write_graph
from tests.contracts.nets import TinyResNet, ready
from tests.export.graphs import network

SHAPE = (3, 8, 8)
KINDS = {
    8: ("UINT8", 21),
    4: ("UINT4", 21),
    3: ("UINT4", 21),
    2: ("UINT2", 25),
    None: ("FLOAT", 21),
}


@pytest.fixture(params=KINDS, ids=str)
def read(request, tmp_path):
    """Bits, the network that was written, and its file as it was read again."""
    module = nn.Sequential(
        EvenLevels(0.05, 0, 15), ready(TinyResNet()), nn.ReLU(), EvenLevels(0.1, 0, 255)
    )
    of = network(module, SHAPE, request.param)
    path = tmp_path / "network.onnx"
    path.write_bytes(write_graph(of, "network").model.SerializeToString())
    onnx.checker.check_model(str(path), full_check=True)
    return request.param, of, onnx.load(path)


def test_every_value_has_a_type_and_a_shape_and_comes_from_somewhere(read):
    bits, _, model = read
    assert model.opset_import[0].version == KINDS[bits][1]
    inferred = shape_inference.infer_shapes(
        model, check_type=True, strict_mode=True, data_prop=True
    )
    told = {
        one.name: one.type.tensor_type
        for one in (*inferred.graph.value_info, *inferred.graph.output)
    }
    known = {one.name for one in (*model.graph.input, *model.graph.initializer)}
    for node in model.graph.node:
        assert set(node.input) - {""} <= known, node.name
        for name in node.output:
            assert name not in known, "each value is written once"
            known.add(name)
            assert told[name].elem_type, name
            sides = told[name].shape.dim
            assert told[name].HasField("shape"), name
            open_ones = [k for k, one in enumerate(sides) if not one.HasField("dim_value")]
            assert open_ones in ([], [0]), "only the number of images is open"
    names = [node.name for node in model.graph.node]
    assert len({*names}) == len(names)
    assert all(names)


def test_every_tensor_is_as_long_as_its_type_and_shape_say_and_holds_the_weights(read):
    bits, of, model = read
    held = {}
    for tensor in model.graph.initializer:
        held[tensor.name] = numpy_helper.to_array(tensor)
        assert held[tensor.name].shape == tuple(tensor.dims), tensor.name
        width = {"UINT2": 2, "UINT4": 4}.get(
            kind := onnx.TensorProto.DataType.Name(tensor.data_type), 8 * held[tensor.name].itemsize
        )
        assert len(tensor.raw_data) == -(-int(np.prod(tensor.dims)) * width // 8), tensor.name
        if tensor.name.endswith(".codes"):
            assert kind == KINDS[bits][0]
    assert len([name for name in held if name.endswith(".codes")]) == (7 if bits else 0)
    for path, grid in of.weights.items():
        codes = held[f"{path}.codes"].astype(np.uint8)
        turned = (
            held[f"{path}.zero_point"].astype(np.uint8) != grid.zero_point
        )  # counted from the other end
        assert codes.max() < 2**bits
        assert np.array_equal(codes[~turned], grid.codes[~turned])
