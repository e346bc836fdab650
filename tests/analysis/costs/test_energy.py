"""Energy by the table, against values worked out by hand."""

import pytest

from engine.analysis.costs.energy import Work, energy, mac_pj


def test_the_table_itself_is_met_where_it_has_a_figure():
    assert mac_pj(8, 8) == pytest.approx(0.2 + 0.1)
    assert mac_pj(None, None) == pytest.approx(3.7 + 0.9)
    # 32 bits are not in the sum, but the scaling meets the table's 3.1 pJ within a tenth.
    assert mac_pj(32, 32) - 0.1 == pytest.approx(3.1, rel=0.1)


def test_half_the_bits_of_both_factors_take_a_quarter_of_the_product():
    assert mac_pj(4, 4) - 0.1 == pytest.approx((mac_pj(8, 8) - 0.1) / 4)
    assert mac_pj(2, 8) - 0.1 == pytest.approx((mac_pj(8, 8) - 0.1) / 4)


def test_an_image_by_hand():
    layers = [Work(macs=1_000_000, weight_bits=8, activation_bits=8), Work(macs=2_000_000)]
    found = energy(layers, stored_bytes=800)
    assert found.arithmetic == pytest.approx((1e6 * 0.3 + 2e6 * 4.6) * 1e-6)
    assert found.weights_cached == pytest.approx(
        (100 * 10e-6, 100 * 100e-6)
    )  # 100 words of 64 bits
    assert found.weights_dram == pytest.approx((100 * 1300e-6, 100 * 2600e-6))
