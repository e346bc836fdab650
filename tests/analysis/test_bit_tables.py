"""What follows from a choice of bits, by hand."""

import math

import pytest

from engine.analysis.layers.bit_tables import (
    FLOAT,
    WIDTHS,
    BitTables,
    alike,
    cliff,
    float_bytes,
    follow,
)

# The error falls fourfold with each bit of the weights, and twofold with each of the input (the last: float).
NOISE = [[4.0**-w * 2.0**-a for a in range(8)] for w in range(7)]
TABLES = BitTables(
    paths=["one", "two"], signal=[1.0, 100.0], noise=[NOISE, NOISE], weights=[10, 4], rest_bytes=[3, 5],
    macs=[100, 7], kl_weights=[[0.7 - w / 10 for w in range(7)], [1.0] * 7],
    kl_inputs=[[0.8 - a / 10 for a in range(8)], [2.0] * 8],
)  # fmt: skip


def test_each_layer_has_the_error_of_its_own_bits():
    found = follow(TABLES, [2, 4], [3, FLOAT])
    noise = [2.0**-1, 4.0**-2 * 2.0**-7]
    wanted = [10 * math.log10(s / n) for s, n in zip((1.0, 100.0), noise, strict=True)]
    assert found.sqnr_db.tolist() == pytest.approx(wanted)


def test_bytes_are_whole_for_each_layer_and_operations_count_both_widths():
    found = follow(TABLES, [3, 2], [4, FLOAT])
    assert found.size_bytes == 4 + 3 + 1 + 5  # 30 bits and 8 bits, and what is no code
    assert found.bit_operations == 100 * 3 * 4 + 7 * 2 * 8  # pixels have 8 bits
    assert float_bytes(TABLES) == 4 * 14


def test_divergences_add_up_and_are_unknown_where_nothing_was_measured():
    found = follow(TABLES, [4, 8], [2, 2])
    assert found.predicted_kl == pytest.approx(0.5 + 1.0 + 0.8 + 2.0)
    without = BitTables.of(TABLES.plain() | {"kl_inputs": None})
    assert follow(without, [4, 8], [2, 2]).predicted_kl is None


def test_bits_of_no_table_are_refused():
    with pytest.raises(ValueError, match="not in tuple"):
        follow(TABLES, [9, 2], [2, 2])


def test_no_error_is_100_db_and_no_signal_or_a_broken_error_minus_100():
    noise = [[[value] * 8 for _ in range(7)] for value in (0.0, math.inf, 1.0, 1e-30)]
    tables = BitTables(
        paths=list("abcd"), signal=[1.0, 1.0, 0.0, 1.0], noise=noise, weights=[1] * 4,
        rest_bytes=[0] * 4, macs=[0] * 4, kl_weights=None, kl_inputs=None,
    )  # fmt: skip
    assert follow(tables, [2] * 4, [2] * 4).sqnr_db.tolist() == [100, -100, -100, 100]


def test_alike_takes_one_width_for_both_and_leaves_floats_alone():
    found = alike(TABLES, [True, False])
    assert [*found["one"]] == [str(bits) for bits in WIDTHS]
    for place, bits in enumerate(WIDTHS):
        assert found["one"][str(bits)] == pytest.approx(10 * math.log10(8.0**place))
        assert found["two"][str(bits)] == pytest.approx(10 * math.log10(100 * 4.0**place * 2.0**7))


def test_a_cliff_is_the_most_bits_below_the_threshold():
    curve = {"2": 5.0, "3": 19.9, "4": 20.0, "8": 45.0}
    assert cliff(curve) == 3
    assert cliff(curve, threshold=46) == 8
    assert cliff(curve, threshold=5) is None
