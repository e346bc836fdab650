"""How wrong each layer has become, measured the moment its block is done."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from engine.analysis.errors import sqnr_db
from engine.core.trace import watch_inputs, watch_outputs
from engine.models.blocks import Block
from engine.run.context import Context

IMAGES = 32  # measured on so many: SQNR is a ratio of sums over millions of values


@torch.no_grad()
def measure_layers(
    context: Context, student: nn.Module, block: Block, x_teacher: Tensor, x_student: Tensor
) -> Iterator[tuple[str, dict[str, float]]]:
    """(path, values) of each layer in the block.

    `sqnr_local_db`: this layer alone quantized, on the teacher's input. `sqnr_accumulated_db`: everything
    before it quantized too. `flipped`: share of codes that differ from nearest rounding.
    """
    x_teacher, x_student = x_teacher[:IMAGES], x_student[:IMAGES]
    inputs: dict[str, Tensor] = {}
    wanted: dict[str, Tensor] = {}
    got: dict[str, Tensor] = {}
    with (
        watch_inputs(context.teacher, block.layers, inputs.__setitem__),
        watch_outputs(context.teacher, block.layers, wanted.__setitem__),
    ):
        block.run(context.teacher, x_teacher)
    with watch_outputs(student, block.layers, got.__setitem__):
        block.run(student, x_student)
    for path in block.layers:
        bits = context.plan[path]
        x = inputs[path]
        if bits.by_block:
            x = student.get_submodule(block.paths[0]).input_quantizer(x)  # type: ignore[operator]
        layer = student.get_submodule(path)
        local = layer(x)
        values = {
            "sqnr_local_db": sqnr_db(wanted[path], local),
            "sqnr_accumulated_db": sqnr_db(wanted[path], got[path]),
            "flipped": layer.weight_quantizer.flipped(layer.float_weight),  # type: ignore[union-attr, operator]
            "weight_bits": float(bits.weight_bits),
        }
        if bits.activation_bits is not None:
            values["activation_bits"] = float(bits.activation_bits)
        yield path, values
