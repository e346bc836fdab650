"""Activations of one bit: two levels, the size with the least error, and a gradient near the border alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.quantization.grids.sign_activation import SignActivation

signed = st.lists(st.floats(-4, 4, width=32), min_size=2, max_size=40).filter(
    lambda v: min(v) < -1e-3
)


def fitted(x):
    quantizer = SignActivation(1)
    quantizer.fit(x)
    return quantizer


@given(signed)
def test_signs_of_the_mean_size_and_0_counts_as_positive(values):
    x = torch.tensor(values)
    got = fitted(x)(x)
    size = x.abs().mean()
    assert torch.allclose(got, torch.where(x >= 0, size, -size))


@given(signed, st.floats(0.5, 2.0))
def test_no_other_size_has_a_smaller_error(values, factor):
    x = torch.tensor(values).double()
    quantizer = fitted(x)
    error = (quantizer(x) - x).square().mean()
    other = (factor * quantizer(x) - x).square().mean()
    assert other >= error - 1e-9


def test_where_nothing_is_negative_the_levels_are_0_and_one_more():
    x = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    quantizer = fitted(x)
    got = quantizer(x)
    assert quantizer.levels().tolist() == [[0, float(quantizer.scale)]]
    assert set(got.unique().tolist()) == {0, float(quantizer.scale)}


def test_its_levels_are_the_values_that_it_gives():
    x = torch.randn(500, generator=torch.Generator().manual_seed(0))
    quantizer = fitted(x)
    assert torch.equal(quantizer(x).unique(), quantizer.levels()[0])


def test_what_is_stored_and_restored_gives_the_same():
    x = torch.randn(500, generator=torch.Generator().manual_seed(0))
    quantizer, again = fitted(x), SignActivation(1)
    again.restore(quantizer.stored())
    assert torch.equal(again(x), quantizer(x))
    assert again.of_signs


def test_the_gradient_passes_within_twice_the_size():
    x = torch.tensor([-3.0, -0.5, 0.2, 1.0, 3.0])  # mean size 1.54
    quantizer = fitted(x)
    y = torch.tensor([-3.2, -3.0, -0.1, 0.0, 3.0, 3.2], requires_grad=True)
    (quantizer(y) * torch.arange(1.0, 7.0)).sum().backward()
    assert y.grad is not None
    assert y.grad.tolist() == [0, 2, 3, 4, 5, 0]


@pytest.mark.parametrize("keep", [0.0, 1.0])
def test_kept_float_it_changes_nothing(keep):
    x = torch.randn(50, generator=torch.Generator().manual_seed(0))
    quantizer = fitted(x)
    quantizer.learn(keep, torch.Generator())
    assert torch.equal(quantizer(x), x) is bool(keep)


@pytest.mark.parametrize("learning", [True, False])
def test_what_learns_behind_it_changes_no_value_and_the_size_is_stored_as_one_float(learning):
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    quantizer = fitted(x)
    wanted = quantizer(3 * x)
    assert torch.allclose(quantizer((3 * x).requires_grad_(learning)), wanted)
    assert quantizer.side_bits() == 32
    assert (quantizer.low, quantizer.high) == (-1, 1)
    assert not quantizer.scale.requires_grad
    size = float(quantizer.scale)
    quantizer(100 * x)
    assert float(quantizer.scale) == size, "it is found once"


def test_found_in_what_it_first_sees():
    x = torch.randn(50, generator=torch.Generator().manual_seed(0))
    quantizer = SignActivation(1)
    assert set(quantizer(x).tolist()) == {-float(x.abs().mean()), float(x.abs().mean())}
