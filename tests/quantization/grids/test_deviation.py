"""Ranges in standard deviations: the share pruned, and how it follows alpha."""

import pytest
import torch

from engine.quantization.grids.deviation import (
    SHAPES,
    DeviationQuantizer,
    alpha_for,
    levels_of,
    zero_share,
)

WEIGHT = torch.randn(32, 16, 3, 3, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("wanted", [0.2, 0.5, 0.9])
def test_the_share_asked_for_is_pruned_within_half_a_percent(shape, bits, wanted):
    quantizer = DeviationQuantizer(bits, shape=shape, prune=wanted)
    quantizer.fit(WEIGHT)
    assert abs(float((quantizer(WEIGHT) == 0).float().mean()) - wanted) < 0.005


@pytest.mark.parametrize("shape", SHAPES)
def test_zeros_never_fall_as_alpha_rises(shape):
    shares = [zero_share(WEIGHT, alpha, 3, shape) for alpha in (0.5, 1, 2, 3, 5, 8)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


def test_alpha_by_bisection_is_the_quantile_of_the_weights():
    # At 2 bits the levels are −c, 0, c: what is smaller than c/2 becomes 0.
    wanted = float(WEIGHT.abs().quantile(0.4)) * 2 / float(WEIGHT.std(unbiased=False))
    assert alpha_for(WEIGHT, 2, "uniform", 0.4) == pytest.approx(wanted, rel=1e-3)


def test_levels_by_hand():
    one = torch.tensor(2.0)
    assert levels_of(one, 3, "uniform").tolist() == pytest.approx(
        [-2, -4 / 3, -2 / 3, 0, 2 / 3, 4 / 3, 2]
    )
    assert levels_of(one, 3, "log2").tolist() == [-2, -1, -0.5, 0, 0.5, 1, 2]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_learns_computes_with_the_values_that_it_settles_at(shape):
    quantizer = DeviationQuantizer(3, shape=shape)
    quantizer.fit(WEIGHT)
    quantizer.learn()
    weight = WEIGHT.clone().requires_grad_()
    values = quantizer(weight)
    values.square().sum().backward()
    assert weight.grad.abs().sum() > 0
    assert quantizer.alpha.grad.abs() > 0
    quantizer.settle(weight)
    assert torch.allclose(values.detach(), quantizer(weight), atol=1e-6)
