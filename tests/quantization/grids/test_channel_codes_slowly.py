"""Codes with levels for each channel, channel by channel in plain numbers: intervals, nested codes, signs."""

import math

import numpy as np
import pytest
import torch

from engine.quantization.grids.weights.binary import (
    BinaryWeightCodes,
    held_back,
    sharpness_at,
    slope,
)
from engine.quantization.grids.weights.mid_rise import MidRiseWeightCodes
from engine.quantization.grids.weights.nested import NestedWeightCodes, floor_codes, middles, prefix
from engine.quantization.grids.weights.std_interval import (
    Interval,
    LogWeightCodes,
    StdWeightQuantizer,
    log_levels,
    pruning_alpha,
    uniform_levels,
)


def weights(channels=3, count=60, seed=0):
    w = torch.randn(channels, count, generator=torch.Generator().manual_seed(seed))
    return w * torch.linspace(0.3, 3, channels)[:, None] + 0.05


def nearest(values, levels):
    return np.asarray(levels)[np.abs(np.subtract.outer(values, levels)).argmin(-1)]


# --- multiples of the standard deviation --------------------------------------------------------


def unit_levels(form, bits):
    half = 2 ** (bits - 1) - 1
    upper = (
        [k / half for k in range(1, half + 1)]
        if form == "uniform"
        else [2.0**-e for e in range(half)]
    )
    return sorted([*upper, 0.0, *(-one for one in upper)])


@pytest.mark.parametrize("form", ["uniform", "log2"])
@pytest.mark.parametrize("by_channel", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_multiple_of_least_error_is_that_of_a_slow_search(form, by_channel, bits):
    w = weights()
    made = StdWeightQuantizer if form == "uniform" else LogWeightCodes
    quantizer = made(bits, by_channel=by_channel)
    quantizer.fit(w.view(3, 6, 10))
    levels, rows = unit_levels(form, bits), w.double().numpy()
    told = uniform_levels(bits) if form == "uniform" else log_levels(bits)
    assert told.tolist() == pytest.approx(levels)
    sigmas = rows.std(1) if by_channel else [rows.std()] * 3
    errors = {}
    for tenths in range(3, 101):
        c = [0.1 * tenths * sigma for sigma in sigmas]
        off = [
            row - nearest(row, np.multiply(levels, reach))
            for row, reach in zip(rows, c, strict=True)
        ]
        errors[tenths] = sum((one**2).sum() for one in off)
    best = min(errors, key=errors.get)
    assert quantizer.interval_of.alpha == pytest.approx(0.1 * best)
    for row, sigma, found in zip(rows, sigmas, quantizer(w), strict=True):
        wanted = nearest(row, np.multiply(levels, 0.1 * best * sigma))
        assert found.flatten().tolist() == pytest.approx(wanted.tolist(), rel=1e-4, abs=1e-6)
    chosen = quantizer.interval_of.alpha
    quantizer.fit(5 * w)
    assert quantizer.interval_of.alpha == chosen, "it is chosen once"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.75, 0.99])
@pytest.mark.parametrize("bits", [2, 4])
def test_the_multiple_that_prunes_a_share_puts_the_border_of_0_at_the_weight_of_that_rank(
    share, bits
):
    w, levels = weights(), uniform_levels(bits)
    sigma = w.std(correction=0).expand(3, 1)
    alpha = pruning_alpha(w, sigma, levels, share)
    border = alpha * float(sigma[0]) / (2 ** (bits - 1) - 1) / 2
    ordered = [0.0, *sorted(w.abs().flatten().tolist())]
    assert border == pytest.approx(ordered[math.ceil(share * 180)], abs=1e-5)


@pytest.mark.parametrize(
    ("by_size", "pruned", "bits", "gone"),
    [(True, 0.3, 4, 6), (True, 0.3, 8, 0), (True, 0.0, 4, 0), (False, 0.3, 4, 0)],
)
def test_pruned_apart_the_smallest_are_put_to_0_but_at_8_bits(by_size, pruned, bits, gone):
    w = torch.tensor(
        [
            [5.0, -1.0, 3.0, -2.0, 4.0],
            [-0.5, 6.0, -7.0, 1.5, 8.0],
            [9, -0.1, 2.5, 10, -11],
            [0.3, 12, 13, 14, 15],
        ]
    )
    kept = Interval(by_size=by_size, pruned=pruned).kept(w.view(4, 5), bits)
    smallest = sorted(w.abs().flatten().tolist())[:gone]
    wanted = torch.where(torch.isin(w.abs(), torch.tensor(smallest)), 0.0, w)
    assert torch.equal(kept, wanted)


def test_intervals_are_stored_for_each_channel_that_has_its_own():
    w = weights()
    for by_channel, bits in ((True, 3 * 32), (False, 32)):
        quantizer = LogWeightCodes(3, by_channel=by_channel)
        quantizer.fit(w)
        assert quantizer.side_bits() == bits


