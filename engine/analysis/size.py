"""How many bytes a network takes when stored, before and after quantization."""

from collections.abc import Iterable
from dataclasses import dataclass

FLOAT_BYTES = 4  # float32
ZERO_POINT_BYTES = 1  # an unsigned 8-bit code


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBits:
    """What one layer stores: `other_parameters` (biases, BatchNorm) stay float32."""

    weights: int
    channels: int  # of output: each has a scale and a zero point of its own
    weight_bits: int
    other_parameters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeBytes:
    """The same network as float32 and as packed codes with their grids."""

    fp32: int
    quantized: int


def stored_bytes(layers: Iterable[LayerBits]) -> SizeBytes:
    """The bytes of the layers; each layer's codes are packed without gaps and padded to a byte."""
    layers = list(layers)
    return SizeBytes(
        fp32=sum((layer.weights + layer.other_parameters) * FLOAT_BYTES for layer in layers),
        quantized=sum(_quantized_bytes(layer) for layer in layers),
    )


def _quantized_bytes(layer: LayerBits) -> int:
    codes = (layer.weights * layer.weight_bits + 7) // 8
    grids = layer.channels * (FLOAT_BYTES + ZERO_POINT_BYTES)
    return codes + grids + layer.other_parameters * FLOAT_BYTES
