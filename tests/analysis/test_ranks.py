"""Rank correlations of layers, counted by hand."""

import pytest

from engine.analysis.layers.ranks import rank_correlations


def test_they_look_at_the_order_alone():
    assert rank_correlations([1, 2, 3, 4], [1, 10, 100, 1000]) == pytest.approx((1, 1))
    assert rank_correlations([1, 2, 3, 4], [9, 8, 7, 1]) == pytest.approx((-1, -1))


def test_one_pair_out_of_order():
    """Spearman: 1 - 6 * (1 + 1) / (4 * 15); Kendall: 5 pairs in order, 1 not, of 6."""
    assert rank_correlations([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx((0.8, 4 / 6))


@pytest.mark.parametrize(
    ("a", "b"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [5, 5, 5])]
)
def test_nothing_is_said_of_too_few_or_of_what_is_all_alike(a, b):
    assert rank_correlations(a, b) is None


def test_of_three_layers_two_values_are_enough():
    assert rank_correlations([1, 2, 2], [1, 1, 3]) == pytest.approx((0.5, 0.5))
