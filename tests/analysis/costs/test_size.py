"""Bytes and bit operations, added up layer by layer by hand."""

import pytest

from engine.analysis.costs.size import (
    BitOperations,
    LayerBits,
    bit_operations,
    stored_bits,
    stored_bytes,
)

PLAIN = LayerBits(weights=10, channels=3, weight_bits=3, other_parameters=6)
OWN = LayerBits(weights=10, channels=3, weight_bits=3, side_bits=13, added_parameters=2, codes=7)


def test_a_layer_has_codes_grids_and_floats_each_whole_bytes():
    # 30 bits of codes; for each channel a float32 and 8 bits; 6 floats.
    assert PLAIN.rest_bytes == 3 * 5 + 6 * 4
    assert stored_bytes([PLAIN]).quantized == 4 + 15 + 24
    assert stored_bytes([PLAIN]).fp32 == 4 * 16
    # 21 bits of 7 codes; 13 bits of grids; 2 floats that the float network has not.
    assert OWN.rest_bytes == 2 + 8
    assert stored_bytes([OWN]).quantized == 3 + 2 + 8
    assert stored_bytes([OWN]).fp32 == 4 * 10
    both = stored_bytes([PLAIN, OWN])
    assert (both.fp32, both.quantized) == (64 + 40, 43 + 13)


@pytest.mark.parametrize(("bits", "size"), [(0, 0), (1, 1), (8, 1), (9, 2), (16, 2), (17, 3)])
def test_bits_are_padded_to_bytes_once_a_layer(bits, size):
    one = LayerBits(weights=bits, channels=1, weight_bits=1, side_bits=0)
    assert stored_bytes([one]).quantized == size
    assert LayerBits(weights=0, channels=1, weight_bits=1, side_bits=bits).rest_bytes == size


def test_stored_bits_are_told_by_what_they_are_for_before_any_padding():
    found = stored_bits([PLAIN, OWN])
    assert found.codes == 30 + 21
    assert found.grids == 3 * 40 + 13
    assert found.floats == (6 + 2) * 32


def test_bit_operations_of_float32_are_32_times_32():
    layers = [
        BitOperations(macs=3, weight_bits=2, activation_bits=5),
        BitOperations(macs=4, weight_bits=8, activation_bits=1),
    ]
    assert bit_operations(layers) == (7 * 1024, 30 + 32)
