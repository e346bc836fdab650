"""Canonical Huffman codes for the symbols of one layer: lengths, codes, and reading them column by column.

Huffman, "A Method for the Construction of Minimum-Redundancy Codes", 1952; canonical as in HAC (Marinò et
al., "Compression strategies and space-conscious representations for deep neural networks", ICPR 2020): codes
of one length are consecutive numbers, so that no tree is stored, only how many codes each length has.
Departure: no code is longer than 16 bits (Larmore and Hirschberg's package-merge, 1990), so that a table
of 65,536 entries reads any of them at one look.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.export.storage.bits import WINDOW, windows, write_bits


def entropy(counts: NDArray[np.integer]) -> float:
    """Bits a symbol that no code of single symbols can do with less than: -Σ p log2 p."""
    counts = counts[counts > 0]
    if len(counts) < 2:
        return 0.0
    share = counts / counts.sum()
    return float(-(share * np.log2(share)).sum())


def code_lengths(counts: NDArray[np.integer], longest: int = WINDOW) -> NDArray[np.int64]:
    """Bits of each symbol's code [k], none above `longest`, with the fewest bits in all.

    A single symbol has a code of no bits: how often it stands is known without one. ValueError for more
    symbols than there are codes.
    """
    k = len(counts)
    if k > 1 << longest:
        raise ValueError(f"{k} symbols have no codes of at most {longest} bits")
    lengths = np.zeros(k, np.int64)
    if k < 2:
        return lengths
    single = sorted((int(count), (symbol,)) for symbol, count in enumerate(counts))
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(longest):  # the two lightest are put together, once for each bit
        pairs = zip(packages[::2], packages[1::2], strict=False)
        merged = [(a[0] + b[0], a[1] + b[1]) for a, b in pairs]
        packages = sorted([*single, *merged], key=lambda package: package[0])
    for _, symbols in packages[: 2 * k - 2]:
        np.add.at(lengths, list(symbols), 1)
    return lengths


@dataclass(frozen=True, slots=True)
class Codebook:
    """The canonical code of some symbols, those of short codes first."""

    symbols: NDArray[np.int16]  # [k], by the length of their codes, then by value
    per_length: NDArray[np.uint16]  # [m + 1]: how many codes have 0, 1, .., m bits

    @staticmethod
    def of(stream: NDArray[np.int16]) -> "Codebook":
        """The best code for a stream [n]; without symbols for an empty one."""
        symbols, counts = np.unique(stream, return_counts=True)
        lengths = code_lengths(counts)
        order = np.lexsort((symbols, lengths))
        return Codebook(symbols[order], np.bincount(lengths, minlength=1).astype(np.uint16))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Of each symbol's code, [k]."""
        return np.repeat(np.arange(len(self.per_length)), self.per_length)

    @property
    def codes(self) -> NDArray[np.int64]:
        """[k]: each the one before it plus 1, with zeros behind it where codes grow longer."""
        codes = np.zeros(len(self.symbols), np.int64)
        lengths = self.lengths
        for one in range(1, len(codes)):
            codes[one] = (codes[one - 1] + 1) << (lengths[one] - lengths[one - 1])
        return codes

    def encode(self, stream: NDArray[np.int16]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The stream's bytes, and where each symbol of it ends, in bits."""
        order = np.argsort(self.symbols)
        place = order[np.searchsorted(self.symbols, stream, sorter=order)]
        return write_bits(self.codes[place], self.lengths[place])

    def decode(
        self, data: NDArray[np.uint8], starts: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> NDArray[np.int16]:
        """The symbols of all columns, one behind another; columns are read side by side.

        A column starts at a bit position (`starts`) and has so many symbols (`counts`).
        """
        found = np.zeros(int(counts.sum()), np.int16)
        if not len(found):
            return found
        which, length = self._table()
        out = np.cumsum(counts) - counts
        at = starts.astype(np.int64)
        for step in range(int(counts.max())):
            alive = np.flatnonzero(counts > step)
            seen = windows(data, at[alive])
            found[out[alive] + step] = self.symbols[which[seen]]
            at[alive] += length[seen]
        return found

    def _table(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each window of bits: which symbol's code it begins with, and how long that code is."""
        which = np.zeros(1 << WINDOW, np.int64)
        filled = np.repeat(np.arange(len(self.symbols)), 1 << (WINDOW - self.lengths))
        which[: len(filled)] = filled  # codes rise, so their windows stand in order
        return which, self.lengths[which]
