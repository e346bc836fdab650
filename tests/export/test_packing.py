"""Codes in few bits: packed without gaps, as ONNX packs its own small integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.export.graph.integers import stored_as
from engine.export.packing import pack, unpack


def test_codes_lie_one_behind_the_other_lowest_bits_first():
    # 1, 2, 3 in 3 bits are 001 010 011: from the right 11 010 001 = 0xd1, then a 0 of the last code's.
    assert pack(np.array([1, 2, 3], np.uint8), 3).tolist() == [0b11010001, 0]
    assert pack(np.array([0x2, 0xF, 0x1], np.uint8), 4).tolist() == [0xF2, 0x01]


@given(st.integers(1, 8), st.lists(st.integers(0, 255), max_size=40))
def test_what_is_packed_is_unpacked_and_no_byte_is_wasted(bits, numbers):
    codes = np.array([number % 2**bits for number in numbers], np.uint8)
    packed = pack(codes, bits)
    assert len(packed) == -(-len(codes) * bits // 8)
    assert unpack(packed, bits, len(codes)).tolist() == codes.tolist()


def test_a_code_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="does not fit in 2 bits"):
        pack(np.array([4], np.uint8), 2)


NAMES = {
    1: "UINT2",
    2: "UINT2",
    3: "UINT4",
    4: "UINT4",
    5: "UINT8",
    6: "UINT8",
    7: "UINT8",
    8: "UINT8",
}


@pytest.mark.parametrize("bits", NAMES)
def test_codes_go_into_the_smallest_type_of_onnx_that_holds_them(bits):
    from onnx import TensorProto, numpy_helper

    kind = stored_as(bits)
    codes = np.random.default_rng(bits).integers(0, 2**bits, (3, 5)).astype(np.uint8)
    tensor = kind.tensor("codes", codes)
    assert TensorProto.DataType.Name(tensor.data_type) == NAMES[bits] == kind.name
    assert numpy_helper.to_array(tensor).astype(np.uint8).tolist() == codes.tolist()
