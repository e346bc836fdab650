"""Quantizers: AdaRound with a released step size, LSQ beside plain autograd, QDrop's two ends."""

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.quantization.grids.learned_step import LearnedStep, drop_mask
from engine.quantization.grids.quantizers import (
    FIT_IMAGES,
    ActivationQuantizer,
    WeightQuantizer,
)
from engine.quantization.grids.step_search import search_activation_grid, search_weight_grid
from engine.quantization.grids.uniform import Grid


def fitted(bits=3, shape=(4, 2, 3, 3)):
    weight = torch.randn(shape)
    quantizer = WeightQuantizer(bits)
    quantizer.fit(weight)
    return quantizer, weight


def softened(bits=3):
    quantizer, weight = fitted(bits)
    quantizer.soften(weight)
    return quantizer, weight


# --- weights ------------------------------------------------------------------------------------


def test_after_fitting_weights_are_at_nearest_codes():
    quantizer, weight = fitted()
    assert torch.equal(quantizer(weight), search_weight_grid(weight, 3).quantize(weight))
    assert quantizer.flipped(weight) == 0.0
    assert not quantizer(weight).requires_grad


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_soft_weights_begin_at_the_float_weights(bits):
    quantizer, weight = softened(bits)
    grid = Grid(quantizer.fitted_scale, quantizer.zero_point, 0, 2**bits - 1)
    ends = grid.values(torch.tensor(0.0)), grid.values(torch.tensor(2.0**bits - 1))
    assert torch.allclose(quantizer(weight), weight.clamp(*ends), atol=1e-5)


def test_rounding_is_hard_where_v_is_not_negative():
    quantizer, weight = softened()
    with torch.no_grad():
        quantizer.rounding.copy_(torch.randn_like(weight))
        quantizer.rounding[0, 0, 0, 0] = 0.0
    up = quantizer.rounding.detach() >= 0
    scale, zero = quantizer.fitted_scale, quantizer.zero_point
    wanted = (torch.floor(weight / scale) + up + zero).clamp(0, 7)
    share = float((wanted != torch.round(weight / scale).add(zero).clamp(0, 7)).float().mean())
    assert quantizer.flipped(weight) == pytest.approx(share)
    quantizer.harden()
    assert torch.equal(quantizer.codes.float(), wanted)
    assert torch.equal(quantizer(weight), scale * (wanted - zero))
    assert quantizer.flipped(weight) == pytest.approx(share)
    assert quantizer.rounding is None
    assert not quantizer.scale.requires_grad


def test_hardening_at_once_gives_nearest_rounding_back():
    """None of these weights lies exactly between two codes, where one rounds to even, one up."""
    quantizer, _ = softened()
    nearest = quantizer.codes.clone()
    quantizer.harden()
    assert torch.equal(quantizer.codes, nearest)


def test_soft_rounding_reaches_both_ends():
    quantizer, _ = softened()
    for value, end in ((-10.0, 0.0), (10.0, 1.0)):
        with torch.no_grad():
            quantizer.rounding.fill_(value)
        assert (quantizer.soft_rounding() == end).all()


def test_a_moving_step_size_poses_no_new_rounding_problem():
    """GENIE-M: the base is a constant, so the weights are stretched and not rounded anew."""
    quantizer, weight = softened()
    before = quantizer(weight).detach()
    with torch.no_grad():
        quantizer.scale.mul_(2)  # a power of two: exact in floating point
    assert torch.equal(quantizer(weight).detach(), 2 * before)
    quantizer.harden()
    codes = Grid(quantizer.fitted_scale, quantizer.zero_point, 0, 7).codes(weight)
    assert torch.equal(quantizer.codes.float(), codes)


def test_the_gradient_of_the_step_size_is_the_soft_integer():
    quantizer, weight = softened()
    chosen = torch.randn_like(weight)
    (quantizer(weight) * chosen).sum().backward()
    integers = (quantizer(weight) / quantizer.scale).detach()
    wanted = (chosen * integers).sum((1, 2, 3), keepdim=True)
    assert torch.allclose(quantizer.scale.grad, wanted, rtol=1e-4, atol=1e-4)


def test_the_gradient_of_the_rounding_is_that_of_the_stretched_sigmoid():
    quantizer, weight = softened()
    scale, zero = quantizer.scale.detach(), quantizer.zero_point
    v = quantizer.rounding.detach()
    quantizer(weight).sum().backward()
    sigmoid = torch.sigmoid(v)
    stretched = sigmoid * 1.2 - 0.1
    code = torch.floor(weight / scale) + stretched + zero
    free = (stretched > 0) & (stretched < 1) & (code > 0) & (code < 7)
    wanted = torch.where(free, scale * 1.2 * sigmoid * (1 - sigmoid), torch.zeros(()))
    assert torch.allclose(quantizer.rounding.grad, wanted, rtol=1e-4, atol=1e-6)
    assert (~free).any(), "some weight must be clipped, or the test shows nothing"


# --- activations --------------------------------------------------------------------------------


def naive(x, scale, low, high, mask=None):
    """Straight-through rounding, left to autograd."""
    ratio = (x / scale).clamp(low, high)
    values = (ratio + (ratio.round() - ratio).detach()) * scale
    return values if mask is None else torch.where(mask, values, x)


