"""How wrong each layer has become, measured the moment its block is done."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.layers.codes import closeness, level_use
from engine.analysis.layers.errors import distance
from engine.core.sampling.samples import sampled
from engine.core.trace import watch_inputs, watch_outputs
from engine.models.graph.blocks import Block
from engine.run.context import Context

IMAGES = 32  # measured on so many: SQNR is a ratio of sums over millions of values
_MAX_VALUES = 2**18  # of an input, for how its levels are used


@torch.no_grad()
def measure_layers(
    context: Context, student: nn.Module, block: Block, x_teacher: Tensor, x_student: Tensor
) -> Iterator[tuple[str, dict[str, float]]]:
    """(path, values) of each layer in the block.

    Of its output, against the teacher's: `sqnr_local_db`, `mse_local` and `cosine_local` with this layer
    alone quantized, on the teacher's input; `..._weights...` and `..._activations...` with its weights
    alone, its input alone; `..._accumulated...` with everything before it quantized too. `flipped`: the
    share of codes that differ from nearest rounding. `weight_...` and `input_...`: how its levels are
    used, see engine.analysis.layers.codes. A number that is not finite is left out.
    """
    x_teacher, x_student = x_teacher[:IMAGES], x_student[:IMAGES]
    inputs: dict[str, Tensor] = {}
    wanted: dict[str, Tensor] = {}
    got: dict[str, Tensor] = {}
    with (
        watch_inputs(context.teacher, block.layers, _keep_in(inputs)),
        watch_outputs(context.teacher, block.layers, _keep_in(wanted)),
    ):
        block.run(context.teacher, x_teacher)
    with watch_outputs(student, block.layers, _keep_in(got)):
        block.run(student, x_student)
    for path in block.layers:
        bits = context.plan[path]
        layer: Any = student.get_submodule(path)
        by_block = student.get_submodule(block.paths[0]) if bits.by_block else layer
        reader: Any = getattr(by_block, "input_quantizer", None)
        values = {
            **_output_errors(context.teacher.get_submodule(path), layer, reader, inputs[path]),
            **_error("accumulated", wanted[path], got[path]),
            "flipped": layer.weight_quantizer.flipped(layer.float_weight),
            "weight_bits": float(bits.weight_bits),
            **_weight_use(layer),
        }
        if bits.activation_bits is not None:
            values["activation_bits"] = float(bits.activation_bits)
        if reader is not None:
            values |= _input_use(reader, inputs[path])
        yield path, {name: value for name, value in values.items() if math.isfinite(value)}
        for kept in (inputs, wanted, got):
            del kept[path]


def _output_errors(teacher: nn.Module, layer: Any, reader: Any, x: Tensor) -> dict[str, float]:
    # One output after the other: those of many pixels are large.
    wanted = teacher(x)
    # A bias that a correction has changed makes up for the block before, not for this layer.
    bias = 0 if layer.bias is None else layer.bias - (0 if teacher.bias is None else teacher.bias)
    if isinstance(bias, Tensor):
        bias = bias.view(-1, 1, 1) if isinstance(layer, nn.Conv2d) else bias
    own = layer.input_quantizer
    layer.input_quantizer = None
    try:
        found = _error("weights", wanted, layer(x) - bias)
        coarse = x if reader is None else reader(x)
        found |= _error("local", wanted, layer(coarse) - bias)
    finally:
        layer.input_quantizer = own
    return found | _error("activations", wanted, teacher(coarse))


def _error(part: str, wanted: Tensor, got: Tensor) -> dict[str, float]:
    found = distance(wanted, got)
    return {
        f"sqnr_{part}_db": found.sqnr_db,
        f"mse_{part}": found.mse,
        f"cosine_{part}": found.cosine,
    }


def _weight_use(layer: Any) -> dict[str, float]:
    """Averages over all codes, part by part; how near the weight comes is said of the whole."""
    weight = layer.float_weight.detach()
    parts = layer.weight_quantizer.parts(weight)
    codes, found = sum(part.codes.numel() for part in parts), dict[str, float]()
    for part in parts:
        use = level_use(part.codes, part.levels)
        near = closeness(part.values, part.levels, part.quantized())
        for name, value in (use._asdict() | near._asdict()).items():
            found[name] = found.get(name, 0.0) + value * (part.codes.numel() / codes)
    whole = distance(weight, layer.weight)
    found |= {"cosine": whole.cosine, "mse": whole.mse}
    return {f"weight_{name}": value for name, value in found.items()}


def _input_use(reader: Any, x: Tensor) -> dict[str, float]:
    # of the tensor as it is: a quantizer may treat channels each in its own way
    values, on_grid, levels = reader.comparable(x)
    flat, quantized = (sampled(t, _MAX_VALUES).view(1, -1) for t in (values, on_grid))
    middles = (levels[0, 1:] + levels[0, :-1]) / 2
    use = level_use(torch.bucketize(quantized, middles), levels)
    near = closeness(flat, levels, quantized)
    return {f"input_{name}": value for name, value in (use._asdict() | near._asdict()).items()}


def _keep_in(values: dict[str, Tensor]) -> Callable[[str, Tensor], None]:
    """A listener that keeps copies: an activation behind a layer may change its output in place."""
    return lambda path, value: values.__setitem__(path, value.clone())