# --- nested codes -------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_a_nested_code_is_its_cell_and_stands_for_its_middle_times_a_factor(bits):
    w = weights()
    quantizer = NestedWeightCodes(bits, precisions=[2, 4])
    quantizer.fit(w.view(3, 6, 10))
    assert quantizer.nested.dtype == torch.uint8
    assert quantizer.side_bits() == 3 * 64
    for k, row in enumerate(w.double().tolist()):
        clip, half = float(quantizer.clip[k]), 2 ** (bits - 1)
        step = clip / half
        codes = [min(max(math.floor(v / step) + half, 0), 2 * half - 1) for v in row]
        assert quantizer.codes[k].flatten().tolist() == codes
        assert prefix(quantizer.nested[k], bits).flatten().tolist() == codes
        values = [(code + 0.5 - half) * step for code in codes]
        factor = sum(a * b for a, b in zip(row, values, strict=True)) / sum(v * v for v in values)
        assert quantizer(w)[k].flatten().tolist() == pytest.approx(
            [factor * v for v in values], rel=1e-4
        )
        levels = [(code + 0.5 - half) * step * factor for code in range(2 * half)]
        assert quantizer.levels()[k].tolist() == pytest.approx(levels, rel=1e-4)
    assert torch.equal(quantizer.nearest(w.view(3, 6, 10)), quantizer.codes.float())
    assert quantizer.flipped(w.view(3, 6, 10)) == 0


@pytest.mark.parametrize("bits", [1, 3])
def test_while_it_learns_it_rounds_what_the_weight_is_now_within_the_clip_that_was_fitted(bits):
    w = weights()
    quantizer = NestedWeightCodes(bits, precisions=[2])
    quantizer.fit(w)
    clip = quantizer.clip.clone()
    quantizer.learning = True
    moved = (1.3 * w).requires_grad_()
    out = quantizer(moved)
    (out * w).sum().backward()
    fresh = NestedWeightCodes(bits, precisions=[2])
    fresh.encode(moved.detach(), clip)
    assert torch.allclose(out, fresh(moved), atol=1e-6)
    assert torch.equal(moved.grad, torch.where(moved.detach().abs() <= clip, w, 0.0))
    at_the_clip = (clip * torch.tensor([-1.0, 1.0])).requires_grad_()
    quantizer(at_the_clip).sum().backward()
    assert (at_the_clip.grad == 1).all()
    assert (
        floor_codes(clip * torch.tensor([-1.0, 1.0]), clip, bits).tolist() == [[0, 2**bits - 1]] * 3
    )
    assert len(middles(bits)) == 2**bits


# --- levels without a 0 -------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_the_scale_of_levels_without_a_0_is_that_of_a_slow_search(bits):
    """Of clips at 40/40 to 4/40 of the largest weight the one whose codes err least at their own scale."""
    w = weights()
    quantizer = MidRiseWeightCodes(bits)
    quantizer.fit(w)
    odd = np.arange(1 - 2**bits, 2**bits, 2)
    for row, scale in zip(w.double().numpy(), quantizer.scale, strict=True):
        found = []
        for fortieths in range(40, 3, -1):
            at = nearest(row, odd * (fortieths / 40 * np.abs(row).max() / odd[-1])) / (
                fortieths / 40 * np.abs(row).max() / odd[-1]
            )
            own = (row @ at) / (at @ at)
            found.append((((row - own * at) ** 2).sum(), own))
        assert float(scale) == pytest.approx(min(found)[1], rel=1e-4)


# --- signs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("balance", [True, False])
@pytest.mark.parametrize("offset", [True, False])
@pytest.mark.parametrize("learning", [True, False])
def test_two_values_of_a_channel_by_the_side_of_its_border(balance, offset, learning):
    w = weights()
    quantizer = BinaryWeightCodes(1, balance=balance, offset=offset)
    quantizer.fit(w.view(3, 6, 10))
    quantizer.learning = learning
    for row, found, levels in zip(
        w.double().tolist(), quantizer(w), quantizer.levels(), strict=True
    ):
        border = sum(row) / 60 if balance else 0.0
        reach = sum(abs(v - border) for v in row) / 60
        centre = border if offset else 0.0  # without balance the border is 0 anyway
        wanted = [centre + (reach if v >= border else -reach) for v in row]
        assert found.flatten().tolist() == pytest.approx(wanted, rel=1e-4)
        assert levels.tolist() == pytest.approx([centre - reach, centre + reach], rel=1e-4)
    assert quantizer.side_bits() == 3 * (64 if balance and offset else 32)
    assert quantizer.flipped(w.view(3, 6, 10)) == 0


def test_how_far_a_weight_is_from_the_border_is_told_in_deviations_of_its_channel():
    w = weights()
    found = BinaryWeightCodes(1).spread(w)
    wanted = (w - w.mean(1, keepdim=True)) / w.std(1, keepdim=True, correction=0)
    assert torch.allclose(found, wanted, rtol=1e-4)
    plain = BinaryWeightCodes(1, balance=False).spread(w)
    assert torch.allclose(plain, w / w.square().mean(1, keepdim=True).sqrt(), rtol=1e-4)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 1.0])
def test_the_sharpness_is_the_highest_at_which_the_share_still_has_a_slope_that_is_felt(share):
    x = torch.randn(500, generator=torch.Generator().manual_seed(0)) + 3.0
    kept = held_back(20.0, x, share)

    def felt(at):
        return int((slope(x, at) >= 0.1).sum())

    assert felt(kept * 0.999) >= math.ceil(share * 500)
    if kept < 20:
        assert felt(kept * 1.01) < math.ceil(share * 500)
    assert held_back(1e-3, x, share) == 1e-3, "where it is felt anyway"
    assert [sharpness_at(p, 0.5, 32.0) for p in (0, 0.5, 1)] == pytest.approx([0.5, 4.0, 32.0])
