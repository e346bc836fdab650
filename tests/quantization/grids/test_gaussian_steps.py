"""Steps from deviations, beside values worked out by hand and the best steps for a Gaussian."""

import pytest
import torch

from engine.quantization.grids.gaussian_steps import (
    STEPS,
    GaussianInput,
    GaussianWeightCodes,
    cell_middles,
    channel_bits,
    coarse,
    step_of,
)


def spread_channels(n=4, channels=16, side=16, seed=0):
    """Images whose channels have log-normal deviations, and means of their own."""
    rng = torch.Generator().manual_seed(seed)
    sigma = torch.randn(1, channels, 1, 1, generator=rng).mul(1.5).exp()
    mean = torch.randn(1, channels, 1, 1, generator=rng)
    return sigma * (torch.randn(n, channels, side, side, generator=rng) + mean)


def channel_error(x, quantizer):
    """The mean over channels of each one's error in units of its variance."""
    error = (quantizer(x) - x).square().mean((0, 2, 3))
    return float((error / x.var((2, 3)).mean(0)).mean())


def gaussian_error(step, bits):
    x = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    return float((step * cell_middles(x / step, 2**bits) - x).square().mean())


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_table_s_step_of_so_many_bits_is_the_best_for_a_gaussian(bits):
    best = gaussian_error(step_of(bits), bits)
    assert all(gaussian_error(step_of(bits) * other, bits) > best for other in (0.9, 1.1))


def test_the_release_reads_the_step_of_one_bit_less():
    """Mean squared errors of a Gaussian at 2 and 4 bits, as the two indices give them."""
    assert gaussian_error(step_of(2), 2) == pytest.approx(0.119, abs=0.002)
    assert gaussian_error(step_of(2, as_released=True), 2) == pytest.approx(0.214, abs=0.003)
    assert gaussian_error(step_of(4), 4) == pytest.approx(0.0116, abs=0.0003)
    assert gaussian_error(step_of(4, as_released=True), 4) == pytest.approx(0.029, abs=0.001)
    assert [step_of(b, as_released=True) for b in (1, 2)] == [STEPS[0], STEPS[0]]


def test_a_channel_is_rounded_around_its_own_mean():
    x = torch.tensor([-1.0, 1.0, 5.0, 3.0]).view(1, 1, 2, 2)  # mean 2, deviation √5
    step = step_of(2) * 5**0.5
    wanted = [2 + step * k for k in (-1.5, -0.5, 1.5, 0.5)]
    assert GaussianInput(2)(x).flatten().tolist() == pytest.approx(wanted)
    alone = torch.cat([x, 100 * x], 1)
    assert GaussianInput(2)(alone)[:, :1].flatten().tolist() == pytest.approx(wanted)
    again = torch.cat([x, 100 * x], 0)
    assert GaussianInput(2)(again)[:1].flatten().tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_channel_never_has_more_than_its_levels(bits, above):
    x = spread_channels()
    x = x.relu() if above else x
    x[0, 0, 0, 0] = 1000.0  # far out: clipped
    quantizer = GaussianInput(bits)
    for channel in quantizer.in_groups(quantizer(x)):
        assert len(channel.unique()) <= 2**bits
    assert quantizer.above_zero == above
    assert len(quantizer.in_groups(x)) == 4 * 16


def test_behind_a_relu_moments_are_of_what_is_above_0_and_nothing_is_below():
    x = torch.tensor([0.0, 0.0, 2.0, 4.0]).view(1, 1, 2, 2)
    quantizer = GaussianInput(4)
    quantizer.fit(x)
    mean, sigma = quantizer.moments(x)
    assert float(mean) == 2.0  # (2 + 4) / (2 + 1)
    assert float(sigma) == pytest.approx((4 / 3) ** 0.5)
    assert float(quantizer(x).min()) >= 0
    dead = torch.zeros(1, 2, 2, 2)
    dead[:, 1] = x
    assert not quantizer(dead)[:, 0].any(), "a channel of one value stays what it is"


