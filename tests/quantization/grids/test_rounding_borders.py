"""Learned borders, element by element: where a fraction goes up, and what moves the border."""

import math

import pytest
import torch

from engine.quantization.grids.learned_step import drop_mask
from engine.quantization.grids.quantizers import FIT_IMAGES
from engine.quantization.grids.rounding_borders import BorderQuantizer


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def inputs(*shape, signed=True):
    x = torch.randn(*shape, generator=rng())
    return x if signed else x.abs()


def bent(x, axis=1, bits=3):
    """A quantizer of x whose borders depend on channel and value."""
    quantizer = BorderQuantizer(bits)
    quantizer.channel_axis = axis
    quantizer.fit(x)
    quantizer.border.data = torch.randn(3, x.shape[axis], generator=rng(1))
    return quantizer


def border_of(quantizer, ratio, channel):
    """sigmoid(b₀ + b₁u + b₂u²), u the value as a share of the range, within [−1, 1]."""
    u = max(-1.0, min(1.0, ratio / max(quantizer.high, 1)))
    b0, b1, b2 = quantizer.border[:, channel].tolist()
    return 1 / (1 + math.exp(-(b0 + b1 * u + b2 * u * u)))


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(
    ("shape", "axis"), [((2, 3, 4, 4), 1), ((5, 3), 1), ((2, 4, 3), -1), ((2, 3, 4), 1)]
)
def test_a_value_goes_up_where_its_fraction_reaches_its_channel_s_border(shape, axis, signed, bits):
    x = inputs(*shape, signed=signed)
    quantizer = bent(x, axis, bits)
    found = quantizer(3 * x) / quantizer.scale  # beyond the range too
    borders = quantizer.borders(3 * x / quantizer.scale)
    places = torch.arange(x.shape[axis]).view(
        [-1 if d == axis % len(shape) else 1 for d in range(len(shape))]
    )
    for value, code, border, channel in zip(
        (3 * x).flatten().tolist(), found.flatten().tolist(), borders.expand(shape).flatten().tolist(),
        places.expand(shape).flatten().tolist(), strict=True,
    ):  # fmt: skip
        ratio = value / float(quantizer.scale)
        wanted = border_of(quantizer, ratio, channel)
        assert border == pytest.approx(wanted, rel=1e-4)
        up = ratio - math.floor(ratio) >= wanted
        assert code == pytest.approx(
            max(quantizer.low, min(quantizer.high, math.floor(ratio) + up))
        )


@pytest.mark.parametrize("keep", [0.0, 0.4])
def test_gradients_are_straight_through_to_the_value_and_soft_to_the_border(keep):
    x = inputs(2, 3, 4, 4)
    quantizer = bent(x)
    quantizer.learn(keep, rng(5))
    y, slope = x.clone().requires_grad_(), inputs(2, 3, 4, 4) + 0.3
    out = quantizer(y)
    (out * slope).sum().backward()

    other, scale = x.clone().requires_grad_(), quantizer.scale.detach().clone().requires_grad_()
    b = quantizer.border.detach().clone().requires_grad_()
    ratio = other / scale
    u = (ratio.detach() / quantizer.high).clamp(-1, 1)
    border = torch.sigmoid(
        b[0].view(-1, 1, 1) + b[1].view(-1, 1, 1) * u + b[2].view(-1, 1, 1) * u**2
    )
    fraction = ratio.detach() - ratio.detach().floor()
    soft = torch.sigmoid((fraction - border) / 0.1)  # felt over a tenth of a step
    codes = ratio.detach().floor() + (fraction >= border)
    inside = (codes >= quantizer.low) & (codes <= quantizer.high)
    codes = codes.detach() + (ratio - ratio.detach()) + (soft - soft.detach())
    values = torch.where(inside, codes, codes.detach().clamp(quantizer.low, quantizer.high)) * scale
    if keep:
        values = torch.where(drop_mask(x, keep, rng(5)).bool(), values, other)
    assert torch.allclose(out, values, atol=1e-6)
    (values * slope).sum().backward()
    assert torch.allclose(y.grad, other.grad, atol=1e-5)
    assert torch.allclose(quantizer.border.grad, b.grad, atol=1e-5)
    assert torch.allclose(quantizer.scale.grad, scale.grad, rtol=1e-4, atol=1e-4)
    assert float(b.grad.abs().min()) > 0


def test_kept_float_it_changes_nothing_and_settled_it_rounds():
    x = inputs(2, 3, 4, 4)
    quantizer = bent(x)
    rounded = quantizer(x)
    quantizer.learn(1.0, rng())
    assert quantizer.border.requires_grad
    assert torch.equal(quantizer(x), x)
    assert quantizer.also_learns() == [quantizer.border]
    quantizer.settle()
    assert not quantizer.border.requires_grad
    assert torch.equal(quantizer(x), rounded)
    assert not quantizer(x).requires_grad


@pytest.mark.parametrize("axis", [1, -1])
def test_what_is_stored_is_a_scale_and_three_numbers_of_each_channel(axis):
    assert BorderQuantizer(4).side_bits() == 32, "before it has seen anything, the scale alone"
    x = inputs(2, 5, 4, 3)
    quantizer = bent(x, axis)
    assert quantizer.side_bits() == 32 + 3 * 32 * x.shape[axis]
    fresh = BorderQuantizer(3)
    fresh.restore({name: value.clone() for name, value in quantizer.stored().items()})
    assert torch.equal(fresh(x), quantizer(x))
    assert not fresh.border.requires_grad
    old = {name: value for name, value in quantizer.stored().items() if name != "channel_axis"}
    fresh.restore(old)
    assert fresh.channel_axis == 1


def test_fitted_it_begins_at_one_half_in_each_channel_and_stays_fitted():
    x = inputs(FIT_IMAGES + 2, 5, 2, 2)
    quantizer = BorderQuantizer(3)
    quantizer.fit_all([x, 2 * x])
    assert torch.equal(quantizer.border, torch.zeros(3, 5))
    assert not quantizer.border.requires_grad
    scale = float(quantizer.scale)
    quantizer(100 * x)
    assert float(quantizer.scale) == scale
