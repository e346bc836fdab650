"""What any choice of bits does to a network, answered at once from tables measured before. No torch."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from engine.analysis.costs.size import FLOAT_BYTES

WIDTHS = (2, 3, 4, 5, 6, 7, 8)
FLOAT = 0  # bits of an input that is not quantized
IMAGE_BITS = 8  # of a pixel, in bit operations
CLIFF_DB = 20.0  # an error of a tenth of the signal; our own line, no paper's


class Follows(NamedTuple):
    """What a choice of bits leads to."""

    sqnr_db: np.ndarray  # [layers]: of each alone on the teacher's input, within ±100
    size_bytes: int
    bit_operations: int
    predicted_kl: float | None  # nats; None of a network without scores of classes


@dataclass(frozen=True, slots=True, kw_only=True)
class BitTables:
    """Measured once of a network; L layers in order of execution, 7 widths, 8 of inputs (the last: float).

    noise: ⟨e, e⟩ of a layer's output at each pair of widths. kl_weights, kl_inputs: the divergence from the
    teacher with that alone quantized; a shared input counts at the first of its readers.
    """

    paths: list[str]
    signal: list[float]  # [L]
    noise: list[list[list[float]]]  # [L][7][8]
    weights: list[int]  # [L]: how many
    rest_bytes: list[int]  # [L]: grids, biases, BatchNorm
    macs: list[int]  # [L], of one image
    kl_weights: list[list[float]] | None  # [L][7]
    kl_inputs: list[list[float]] | None  # [L][8]

    def plain(self) -> dict[str, Any]:
        """As lists and numbers, for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "BitTables":
        return cls(**plain)


def follow(tables: BitTables, weight_bits: list[int], activation_bits: list[int]) -> Follows:
    """What follows from bits for each layer, 2 to 8; FLOAT for an input that is left as it is.

    The predicted divergence is the sum of what each does alone (as in ZeroQ, Cai et al., CVPR 2020, eq. 6):
    errors that hide or raise each other are not in it. ValueError for bits that are in no table.
    """
    w = np.array([WIDTHS.index(bits) for bits in weight_bits])
    a = np.array([len(WIDTHS) if b == FLOAT else WIDTHS.index(b) for b in activation_bits])
    layers = np.arange(len(tables.paths))
    noise = np.array(tables.noise)[layers, w, a]
    width, counts = np.array(weight_bits, np.int64), np.array(tables.weights, np.int64)
    size = (counts * width + 7) // 8 + np.array(tables.rest_bytes, np.int64)
    reads = np.where(np.array(activation_bits) == FLOAT, IMAGE_BITS, activation_bits)
    operations = np.array(tables.macs, np.int64) * width * reads
    kl = None
    if tables.kl_weights is not None and tables.kl_inputs is not None:
        kl = float(np.array(tables.kl_weights)[layers, w].sum())
        kl += float(np.array(tables.kl_inputs)[layers, a].sum())
    return Follows(
        _decibels(np.array(tables.signal), noise), int(size.sum()), int(operations.sum()), kl
    )


def every_sqnr_db(tables: BitTables) -> list[list[list[float]]]:
    """[L][7][8]: each layer's SQNR (dB, within ±100) at every pair of widths, as `follow` gives them."""
    signal = np.array(tables.signal)[:, None, None]
    found: list[list[list[float]]] = _decibels(signal, np.array(tables.noise)).tolist()
    return found


def float_bytes(tables: BitTables) -> int:
    """Bytes of the codes' weights in float32, for comparison."""
    return sum(tables.weights) * FLOAT_BYTES


def alike(tables: BitTables, quantized_input: list[bool]) -> dict[str, dict[str, float]]:
    """Each layer's local SQNR (dB) by bits, weights and input at the same; an input in float stays so."""
    found: dict[str, dict[str, float]] = {path: {} for path in tables.paths}
    for bits in WIDTHS:
        reads = [bits if quantized else FLOAT for quantized in quantized_input]
        sqnr = follow(tables, [bits] * len(tables.paths), reads).sqnr_db
        for path, db in zip(tables.paths, sqnr, strict=True):
            found[path][str(bits)] = float(db)
    return found


def cliff(sqnr_db: dict[str, float], threshold: float = CLIFF_DB) -> int | None:
    """The most bits at which a layer's SQNR has fallen below the threshold; None where it never does."""
    below = [int(bits) for bits, db in sqnr_db.items() if db < threshold]
    return max(below, default=None)


def _decibels(signal: np.ndarray, noise: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        db = 10 * np.log10(signal / noise)
    db = np.where(noise == 0, np.inf, np.where((signal == 0) | ~np.isfinite(noise), -np.inf, db))
    found: np.ndarray = np.clip(db, -100.0, 100.0)
    return found