def test_deviations_have_few_values_too():
    sigma = spread_channels(channels=64).std((2, 3), keepdim=True)
    few = coarse(sigma, 3)
    assert all(len(image.unique()) <= 8 for image in few)
    assert float(few.min()) > 0
    fine = (coarse(sigma, 8) / sigma - 1).abs().median()
    assert float(fine) < float((few / sigma - 1).abs().median())
    dead = torch.tensor([0.0, 1.0, 2.0, 4.0]).view(1, 4, 1, 1)
    assert float(coarse(dead, 2)[0, 0]) == 0.0, "a channel of one value has none to be spread over"


@pytest.mark.parametrize("bits", [2, 4])
def test_bits_by_the_channel_keep_to_the_budget_and_follow_the_deviation(bits):
    sigma = spread_channels(channels=32).std((2, 3), keepdim=True)
    found = channel_bits(sigma, bits)
    assert found.shape == sigma.shape
    assert bool((found.mean(1) <= bits).all())
    assert bool((found.mean(1) > bits - 0.5).all()), "and use it"
    order = sigma[0].flatten().argsort()
    assert bool((found[0].flatten()[order].diff() >= 0).all())
    assert torch.equal(
        channel_bits(torch.ones(2, 5, 1, 1), bits), torch.full((2, 5, 1, 1), float(bits))
    )
    x = spread_channels(channels=32)
    mixed, even = (GaussianInput(bits, mixed=mixed) for mixed in (True, False))
    assert float((mixed(x) - x).square().mean()) < float((even(x) - x).square().mean())


@pytest.mark.parametrize("bits", [2, 4])
def test_narrow_channels_are_lost_on_one_grid_for_all(bits):
    x = spread_channels()
    own, one = (channel_error(x, GaussianInput(bits, by_channel=by)) for by in (True, False))
    assert own == pytest.approx(gaussian_error(step_of(bits), bits), rel=0.1)
    assert own < one / 10


def test_weights_lie_around_0_by_the_deviation_of_their_channel():
    weight = torch.tensor([[3.0, -1.0, -3.0, 1.0], [30.0, -10.0, -30.0, 10.0]])
    quantizer = GaussianWeightCodes(2)
    quantizer.fit(weight)
    assert quantizer.levels()[0].tolist() == pytest.approx(
        [0.996 * 5**0.5 * k for k in (-1.5, -0.5, 0.5, 1.5)]
    )
    assert torch.equal(quantizer.codes[0], quantizer.codes[1])
    assert quantizer.codes[0].tolist() == [3, 1, 0, 2]
    whole = GaussianWeightCodes(2, by_channel=False)
    whole.fit(weight)
    assert torch.equal(whole.levels()[0], whole.levels()[1])
    assert (quantizer.side_bits(), whole.side_bits()) == (64, 32)


def test_what_is_stored_gives_the_same_again():
    x = spread_channels().relu()
    quantizer = GaussianInput(3, sigma_bits=8)
    wanted, again = quantizer(x), GaussianInput(3, sigma_bits=8)
    again.restore({name: value.clone() for name, value in quantizer.stored().items()})
    assert torch.equal(again(-x.neg()), wanted)
    assert again.above_zero
    values, on_grid, levels = again.comparable(x)
    assert levels.shape == (1, 8)
    assert float((values - on_grid).abs().median()) < 0.5


def test_its_levels_lie_between_the_ends_of_the_grids_fitted_to():
    x = spread_channels(n=2, channels=3)
    quantizer = GaussianInput(3)
    quantizer.fit(x)
    mean, sigma = x.mean((2, 3)), x.var((2, 3), correction=0).sqrt()
    reach = step_of(3) * sigma * 2**3 / 2
    levels = quantizer.levels()[0]
    assert len(levels) == 8
    assert float(levels[0]) == pytest.approx(float((mean - reach).min()), rel=1e-4)
    assert float(levels[-1]) == pytest.approx(float((mean + reach).max()), rel=1e-4)
    quantizer.fit(x.relu())
    assert float(quantizer.levels()[0, 0]) >= 0
