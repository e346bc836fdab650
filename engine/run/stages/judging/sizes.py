"""What a finished student weighs: stored bits, counted one by one, and operations on bits."""

from typing import Any, NamedTuple

from torch import nn

from engine.analysis.costs.size import (
    BitOperations,
    LayerBits,
    bit_operations,
    stored_bits,
    stored_bytes,
)
from engine.analysis.layers.codes import Distinct, distinct
from engine.core.sampling.noise_images import noise_images
from engine.models.graph.macs import count_macs
from engine.quantization.student import quantizers
from engine.run.context import Context

IMAGE_BITS = 8  # an input that is not quantized is an image, which has 8 bits a pixel


class Sizes(NamedTuple):
    """Of the whole network, and of each layer by its path."""

    network: dict[str, Any]
    layers: dict[str, dict[str, int]]


def sizes(context: Context, student: nn.Module) -> Sizes:
    """`size_bytes` and `bit_operations` of a result, float32 beside quantized, and its `stored_bits`.

    `weight_values`: the different values of all quantized weights together, and their entropy in bits.

    A layer's `stored_bits` are those of its codes and grids; its `bit_operations` are the quantized ones.
    """
    stored = stored_layers(context, student)
    packed = stored_bytes(stored)
    image = noise_images(1, context.card.image_shape, context.teacher)
    image = context.for_device(image)
    macs = count_macs(context.teacher, context.plan, image)
    products = [
        BitOperations(
            macs=_macs(student, bits.path, macs[bits.path]),
            weight_bits=_code_bits(student, bits.path),
            activation_bits=bits.activation_bits or IMAGE_BITS,
        )
        for bits in context.plan.values()
    ]
    network = {
        "size_bytes": {"fp32": packed.fp32, "quantized": packed.quantized},
        "stored_bits": stored_bits(stored)._asdict(),
        "bit_operations": bit_operations(products)._asdict(),
        "weight_values": _values(context, student)._asdict(),
    }
    return Sizes(
        network,
        {
            path: {
                "stored_bits": bits.codes + bits.grids,
                "bit_operations": bit_operations([product]).quantized,
            }
            for path, bits, product in zip(
                context.plan, (stored_bits([layer]) for layer in stored), products, strict=True
            )
        },
    )


def stored_layers(context: Context, student: nn.Module) -> list[LayerBits]:
    """What each layer stores; BatchNorm, biases and all else that stays float go with the first.

    A bias that a correction has added to a layer without one goes with that layer.
    """
    parameters = sum(p.numel() for p in context.teacher.parameters())
    parameters += sum(b.numel() for b in context.teacher.buffers() if b.is_floating_point())
    side = _side_bits(context, student)
    layers, added = [], dict.fromkeys(context.plan, 0)
    for path in context.plan:
        layer: Any = student.get_submodule(path)
        parameters -= layer.float_weight.numel()
        if layer.bias is not None and context.teacher.get_submodule(path).bias is None:
            added[path] = layer.bias.numel()
    for k, path in enumerate(context.plan):
        weight = context.teacher.get_submodule(path)._parameters["weight"]
        assert weight is not None
        layers.append(
            LayerBits(
                weights=weight.numel(),
                channels=len(weight),
                weight_bits=_code_bits(student, path),
                side_bits=side[path],
                codes=_count(student, path),
                other_parameters=parameters if k == 0 else 0,
                added_parameters=added[path],
            )
        )
    return layers


def _values(context: Context, student: nn.Module) -> Distinct:
    layers: list[Any] = [student.get_submodule(path) for path in context.plan]
    return distinct(layer.weight for layer in layers)


def _code_bits(student: nn.Module, path: str) -> int:
    """What a stored code takes: more than the bits asked for where an alphabet has more than 2^b levels."""
    layer: Any = student.get_submodule(path)
    return int(layer.weight_quantizer.code_bits)


def _count(student: nn.Module, path: str) -> int:
    """How many codes are stored: not one for each weight where weights are sums or products of parts."""
    layer: Any = student.get_submodule(path)
    return int(layer.weight_quantizer.count())


def _macs(student: nn.Module, path: str, dense: int) -> int:
    """Products with codes, part by part: as many times the dense layer's as there are codes for a weight."""
    layer: Any = student.get_submodule(path)
    weights: int = layer.float_weight.numel()
    return round(dense * _count(student, path) / weights)


def _side_bits(context: Context, student: nn.Module) -> dict[str, int]:
    """Bits of grids by layer; a grid that a block has for its input goes with the block's first layer."""
    found = dict.fromkeys(context.plan, 0)
    for block in context.blocks:
        for name, quantizer in quantizers(student, block):
            path = name.rpartition(".")[0]
            found[path if path in found else block.layers[0]] += quantizer.side_bits()
    return found
