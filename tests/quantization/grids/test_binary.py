"""Weights of one bit, beside values worked out by hand."""

import math

import pytest
import torch

from engine.quantization.grids.weights.binary import (
    FELT,
    BinaryWeightCodes,
    held_back,
    sharpness_at,
    sign_entropy,
    signs,
    slope,
)


def fitted(weight, **chosen):
    quantizer = BinaryWeightCodes(1, **chosen)
    quantizer.fit(weight)
    return quantizer


def lopsided(seed=0):
    """Channels [6, 400] whose means are far from 0."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(6, 400, generator=rng) * 0.1 + torch.linspace(-0.2, 0.2, 6)[:, None]


def test_the_sign_of_0_is_one_of_the_two():
    assert torch.equal(signs(torch.tensor([-0.5, 0.0, 0.5])), torch.tensor([-1.0, 1.0, 1.0]))
    flat = torch.zeros(2, 4)  # every weight lies on its border
    quantizer = fitted(flat)
    assert set(quantizer(flat).unique().tolist()) == {0.0}
    learning = fitted(torch.tensor([[-1.0, 0.0, 1.0]]))
    learning.learning = True
    values = learning(torch.tensor([[-1.0, 0.0, 1.0]]))
    assert values[0].tolist() == pytest.approx([-2 / 3, 2 / 3, 2 / 3])


def test_a_channel_has_two_values_around_its_mean_or_around_0():
    weight = torch.tensor([[0.0, 1.0, 2.0, 5.0]])  # mean 2, distances 2 1 0 3
    assert fitted(weight)(weight)[0].tolist() == [0.5, 0.5, 3.5, 3.5]
    assert fitted(weight, offset=False)(weight)[0].tolist() == [-1.5, -1.5, 1.5, 1.5]
    assert fitted(weight, balance=False)(weight)[0].tolist() == [2.0, 2.0, 2.0, 2.0]


def test_balanced_signs_say_almost_a_bit_where_plain_ones_say_less():
    weight = lopsided()
    balanced, plain = fitted(weight).codes == 1, fitted(weight, balance=False).codes == 1
    assert sign_entropy(balanced) >= 0.99 > 0.8 > sign_entropy(plain)
    assert sign_entropy(torch.tensor([[True, False], [True, True]])) == 0.5


def test_the_error_is_below_that_of_plain_signs_and_their_mean_size():
    weight = lopsided()
    error = {
        balance: float((fitted(weight, balance=balance)(weight) - weight).square().sum())
        for balance in (True, False)
    }
    assert error[True] < error[False]


def test_the_gradient_is_as_given_in_the_paper():
    x = torch.tensor([0.0, 0.5, 2.0])
    soft = [1 - math.tanh(0.1 * v) ** 2 for v in x.tolist()]  # k t = 1 for t below 1
    assert slope(x, 0.1).tolist() == pytest.approx(soft)
    sharp = [10 * (1 - math.tanh(10 * v) ** 2) for v in x.tolist()]
    assert slope(x, 10.0).tolist() == pytest.approx(sharp, abs=1e-6)
    assert slope(x, None).tolist() == [1.0, 1.0, 1.0]
    assert [sharpness_at(p, 0.1, 10.0) for p in (0, 0.5, 1)] == pytest.approx([0.1, 1.0, 10.0])


@pytest.mark.parametrize("sharpness", [None, 0.1, 3.0])
def test_what_is_learned_gets_that_gradient(sharpness):
    """Of Σ c · a · sign((w − m) / σ) with constant a, m, σ: c a slope / σ; here they are not, so by parts."""
    weight = lopsided().double().requires_grad_()
    quantizer = fitted(weight)
    quantizer.learning, quantizer.sharpness = True, sharpness
    factors = torch.randn(6, 400, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (quantizer(weight) * factors).sum().backward()

    other = weight.detach().clone().requires_grad_()
    mean = other.mean(1, keepdim=True)
    reach = (other - mean).abs().mean(1, keepdim=True)
    spread = (other - mean) / (other - mean).square().mean(1, keepdim=True).sqrt()
    at = signs(spread).detach() + slope(spread, sharpness).detach() * (spread - spread.detach())
    ((mean + reach * at) * factors).sum().backward()
    assert torch.allclose(weight.grad, other.grad)


def test_more_weights_have_a_gradient_at_first_and_it_is_nearer_to_the_sign_s_in_the_end():
    x = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
    early, late = (float((slope(x, t) >= FELT).float().mean()) for t in (0.1, 10.0))
    assert early > 0.99 > 0.5 > late

    def bias(t):  # of the function that has this gradient, k tanh(t x)
        return float((max(1 / t, 1) * torch.tanh(t * x) - signs(x)).abs().mean())

    assert bias(10.0) < bias(1.0) < bias(0.1)


def test_a_share_of_the_weights_keeps_a_gradient():
    far = torch.cat([torch.full((50,), 1.0), torch.full((50,), -1.0)])  # nothing is near the border
    assert float((slope(far, 10.0) >= FELT).float().mean()) == 0
    kept = held_back(10.0, far, 0.1)
    assert 0.1 < kept < 10
    assert float((slope(far, kept) >= FELT).float().mean()) >= 0.1
    assert float((slope(far, 1.02 * kept) >= FELT).float().mean()) == 0, (
        "and is no flatter than need be"
    )
    assert held_back(10.0, far, 0.0) == 10.0
    assert held_back(10.0, torch.linspace(-3, 3, 1000), 0.05) == 10.0


def test_codes_are_packed_as_one_bit_and_put_back():
    weight = lopsided()
    quantizer = fitted(weight)
    again = BinaryWeightCodes(1)
    again.restore({name: value.clone() for name, value in quantizer.stored().items()})
    assert torch.equal(again(weight), quantizer(weight))
    assert quantizer.code_bits == 1
    assert quantizer.side_bits() == 6 * 64
    assert fitted(weight, offset=False).side_bits() == 6 * 32
    assert quantizer.flipped(weight) == 0.0


def test_codes_do_not_follow_the_weight_unless_they_learn():
    weight = lopsided()
    quantizer = fitted(weight)
    assert torch.equal(quantizer(-weight), quantizer(weight))
    quantizer.learning = True
    assert not torch.equal(quantizer(-weight), quantizer(weight))


def test_weights_of_any_size_keep_a_gradient_and_the_share_s_farthest_alone_decides():
    vast = torch.full((8,), 1.2e4)
    assert float(slope(vast, held_back(10.0, vast, 0.5))[0]) >= FELT
    apart = torch.tensor([0.5, 9.0])  # half of them: the near one
    assert held_back(10.0, apart, 0.5) == pytest.approx(held_back(10.0, apart[:1], 1.0))
    assert held_back(10.0, apart, 0.5) > 2 * held_back(10.0, apart, 1.0)
