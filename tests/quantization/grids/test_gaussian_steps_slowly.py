"""Steps from deviations against a second reading: image by image, channel by channel, value by value."""

import math

import pytest
import torch

from engine.quantization.grids.gaussian_steps import (
    MOST_BITS,
    STEPS,
    GaussianInput,
    GaussianWeightCodes,
    channel_bits,
    coarse,
)
from engine.quantization.grids.quantizers import FIT_IMAGES


def images(n=2, channels=5, side=3, seed=0):
    """Channels whose deviations reach from a hundredth to thirty, one of them of one value."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, channels, side, side, generator=rng, dtype=torch.double) + 0.3
    x = x * torch.logspace(-2, 1.5, channels, dtype=torch.double).view(-1, 1, 1)
    x[:, 1] = 0.25
    return x


def slow_moments(values, above_zero):
    used = [v for v in values if v > 0] if above_zero else values
    count = len(used) + 1 if above_zero else len(used)
    mean = sum(used) / count
    return mean, math.sqrt(sum((v - mean) ** 2 for v in used) / count)


def slow_middle(ratio, bits):
    half = 2 ** (bits - 1)
    return min(max(math.floor(ratio), -half), half - 1) + 0.5


def slow_value(v, mean, step, bits):
    return mean + step * slow_middle((v - mean) / step, bits) if step > 0 else v


def slow_bits(sigmas, bits):
    """The first shift, from 8 bits more for all down to 16 less, that keeps to the budget."""
    mean = sum(sigmas) / len(sigmas)
    wanted = [bits + math.log2(max(s / mean, 1e-30)) for s in sigmas]
    for k in range(385):
        found = [min(max(round(one + 8 - k / 16), 1), 8) for one in wanted]
        if sum(found) <= bits * len(found):
            return found
    raise AssertionError("no shift keeps to the budget")


def slow_coarse(sigmas, bits):
    mean, spread = slow_moments(sigmas, above_zero=False)
    step = STEPS[bits - 1] * spread
    return [
        s if s <= 0 or step <= 0 else max(slow_value(s, mean, step, bits), step / 2) for s in sigmas
    ]


def slow_forward(
    x, bits, *, above_zero, by_channel=True, sigma_bits=0, mixed=False, as_released=False
):
    out = torch.zeros_like(x)
    for n, image in enumerate(x):
        parts = image.flatten(1) if by_channel else image.reshape(1, -1)
        moments = [slow_moments(part.tolist(), above_zero) for part in parts]
        sigmas = [sigma for _, sigma in moments]
        widths = slow_bits(sigmas, bits) if mixed else [bits] * len(sigmas)
        sigmas = slow_coarse(sigmas, sigma_bits) if sigma_bits else sigmas
        for part, of, sigma, width, (mean, _) in zip(
            parts, out[n].view(parts.shape), sigmas, widths, moments, strict=True
        ):
            step = STEPS[max(width - 1 - as_released, 0)] * sigma
            rounded = [slow_value(v, mean, step, width) for v in part.tolist()]
            floor = 0.0 if above_zero else -math.inf
            of.copy_(torch.tensor([max(v, floor) for v in rounded]))
    return out


@pytest.mark.parametrize("above_zero", [False, True])
@pytest.mark.parametrize("bits", [1, 3])
@pytest.mark.parametrize(
    "chosen",
    [{}, {"by_channel": False}, {"as_released": True}, {"sigma_bits": 2}, {"mixed": True},
     {"mixed": True, "sigma_bits": 3, "as_released": True}],
    ids=str,
)  # fmt: skip
def test_values_are_those_of_a_slow_second_implementation(chosen, bits, above_zero):
    x = images().relu() if above_zero else images()
    found = GaussianInput(bits, **chosen)(x)
    assert torch.allclose(found, slow_forward(x, bits, above_zero=above_zero, **chosen), rtol=1e-5)


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_bits_of_channels_are_those_of_the_first_shift_within_the_budget(bits, scale):
    sigma = scale * images(40, 8).std((2, 3), keepdim=True, correction=0)
    found = channel_bits(sigma, bits)[..., 0, 0].tolist()
    assert found == [slow_bits(image.flatten().tolist(), bits) for image in sigma]


def test_bits_by_hand_and_no_more_than_there_are_where_one_of_many_channels_is_alone():
    sigma = torch.tensor([1.0, 1.0, 2.0**-9.3]).view(1, 3, 1, 1) * 3 / (2 + 2.0**-9.3)
    assert channel_bits(sigma, 8).flatten().tolist() == [
        8,
        8,
        7,
    ]  # all shifts fit: 16 - 9.3 + log2 1.5
    alone = torch.zeros(1, 4096, 1, 1)
    alone[0, 7] = 1.0
    assert (channel_bits(alone, 1) == 1).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_deviations_are_rounded_as_values_are_but_never_to_0(bits, scale):
    sigma = scale * images(3, 12).std((2, 3), keepdim=True, correction=0)
    sigma[:, 0] = 0  # stays
    sigma[2] = 0.7 * scale  # all alike: nothing to be rounded by
    wanted = [slow_coarse(image.flatten().tolist(), bits) for image in sigma]
    for image, right in zip(coarse(sigma, bits), wanted, strict=True):
        assert image.flatten().tolist() == pytest.approx(right, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("mixed", [False, True])
def test_what_is_compared_are_steps_from_the_middle_of_each_value_s_own_grid(mixed):
    x, quantizer = images(), GaussianInput(2, mixed=mixed)
    rounded = quantizer(x)
    values, on_grid, levels = quantizer.comparable(x)
    middle, step, _ = quantizer.grid(x)
    assert torch.allclose(middle + step * values, x)
    moving = (step > 0).expand_as(x)
    assert torch.allclose((middle + step * on_grid)[moving], rounded[moving])
    assert not values[~moving].any()
    half = 2 ** ((MOST_BITS if mixed else 2) - 1)
    assert levels.tolist() == [[k + 0.5 for k in range(-half, half)]]


@pytest.mark.parametrize("by_channel", [True, False])
@pytest.mark.parametrize("axis", [1, -1])
def test_tokens_have_a_grid_for_each_channel_wherever_its_axis_is(by_channel, axis):
    x = images(2, 4, 3).flatten(2)  # [images, channels, places]
    quantizer = GaussianInput(3, by_channel=by_channel)
    quantizer.channel_axis = axis
    y = x if axis == 1 else x.mT
    found = quantizer(y) if axis == 1 else quantizer(y).mT
    wanted = slow_forward(x[..., None], 3, above_zero=False, by_channel=by_channel)[..., 0]
    assert torch.allclose(found, wanted, rtol=1e-5)
    groups = x.flatten(0, 1) if by_channel else y.flatten(1)
    assert torch.equal(quantizer.in_groups(y), groups)


def test_features_of_an_image_share_one_grid():
    x = images(3, 6, 1)[..., 0, 0]
    found = GaussianInput(2)(x)
    wanted = slow_forward(x[:, None, None], 2, above_zero=False)[:, 0, 0]
    assert torch.allclose(found, wanted, rtol=1e-5)
    assert GaussianInput(2).in_groups(x).shape == x.shape


def test_fitted_to_several_inputs_the_ends_are_those_of_all_their_first_images():
    first, second = images(3, seed=1), 2 * images(FIT_IMAGES + 3, seed=2) + 1
    second[FIT_IMAGES:] *= 1000  # not looked at
    quantizer = GaussianInput(3)
    quantizer.fit_all([first, second])
    ends = []
    for x in (first, second[:FIT_IMAGES]):
        mean, sigma = x.mean((2, 3)), x.std((2, 3), correction=0)
        reach = STEPS[2] * sigma * 4
        ends.append((float((mean - reach).min()), float((mean + reach).max())))
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    wanted = torch.linspace(low, high, 8)
    assert torch.allclose(quantizer.levels(), wanted[None])
    assert torch.equal(quantizer.seen, first[:1])
    assert quantizer.side_bits() == 1
    assert not quantizer.above_zero
    quantizer.fit_all([first.relu(), second])
    assert not quantizer.above_zero, "one of the two has values below 0"
    quantizer.fit_all([first.relu(), second.relu()])
    assert quantizer.above_zero
    assert float(quantizer.levels()[0, 0]) == 0, "there is no level below 0"


@pytest.mark.parametrize("by_channel", [True, False])
@pytest.mark.parametrize("as_released", [True, False])
def test_weights_have_the_nearest_level_of_their_deviation(by_channel, as_released):
    weight = images(4)[..., 0].float()
    quantizer = GaussianWeightCodes(3, by_channel=by_channel, as_released=as_released)
    quantizer.fit(weight)
    for row, rounded in zip(weight.flatten(1), quantizer(weight).flatten(1), strict=True):
        of = row if by_channel else weight.flatten()
        step = STEPS[2 - as_released] * float(of.square().mean().sqrt())
        wanted = [slow_value(v, 0.0, step, 3) for v in row.tolist()]
        assert rounded.tolist() == pytest.approx(wanted, rel=1e-5)
    fresh = GaussianWeightCodes(3, by_channel=by_channel, as_released=as_released)
    fresh.restore(quantizer.stored())
    assert torch.equal(fresh(weight), quantizer(weight))


def test_what_was_seen_below_0_or_not_stays_until_it_is_fitted_again():
    x, quantizer = images(), GaussianInput(2)
    quantizer(x)
    wanted = slow_forward(x.relu(), 2, above_zero=False)
    assert torch.allclose(quantizer(x.relu()), wanted, rtol=1e-5)
    fresh = GaussianInput(2)
    fresh.restore(quantizer.stored())
    assert torch.allclose(fresh(x.relu()), wanted, rtol=1e-5)
    assert torch.equal(fresh.levels(), quantizer.levels())
