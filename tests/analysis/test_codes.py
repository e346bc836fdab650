"""How levels are used, and how near they come: worked out by hand."""

import math

import numpy as np
import pytest
import torch

from engine.analysis.costs.size import BitOperations, LayerBits, bit_operations, stored_bytes
from engine.analysis.layers.codes import IDEAL_RMSE, closeness, code_histogram, distinct, level_use


def test_four_levels_used_alike_carry_two_bits_and_none_is_dead():
    codes = torch.tensor([[0, 1, 2, 3] * 5])
    assert level_use(codes, torch.arange(4.0).view(1, -1)) == pytest.approx((2, 2, 0))


def test_codes_are_counted_channel_by_channel():
    codes = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 1]])
    levels = torch.arange(4.0).expand(2, 4)
    assert level_use(codes, levels) == pytest.approx((2, 0.5, 5 / 8))


def test_values_of_several_layers_are_counted_together():
    one, other = torch.tensor([[0.0, 0.5], [0.5, 0.5]]), torch.tensor([-1.0, 0.0, 0.0, 0.5])
    found = distinct([one, other])
    assert found.unique == len(np.unique(np.concatenate([one.flatten(), other])))
    assert found.entropy_bits == pytest.approx(
        -(3 * math.log2(3 / 8) + 4 * math.log2(4 / 8) + math.log2(1 / 8)) / 8
    )
    assert distinct([torch.zeros(3)]) == (1, 0.0)


def test_three_levels_are_less_than_two_bits():
    assert level_use(torch.tensor([[0, 1, 2]]), torch.arange(3.0).view(1, -1)) == pytest.approx(
        (math.log2(3), math.log2(3), 0)
    )


def test_an_even_spread_has_the_ideal_error_and_clips_nothing():
    values = torch.linspace(-0.5, 3.5, 100_001).view(1, -1)
    levels = torch.arange(4.0).view(1, -1)
    near = closeness(values, levels, values.round().clamp(0, 3))
    assert near.rmse_steps == pytest.approx(IDEAL_RMSE, rel=1e-3)
    assert near.mse == pytest.approx(1 / 12, rel=1e-3)
    assert near.clip_share == 0
    assert near.cosine < 1


def test_what_lies_beyond_half_a_step_behind_the_last_level_is_clipped():
    values = torch.tensor([[-0.6, -0.4, 1.0, 2.4, 2.6, 9.0]])
    levels = torch.tensor([[0.0, 1.0, 2.0]])
    assert closeness(values, levels, values.round().clamp(0, 2)).clip_share == pytest.approx(0.5)


def test_the_error_counts_in_steps_of_its_own_channel():
    values = torch.tensor([[0.5, 0.5], [50.0, 50.0]])
    levels = torch.tensor([[0.0, 1.0], [0.0, 100.0]])
    assert closeness(values, levels, torch.zeros(2, 2)).rmse_steps == pytest.approx(0.5)


def test_stored_bits_count_what_lies_beside_the_codes():
    layer = LayerBits(weights=16, channels=2, weight_bits=2, side_bits=2 * 64)
    assert stored_bytes([layer]).quantized == 4 + 16


def test_bit_operations_are_macs_times_both_widths():
    layers = [
        BitOperations(macs=10, weight_bits=2, activation_bits=4),
        BitOperations(macs=5, weight_bits=8, activation_bits=8),
    ]
    assert bit_operations(layers) == (15 * 1024, 80 + 320)


def test_values_are_placed_on_the_axis_of_their_channels_codes():
    levels = torch.tensor([[0.0, 1.0, 2.0, 3.0], [-4.0, -2.0, 0.0, 8.0]])
    values = torch.tensor([[1.0, 99.0], [-2.0, 4.0]])  # at 1, beyond the last; at 1, at 2.5
    codes = torch.tensor([[1, 3], [1, 3]])
    found = code_histogram(values, levels, codes)
    width = float(found["places"][1] - found["places"][0])
    seen = found["places"][found["floats"] > 0]
    assert torch.allclose(seen, torch.tensor([1.0, 2.5, 4.0]), atol=width / 2 + 1e-6)
    assert found["floats"][found["floats"] > 0].tolist() == [0.5, 0.25, 0.25]
    assert found["taken"].tolist() == [0, 0.5, 0, 0.5]


def test_neighbouring_codes_are_counted_together_where_there_are_many():
    values = torch.linspace(0, 255, 1000).view(1, -1)
    found = code_histogram(values, torch.arange(256.0)[None], values.round().long())
    assert len(found["codes"]) == len(found["taken"]) == 64
    assert len(found["places"]) <= 70
    assert float(found["taken"].sum()) == pytest.approx(1)
    assert float(found["floats"].sum()) == pytest.approx(1)
    assert found["codes"][0] == 1.5
