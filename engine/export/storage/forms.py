"""The symbols of one layer in two forms, Huffman by column (HAC) and sparse (sHAC), and read back.

Marinò et al., "Compression strategies and space-conscious representations for deep neural networks", ICPR
2020. A layer's symbols are a matrix [columns, n]: a column is all that one output reads (the paper's
matrices have outputs as columns, and are streamed column by column). Departures: symbols are whole
numbers of 16 bits, since each output has a scale of its own here, where the paper stores one float32 for
each of its shared values; a column's end is told by its length in bits; row indices take the fewest bits
that hold them, where the paper rounds up to 8, 16 or 32; and what the sparse form leaves out is the
commonest symbol, which is zero wherever zeros are many.
"""

import struct
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.export.storage.bits import WINDOW, read_numbers, write_bits
from engine.export.storage.huffman import Codebook

Form = Literal["huffman", "sparse"]
FORMS: tuple[Form, ...] = ("huffman", "sparse")
_WIDTHS = (np.uint8, np.uint16, np.uint32)


@dataclass(frozen=True, slots=True)
class Written:
    """One layer in one form: all bytes that reading it takes, its shape aside."""

    form: str
    data: bytes
    payload_bits: int  # of the codes alone, before they are filled up to words
    coded: int  # how many symbols those bits hold


def write(form: Form, symbols: NDArray[np.int16]) -> Written:
    """The matrix [columns, n] in a form."""
    return _huffman(symbols) if form == "huffman" else _sparse(symbols)


def read(form: Form, data: bytes, shape: tuple[int, int]) -> NDArray[np.int16]:
    """The matrix that was written, [columns, n]; ValueError for bytes that end too early."""
    reader = _Reader(data)
    if form == "huffman":
        counts = np.full(shape[0], shape[1], np.int64)
        return reader.coded(counts).reshape(shape)
    (background,) = reader.numbers("<h")
    found = np.full(shape, background, np.int16)
    counts = reader.narrow(shape[0]).astype(np.int64)
    rows = _read_rows(reader.array(np.uint8), shape[1], int(counts.sum()))
    found[np.repeat(np.arange(shape[0]), counts), rows] = reader.coded(counts)
    return found


def _huffman(symbols: NDArray[np.int16]) -> Written:
    counts = np.full(len(symbols), symbols.shape[1], np.int64)
    data, payload = _coded(symbols.reshape(-1), counts)
    return Written("huffman", data, payload, symbols.size)


def _sparse(symbols: NDArray[np.int16]) -> Written:
    """Compressed sparse columns: how many a column keeps, the row of each, and their codes."""
    values, often = np.unique(symbols, return_counts=True)
    background = int(values[often.argmax()]) if len(values) else 0
    kept = symbols != background
    counts = kept.sum(1)
    rows = np.nonzero(kept)[1]
    indices = _write_rows(rows, symbols.shape[1])
    data, payload = _coded(symbols[kept], counts)
    head = struct.pack("<h", background) + _narrow(counts) + _sized(indices)
    return Written("sparse", head + data, payload, len(rows))


def _write_rows(rows: NDArray[np.int64], n: int) -> NDArray[np.uint8]:
    bits = (n - 1).bit_length()
    if bits > WINDOW:
        return rows.astype(np.uint32).view(np.uint8)
    return write_bits(rows, np.full(len(rows), bits))[0]


def _read_rows(data: NDArray[np.uint8], n: int, count: int) -> NDArray[np.int64]:
    bits = (n - 1).bit_length()
    if bits > WINDOW:
        return data.copy().view(np.uint32).astype(np.int64)
    return read_numbers(data, bits, count)


def _coded(stream: NDArray[np.int16], counts: NDArray[np.int64]) -> tuple[bytes, int]:
    """(code tables, each column's bits, the codes; how many bits those are) of a stream by columns."""
    book = Codebook.of(stream)
    codes, ends = book.encode(stream)
    before = np.concatenate([[0], ends])
    edges = before[np.concatenate([[0], np.cumsum(counts)])]
    tables = struct.pack("<HB", len(book.symbols), len(book.per_length))
    tables += book.per_length.tobytes() + book.symbols.tobytes()
    return tables + _narrow(np.diff(edges)) + _sized(codes), int(edges[-1])


def _narrow(numbers: NDArray[np.int64]) -> bytes:
    """Whole numbers in as few bytes each as the largest needs, and how many those are."""
    largest = int(numbers.max(initial=0))
    kind = next(kind for kind in _WIDTHS if largest <= np.iinfo(kind).max)
    return struct.pack("<B", np.dtype(kind).itemsize) + numbers.astype(kind).tobytes()


def _sized(data: NDArray[np.uint8]) -> bytes:
    return struct.pack("<I", len(data)) + data.tobytes()


class _Reader:
    """Reads bytes from the front on."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def numbers(self, pattern: str) -> tuple[int, ...]:
        return struct.unpack(pattern, self._take(struct.calcsize(pattern)))

    def array(self, kind: Any, count: int | None = None) -> NDArray[Any]:
        """So many numbers of a kind; without `count`, as many as stands before them."""
        many = self.numbers("<I")[0] if count is None else count
        return np.frombuffer(self._take(many * np.dtype(kind).itemsize), kind)

    def narrow(self, count: int) -> NDArray[Any]:
        (size,) = self.numbers("<B")
        return self.array(f"<u{size}", count)

    def coded(self, counts: NDArray[np.int64]) -> NDArray[np.int16]:
        k, lengths = self.numbers("<HB")
        per_length = self.array(np.uint16, lengths)
        book = Codebook(self.array(np.int16, k), per_length)
        bits = self.narrow(len(counts)).astype(np.int64)
        return book.decode(self.array(np.uint8), np.cumsum(bits) - bits, counts)

    def _take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) < size:
            raise ValueError("the bytes of a layer end too early")
        self._at += size
        return part
