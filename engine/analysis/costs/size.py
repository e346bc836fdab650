"""How many bytes a network takes when stored, and how many bits its products move, before and after."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

FLOAT_BYTES = 4  # float32
ZERO_POINT_BYTES = 1  # an unsigned 8-bit code


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBits:
    """What one layer stores: `other_parameters` (biases, BatchNorm) stay float32.

    `added_parameters` are float32 too, and the float network has none of them: biases of a correction.
    """

    weights: int
    channels: int  # of output: each has a scale and a zero point of its own
    weight_bits: int
    side_bits: int | None = None  # of its grids; None: a float32 scale and 8 bits for each channel
    other_parameters: int = 0
    added_parameters: int = 0
    codes: int | None = None  # how many are stored; None: one for each weight

    @property
    def stored_codes(self) -> int:
        return self.weights if self.codes is None else self.codes

    @property
    def rest_bytes(self) -> int:
        """All that it stores but its codes."""
        return (_grid_bits(self) + 7) // 8 + _floats(self) * FLOAT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeBytes:
    """The same network as float32 and as packed codes with their grids."""

    fp32: int
    quantized: int


class StoredBits(NamedTuple):
    """What `SizeBytes.quantized` is made of, bit by bit, before anything is padded to a byte."""

    codes: int
    grids: int  # side information: scales, zero points, bases, borders
    floats: int  # what stays float32: biases, BatchNorm


def stored_bits(layers: Iterable[LayerBits]) -> StoredBits:
    """The bits of the layers together, by what they are for."""
    layers = list(layers)
    return StoredBits(
        codes=sum(layer.stored_codes * layer.weight_bits for layer in layers),
        grids=sum(_grid_bits(layer) for layer in layers),
        floats=sum(map(_floats, layers)) * 8 * FLOAT_BYTES,
    )


def stored_bytes(layers: Iterable[LayerBits]) -> SizeBytes:
    """The bytes of the layers; each layer's codes are packed without gaps and padded to a byte."""
    layers = list(layers)
    return SizeBytes(
        fp32=sum((layer.weights + layer.other_parameters) * FLOAT_BYTES for layer in layers),
        quantized=sum(_quantized_bytes(layer) for layer in layers),
    )


def _quantized_bytes(layer: LayerBits) -> int:
    codes = (layer.stored_codes * layer.weight_bits + 7) // 8
    return codes + layer.rest_bytes


def _floats(layer: LayerBits) -> int:
    return layer.other_parameters + layer.added_parameters


def _grid_bits(layer: LayerBits) -> int:
    if layer.side_bits is not None:
        return layer.side_bits
    return layer.channels * 8 * (FLOAT_BYTES + ZERO_POINT_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class BitOperations:
    """One layer's multiply-accumulates for one image, and the bits of their two factors."""

    macs: int
    weight_bits: int
    activation_bits: int


class Operations(NamedTuple):
    """The same network in float32 and quantized; a measure of arithmetic, not of time."""

    fp32: int
    quantized: int


def bit_operations(layers: Iterable[BitOperations]) -> Operations:
    """Σ MACs × bits of the weight × bits of the activation (van Baalen et al. 2020), for one image."""
    layers = list(layers)
    return Operations(
        fp32=sum(layer.macs for layer in layers) * (8 * FLOAT_BYTES) ** 2,
        quantized=sum(layer.macs * layer.weight_bits * layer.activation_bits for layer in layers),
    )