def learning(x, keep_float, bits=3):
    quantizer = ActivationQuantizer(bits)
    quantizer.fit(x)
    with torch.no_grad():
        quantizer.scale.mul_(0.7)  # so that some values are clipped
    quantizer.learn(keep_float, stream(0, "drop"))
    return quantizer


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("keep_float", [0.0, 0.3])
def test_learned_steps_have_the_straight_through_gradients(signed, keep_float):
    x = torch.randn(4, 3, 5, 5) if signed else torch.rand(4, 3, 5, 5)
    quantizer = learning(x, keep_float)
    weights = torch.randn_like(x)
    a = x.clone().requires_grad_()
    out = quantizer(a)
    (out * weights).sum().backward()

    mask = drop_mask(x, keep_float, stream(0, "drop")).bool() if keep_float else None
    b, scale = x.clone().requires_grad_(), quantizer.scale.detach().clone().requires_grad_()
    wanted = naive(b, scale, quantizer.low, quantizer.high, mask)
    (wanted * weights).sum().backward()
    assert torch.allclose(out, wanted, atol=1e-6)
    assert torch.allclose(a.grad, b.grad)
    assert torch.allclose(quantizer.scale.grad, scale.grad, rtol=1e-4, atol=1e-4)
    clipped = (x / scale > quantizer.high) | (x / scale < quantizer.low)
    assert clipped.any(), "some value must be clipped, or the test shows less"


def test_dropping_all_is_float_and_dropping_nothing_is_the_grid():
    x = torch.randn(4, 3, 5, 5)
    assert torch.equal(learning(x, 1.0)(x), x)
    assert learning(x, 0.0)(x).unique().numel() <= 2**3


def test_dropping_half_keeps_about_half_and_draws_anew():
    x = torch.randn(8, 3, 20, 20)
    quantizer = learning(x, 0.5)
    first, second = (quantizer(x) == x for _ in range(2))
    assert 0.47 < float(first.float().mean()) < 0.53
    assert 0.47 < float((first != second).float().mean()) < 0.53


def test_a_settled_step_drops_nothing_and_rounds_as_it_learned_to():
    x = torch.randn(4, 3, 5, 5)
    quantizer = learning(x, 0.5)
    quantizer.settle()
    wanted = naive(x, quantizer.scale, quantizer.low, quantizer.high)
    assert torch.allclose(quantizer(x), wanted, atol=1e-6)
    assert not quantizer(x).requires_grad


def test_the_step_is_found_in_the_first_32_images_once():
    x = torch.randn(FIT_IMAGES + 8, 2, 3, 3)
    x[FIT_IMAGES:] *= 100
    quantizer = ActivationQuantizer(4)
    quantizer(x)
    assert FIT_IMAGES == 32
    assert float(quantizer.scale) == pytest.approx(search_activation_grid(x[:32], 4)[0])
    found = float(quantizer.scale)
    quantizer(1000 * x)
    assert float(quantizer.scale) == found


def test_what_is_stored_restores_the_same_quantizer():
    x = -torch.rand(4, 2, 3, 3)
    quantizer, other = ActivationQuantizer(5), ActivationQuantizer(5)
    quantizer(x)
    other.restore(quantizer.stored())
    assert torch.equal(other(x), quantizer(x))
    assert torch.equal(other(-x), quantizer(-x))


@pytest.mark.parametrize("masked", [True, False])
def test_gradients_of_a_learned_step_are_those_of_choices_element_by_element(masked):
    """Bit for bit, at the ends of the range too, and finite where the input is not."""
    rng = stream(0, "step")
    x = torch.randn(4, 3, 5, 5, generator=rng) * 2
    x.view(-1)[:4] = torch.tensor([0.0, 7.0, -8.0, 6.99]) * 0.25
    x.view(-1)[4] = float("inf")
    scale, low, high = torch.tensor(0.25, requires_grad=True), -8, 7
    grad = torch.randn(x.shape, generator=rng)
    mask = drop_mask(x, 0.5, rng) if masked else None
    x.requires_grad_()
    out = LearnedStep.apply(x, scale, low, high, mask)
    of_x, of_scale = torch.autograd.grad(out, [x, scale], grad)
    ratio = (x / scale).detach()
    inside = (ratio >= low) & (ratio <= high)
    codes = ratio.round().clamp(low, high)
    used = grad if mask is None else grad * mask
    passed = (
        torch.where(inside, grad, 0.0) if mask is None else torch.where(inside, grad, grad - used)
    )
    assert torch.equal(of_x, passed)
    assert torch.equal(of_scale, (used * torch.where(inside, codes - ratio, codes)).sum())


def test_what_is_put_back_does_not_learn():
    quantizer, weight = softened()
    fresh, x = WeightQuantizer(3), torch.randn(2, 3, 4, 4)
    fresh.restore(quantizer.stored())
    assert not fresh(weight).requires_grad
    inputs, again = learning(x, 0.0), ActivationQuantizer(3)
    again.restore(inputs.stored())
    assert not again(x).requires_grad
