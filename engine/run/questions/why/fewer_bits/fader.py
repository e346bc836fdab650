"""What any choice of bits leads to, at once, by the kept tables of an answer of `bits`. Imports no torch."""

from collections.abc import Mapping
from typing import Any

from engine.analysis.layers.bit_tables import (
    CLIFF_DB,
    FLOAT,
    WIDTHS,
    BitTables,
    Follows,
    every_sqnr_db,
    float_bytes,
    follow,
)

__all__ = [
    "CLIFF_DB",
    "WIDTHS",
    "Follows",
    "every_sqnr_db",
    "float_size",
    "follow_bits",
    "tables_of",
]


def tables_of(answer: Mapping[str, Any]) -> BitTables:
    """The tables in an answer of `bits`, for `engine.analysis.layers.bit_tables.follow`."""
    return BitTables.of(answer["tables"])


def follow_bits(
    answer: Mapping[str, Any], weights: Mapping[str, int], inputs: Mapping[str, int | None]
) -> Follows:
    """Local SQNR of every layer, size, bit operations and predicted divergence at these bits by path.

    An input of None stays as it is. ValueError for bits outside of 2 to 8, KeyError for a layer left out.
    """
    tables = tables_of(answer)
    return follow(
        tables,
        [weights[path] for path in tables.paths],
        [inputs[path] or FLOAT for path in tables.paths],
    )


def float_size(answer: Mapping[str, Any], result: Mapping[str, Any] | None = None) -> int:
    """Bytes of the network in float32, as its run's result says; else of the weights of its layers alone."""
    told = ((result or {}).get("size_bytes") or {}).get("fp32")
    return int(told) if told else float_bytes(tables_of(answer))
