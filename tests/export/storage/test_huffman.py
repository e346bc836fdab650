"""Canonical Huffman codes: prefix-free, as short as can be, read back to the bit."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.export.storage.bits import read_numbers, write_bits
from engine.export.storage.huffman import Codebook, code_lengths, entropy

counts = st.lists(st.integers(1, 1000), min_size=2, max_size=40)


def by_trees(counts):
    """All bits together of Huffman's own tree: what each merge of the two lightest adds."""
    heap, total = list(counts), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        total += both
        heapq.heappush(heap, both)
    return total


@settings(deadline=None)
@given(counts)
def test_lengths_are_as_good_as_the_tree_of_huffman(numbers):
    lengths = code_lengths(np.array(numbers))
    if len(numbers) <= 17:  # no tree of so few is deeper than 16
        assert int((lengths * numbers).sum()) == by_trees(numbers)
    assert sum(2.0 ** -int(n) for n in lengths) == 1  # Kraft: no code is wasted, none is too many


def test_no_code_is_longer_than_the_limit_where_the_tree_would_be():
    fibonacci = [1, 1]
    while len(fibonacci) < 30:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = code_lengths(np.array(fibonacci))  # Huffman's tree is a chain of 29 bits
    assert lengths.max() == 16
    assert sum(2.0 ** -int(n) for n in lengths) <= 1
    loose = code_lengths(np.array(fibonacci), longest=29)
    assert loose.max() == 29
    assert int((loose * fibonacci).sum()) == by_trees(fibonacci)
    with pytest.raises(ValueError, match="5 symbols have no codes"):
        code_lengths(np.ones(5, int), longest=2)


@settings(deadline=None)
@given(counts)
def test_no_code_begins_another_and_codes_of_one_length_are_consecutive(numbers):
    book = Codebook.of(np.repeat(np.arange(len(numbers), dtype=np.int16), numbers))
    words = [f"{code:0{n}b}" for code, n in zip(book.codes, book.lengths, strict=True)]
    for a in words:
        assert [b for b in words if b.startswith(a)] == [a]
    for (a, n), (b, m) in zip(
        zip(book.codes, book.lengths, strict=True),
        list(zip(book.codes, book.lengths, strict=True))[1:],
        strict=False,
    ):
        assert b == a + 1 if n == m else m > n


@settings(deadline=None)
@given(counts, st.integers(0, 5))
def test_the_payload_lies_between_entropy_and_one_bit_more(numbers, seed):
    stream = np.repeat(np.arange(len(numbers), dtype=np.int16), numbers)
    np.random.default_rng(seed).shuffle(stream)
    _, ends = Codebook.of(stream).encode(stream)
    each = ends[-1] / len(stream)
    bound = entropy(np.array(numbers))
    assert bound - 1e-9 <= each <= bound + 1


def test_columns_of_any_lengths_are_read_side_by_side():
    random = np.random.default_rng(3)
    stream = random.geometric(0.3, 500).astype(np.int16) - 7
    sizes = np.array([0, 200, 1, 0, 299])
    book = Codebook.of(stream)
    data, ends = book.encode(stream)
    starts = np.concatenate([[0], ends])[np.cumsum(sizes) - sizes]
    assert np.array_equal(book.decode(data, starts, sizes), stream)
    assert len(data) % 4 == 0  # whole words


def test_by_hand_the_commonest_symbol_has_one_bit():
    stream = np.array([5, 5, 5, 5, 2, 2, 9], np.int16)
    book = Codebook.of(stream)
    assert book.symbols.tolist() == [5, 2, 9]
    assert book.codes.tolist() == [0b0, 0b10, 0b11]
    data, ends = book.encode(stream)
    assert ends.tolist() == [1, 2, 3, 4, 6, 8, 10]
    assert data.tolist() == [0b00001010, 0b11000000, 0, 0]


def test_long_streams_are_written_in_parts_as_in_one(monkeypatch):
    random = np.random.default_rng(0)
    lengths = random.integers(0, 17, 1000)
    values = random.integers(0, 1 << 16, 1000) & ((1 << lengths) - 1)
    whole, _ = write_bits(values, lengths)
    monkeypatch.setattr("engine.export.storage.bits._AT_ONCE", 7)
    assert np.array_equal(write_bits(values, lengths)[0], whole)
    text = "".join(f"{v:0{n}b}" if n else "" for v, n in zip(values, lengths, strict=True))
    assert np.array_equal(np.unpackbits(whole)[: len(text)], [int(c) for c in text])


def test_numbers_of_equal_bits_are_read_back():
    numbers = np.arange(500)
    data, _ = write_bits(numbers, np.full(500, 9))
    assert np.array_equal(read_numbers(data, 9, 500), numbers)
