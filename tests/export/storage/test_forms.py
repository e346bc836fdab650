"""The two coded forms, and which of them wins: by the bytes that are written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from engine.export.network import WeightGrid
from engine.export.storage.file import read_file, smallest, write_file
from engine.export.storage.forms import FORMS, read, write
from engine.export.storage.huffman import entropy
from engine.export.storage.symbols import symbols

K = 16


def gaussian_codes(sparsity, shape=(256, 256)):
    """4-bit codes as of a bell of weights, a share of them pruned to code 8, the zero."""
    random = np.random.default_rng(0)
    codes = np.clip(np.round(random.normal(0, 2.5, shape)) + 8, 0, K - 1).astype(np.uint8)
    codes[random.random(shape) < sparsity] = 8
    return WeightGrid(
        bits=4, codes=codes, scale=np.ones(shape[0], np.float32),
        zero_point=np.full(shape[0], 8, np.uint8),
    )  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    arrays(
        np.int16,
        array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.one_of(st.just(0), st.integers(-255, 255)),
    )
)
def test_what_is_written_is_read_exactly(symbols):
    for form in FORMS:
        assert np.array_equal(read(form, write(form, symbols).data, symbols.shape), symbols)


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_of_one_symbol_needs_no_payload(form):
    symbols = np.full((4, 9), -3, np.int16)
    written = write(form, symbols)
    assert written.payload_bits == 0
    assert np.array_equal(read(form, written.data, symbols.shape), symbols)


def test_two_symbols_take_a_bit_each_however_rare_one_is():
    symbols = np.zeros((100, 100), np.int16)
    symbols[3, 4] = 1
    assert write("huffman", symbols).payload_bits == symbols.size  # never below 1 bit a weight
    assert write("sparse", symbols).payload_bits == 0  # the one that is left has no other beside it


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.97])
def test_payload_lies_between_entropy_and_one_bit_more(sparsity):
    symbols = gaussian_codes(sparsity).codes.astype(np.int16) - 8
    for form, coded in (("huffman", symbols.ravel()), ("sparse", symbols[symbols != 0])):
        written = write(form, symbols)
        bound = entropy(np.unique(coded, return_counts=True)[1])
        assert written.coded == len(coded)
        assert bound <= written.payload_bits / len(coded) <= bound + 1
        assert 8 * len(written.data) >= written.payload_bits


@pytest.mark.parametrize(
    ("sparsity", "winner"), [(0.0, "huffman"), (0.5, "huffman"), (0.8, "huffman"), (0.97, "sparse")]
)
def test_the_sparse_form_wins_only_where_nearly_all_is_zero(sparsity, winner):
    chosen, sizes = smallest(gaussian_codes(sparsity))
    assert chosen.form == winner
    assert len(chosen.data) == min(sizes.values())
    assert sizes["packed"] == 256 * 256 * 4 // 8


def test_codes_that_are_all_equally_common_stay_packed():
    codes = np.arange(16, dtype=np.uint8).repeat(64).reshape(16, 64)
    grid = WeightGrid(
        bits=4, codes=codes, scale=np.ones(16, np.float32), zero_point=np.zeros(16, np.uint8)
    )
    assert smallest(grid)[0].form == "packed"


def test_zero_is_one_symbol_whatever_the_zero_points_are():
    """Channels pruned wholly, with a zero point each: one symbol, so no payload."""
    zeros = np.array([1, 7, 15], np.uint8)
    grid = WeightGrid(
        bits=4, codes=np.tile(zeros[:, None], (1, 200)), scale=np.ones(3, np.float32),
        zero_point=zeros,
    )  # fmt: skip
    chosen, _ = smallest(grid)
    assert chosen.payload_bits == 0


def test_rows_beyond_16_bits_are_told_too():
    symbols = np.zeros((2, 70_000), np.int16)
    symbols[1, [3, 69_999]] = [4, 5]
    written = write("sparse", symbols)
    assert np.array_equal(read("sparse", written.data, symbols.shape), symbols)


def levels(shape=(3, 2, 2, 2)):
    """A grid of listed levels whose zero stands at another code in each channel."""
    listed = np.array([[-1, 0, 1, 2], [0, 1, 2, 3], [-3, -2, -1, 0]], np.float32)
    codes = np.random.default_rng(1).integers(0, 4, shape).astype(np.uint8)
    return WeightGrid(bits=2, codes=codes, levels=listed)


def test_the_zero_of_listed_levels_is_symbol_0_in_every_channel():
    grid = levels()
    assert np.array_equal(symbols(grid) == 0, grid.values().reshape(3, -1) == 0)


def test_a_file_gives_back_every_code_and_every_grid(tmp_path):
    grids = {
        "dense": gaussian_codes(0.3, (8, 40)), "sparse": gaussian_codes(0.98), "levels": levels(),
        "one": gaussian_codes(1.0, (4, 9)),
    }  # fmt: skip
    chosen = {name: (grid, smallest(grid)[0]) for name, grid in grids.items()}
    assert {written.form for _, written in chosen.values()} >= {"packed", "huffman", "sparse"}
    write_file(tmp_path / "codes", chosen)
    found = read_file(tmp_path / "codes")
    assert [*found] == [*grids]
    for name, grid in grids.items():
        assert np.array_equal(found[name].codes, grid.codes)
        assert np.array_equal(found[name].values(), grid.values())


def test_a_file_that_ends_too_early_is_no_file(tmp_path):
    grid = gaussian_codes(0.3, (8, 40))
    write_file(tmp_path / "codes", {"layer": (grid, smallest(grid)[0])})
    data = (tmp_path / "codes").read_bytes()
    (tmp_path / "codes").write_bytes(data[:-9])
    with pytest.raises(ValueError, match="end too early"):
        read_file(tmp_path / "codes")
    (tmp_path / "codes").write_bytes(b"PK" + data)
    with pytest.raises(ValueError, match="holds no codes"):
        read_file(tmp_path / "codes")
