"""How long each layer takes on this machine, in the kernels that ONNX Runtime has for it: float32 and 8 bits.

A processor has no kernels for 2 to 7 bits: such codes run in those of 8 bits and take as long, or are
written out as floats and take a float's time. So what decides on a layer's time is whether its input is
quantized at all. Each layer is timed alone: an 8-bit one reads floats, puts them on its grid, and gives
floats, as the student's layers do. What a call takes (some 10 microseconds) is in both; what stands between
layers is in neither, so the sum is no network's latency. Nor is it that of the file that
an export writes, which is to be exact: these kernels round biases and outputs too.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.core.device import cores
from engine.core.timing import medians_ms
from engine.core.trace import watch_inputs

Array = NDArray[Any]
REPEATS = 31
_OPSET, _IR = 13, 8  # as old as the operators allow
_PIXEL = 1 / 255  # the input's step: what is timed reads values in [0, 1]
_ERRORS_ALONE = 3  # of the runtime's own log


class KernelTimes(NamedTuple):
    """One layer's milliseconds for one image, all its calls together: medians."""

    of_float: float
    of_int8: float


def threads() -> int:
    """How many threads the layers are timed with."""
    return min(torch.get_num_threads(), cores())


@torch.no_grad()
def measure_kernels(
    model: nn.Module, paths: Sequence[str], image: Tensor, repeats: int = REPEATS
) -> dict[str, KernelTimes]:
    """Each named layer's times for the one image [1, c, h, w], measured now; layers alike are timed once.

    Layers are Conv2d and Linear. One that runs several times in a pass has the sum of its calls.
    """
    shapes: dict[str, list[tuple[int, ...]]] = {path: [] for path in paths}
    with watch_inputs(model, paths, lambda path, x: shapes[path].append(tuple(x.shape))):
        model(image)
    found: dict[Any, KernelTimes] = {}
    for path in paths:
        for shape in shapes[path]:
            layer = model.get_submodule(path)
            if (alike := _alike(layer, shape)) not in found:
                found[alike] = _time(layer, shape, repeats)
    return {
        path: _sum(found[_alike(model.get_submodule(path), shape)] for shape in shapes[path])
        for path in paths
    }


def _sum(calls: Iterable[KernelTimes]) -> KernelTimes:
    each = list(calls)
    return KernelTimes(sum(one.of_float for one in each), sum(one.of_int8 for one in each))


def _alike(layer: nn.Module, shape: Sequence[int]) -> Any:
    """Layers of which this is the same take the same time."""
    weight, bias = layer._parameters["weight"], layer._parameters["bias"]
    assert weight is not None
    kind = (tuple(weight.shape), bias is None, tuple(shape))
    if isinstance(layer, nn.Conv2d):
        return (*kind, layer.stride, tuple(_pads(layer)), layer.dilation, layer.groups)
    return kind


def _pads(layer: nn.Conv2d) -> list[int]:
    """Top, left, bottom, right; what is padded with makes no difference in time."""
    left, right, top, bottom = layer._reversed_padding_repeated_twice
    return [top, left, bottom, right]


def _time(layer: nn.Module, shape: Sequence[int], repeats: int) -> KernelTimes:
    x = np.random.default_rng(0).random(shape, np.float32)
    calls = [_loaded(layer_graph(layer, shape, integer=integer), x) for integer in (False, True)]
    of_float, of_int8 = medians_ms(calls, repeats)
    return KernelTimes(of_float, of_int8)


def _loaded(model: bytes, x: Array) -> Callable[[], object]:
    """A call that runs the model on x, on the processor, with the runtime's own optimisations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads(), 1
    options.log_severity_level = _ERRORS_ALONE
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})


def layer_graph(layer: nn.Module, shape: Sequence[int], *, integer: bool) -> bytes:
    """An ONNX model of the layer alone for an input `x` of that shape: float32, or through 8-bit codes.

    Codes are uint8 of the input, in steps of 1/255 from 0, and of the output, in steps that no input in
    [0, 1] leaves; int8 of the weight. A linear layer's bias is left out of the second: kernels that take one
    add it to the sums before these are put on the grid.
    """
    import onnx
    from onnx import TensorProto, helper

    weight = layer._parameters["weight"]
    assert weight is not None
    w = weight.detach().cpu().numpy().astype(np.float32)
    bias = layer._parameters["bias"]
    b = np.zeros(len(w), np.float32) if bias is None else bias.detach().cpu().numpy()
    make = _of_convolution if isinstance(layer, nn.Conv2d) else _of_linear
    constants = _codes(w, b) if integer else {"w": w, "b": b.astype(np.float32)}
    nodes, constants = make(layer, constants, integer=integer)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))
    graph = helper.make_graph(
        nodes, "layer", [given], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR
    made: bytes = model.SerializeToString()
    return made


def _codes(w: Array, b: Array) -> dict[str, Array]:
    """Weight and bias as codes, and the three grids: of the input, the weight and the output."""
    step = max(float(np.abs(w).max()), 1e-12) / 127
    reach = float((np.abs(w).reshape(len(w), -1).sum(1) + np.abs(b)).max())
    return {
        "w": np.round(w / step).astype(np.int8),
        "b": np.round(b / (step * _PIXEL)).clip(-(2**30), 2**30).astype(np.int32),
        "x_step": np.array(_PIXEL, np.float32), "x_zero": np.array(0, np.uint8),
        "w_step": np.array(step, np.float32), "w_zero": np.array(0, np.int8),
        "y_step": np.array(max(reach, 1e-12) / 127, np.float32), "y_zero": np.array(128, np.uint8),
    }  # fmt: skip


_READ = ["codes", "x_step", "x_zero", "w", "w_step", "w_zero", "y_step", "y_zero"]


def _through_codes(operator: Any) -> list[Any]:
    from onnx import helper

    return [
        helper.make_node("QuantizeLinear", ["x", "x_step", "x_zero"], ["codes"]),
        operator,
        helper.make_node("DequantizeLinear", ["answer", "y_step", "y_zero"], ["y"]),
    ]


def _of_convolution(
    layer: nn.Module, constants: dict[str, Array], *, integer: bool
) -> tuple[list[Any], dict[str, Array]]:
    """The nodes, and the constants that they read."""
    from onnx import helper

    assert isinstance(layer, nn.Conv2d)
    how: dict[str, Any] = {
        "strides": list(layer.stride), "pads": _pads(layer), "dilations": list(layer.dilation),
        "group": layer.groups,
    }  # fmt: skip
    if not integer:
        return [helper.make_node("Conv", ["x", "w", "b"], ["y"], **how)], constants
    return _through_codes(
        helper.make_node("QLinearConv", [*_READ, "b"], ["answer"], **how)
    ), constants


def _of_linear(
    _layer: nn.Module, constants: dict[str, Array], *, integer: bool
) -> tuple[list[Any], dict[str, Array]]:
    """The same, for inputs of any number of dimensions."""
    from onnx import helper

    turned = constants | {"w": np.ascontiguousarray(constants["w"].T)}
    if integer:
        del turned["b"]
        return _through_codes(helper.make_node("QLinearMatMul", _READ, ["answer"])), turned
    product = helper.make_node("MatMul", ["x", "w"], ["product"])
    return [product, helper.make_node("Add", ["product", "b"], ["y"])], turned
