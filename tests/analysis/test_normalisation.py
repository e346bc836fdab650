"""How images meet the first BatchNorm's statistics, against sums over channels and images by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from engine.analysis.inputs.normalisation import (
    COMMON,
    Implied,
    Match,
    best_common,
    implied,
    match,
    renormalised,
    stem_of,
)
from engine.models.cards.proposals import NORMALISATIONS

SHAPE = (3, 8, 8)


class Stem(nn.Module):
    """A convolution and its BatchNorm, which remembers `pixels` normalised with these mean and std."""

    def __init__(self, pixels=None, mean=(0.0,) * 3, std=(1.0,) * 3, out=6, kernel=3, bias=False):
        super().__init__()
        self.conv = nn.Conv2d(3, out, kernel, padding=kernel // 2, bias=bias)
        self.bn = nn.BatchNorm2d(out)
        rng = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in self.conv.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=rng))
            if pixels is not None:
                seen = self.conv(renormalised(pixels, ((0,) * 3, (1,) * 3), (mean, std)))
                self.bn.running_mean.copy_(seen.mean((0, 2, 3)))
                self.bn.running_var.copy_(seen.var((0, 2, 3)))
        self.eval().requires_grad_(False)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x))).mean((2, 3))


def photographs(count=24, side=8):
    """Pixels in [0, 1], each image with a brightness of its own."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 3, 3, generator=rng) * 0.6
    light = 0.4 * torch.rand(count, 1, 1, 1, generator=rng)
    return nn.functional.interpolate(coarse + light, size=side, mode="bilinear")


@pytest.mark.parametrize("name", COMMON)
@pytest.mark.parametrize("declared", [((0.3,) * 3, (0.9,) * 3), COMMON["ImageNet's"]])
def test_of_the_usual_normalisations_the_one_of_the_training_is_found(name, declared):
    pixels = photographs()
    net = Stem(pixels, *COMMON[name])
    images = renormalised(pixels, ((0,) * 3, (1,) * 3), declared)
    found, usual, again = best_common(net, "bn", images, declared)
    assert (found, usual) == (name, COMMON[name])
    assert again.distance == pytest.approx(0, abs=1e-3)
    assert again.std_ratio == pytest.approx(1, rel=1e-3)


def test_the_usual_normalisations_are_what_they_are_called():
    for name, low, high in (("0 to 1", 0, 1), ("-1 to 1", -1, 1), ("0 to 255", 0, 255)):
        mean, std = COMMON[name]
        for m, s in zip(mean, std, strict=True):
            assert ((0 - m) / s, (1 - m) / s) == pytest.approx((low, high))


def test_imagenet_s_is_the_one_that_is_proposed_for_a_network_of_it():
    assert COMMON["ImageNet's"] == NORMALISATIONS["ImageNet"]


def test_a_match_is_that_of_sums_by_hand():
    net, x = Stem(photographs(), (0.5,) * 3, (0.5,) * 3), torch.randn(5, *SHAPE) * 0.4 + 0.3
    net.bn.running_var[2] = 1e-12  # dead: it agrees with nothing
    found = match(net, "bn", x)
    seen = net.conv(x).double().numpy()
    ratios, shifts, spreads = [], [], []
    for c in range(6):
        if c == 2:
            continue
        values = seen[:, c].reshape(5, -1)
        mean, std = float(net.bn.running_mean[c]), math.sqrt(float(net.bn.running_var[c]))
        ratios.append(values.std(ddof=1) / std)
        own = values.mean(1)
        shifts.append(((own.mean() - mean) ** 2 - own.var(ddof=1) / 5) / std**2)
        energy = ((values - values.mean()) ** 2).mean(1)
        spreads.append(energy.std(ddof=1) / energy.mean())
    middle = sorted(ratios)[2]
    assert found.std_ratio == pytest.approx(middle, rel=1e-4)
    assert found.mean_shift == pytest.approx(math.sqrt(max(np.mean(shifts), 0)), rel=1e-3)
    assert found.std_chance == pytest.approx(sorted(spreads)[2] / math.sqrt(5), rel=1e-3)
    assert found.images == 5


def test_of_one_image_all_may_be_chance():
    net = Stem(photographs())
    found = match(net, "bn", photographs(1))
    assert found.std_chance == 1
    assert found.images == 1


@pytest.mark.parametrize(
    ("ratio", "chance", "shift", "distance", "near"),
    [(1.0, 0.0, 0.0, 0.0, True), (1.3, 0.0, 0.0, 1.0, False), (1 / 1.3, 0.0, 0.0, 1.0, False),
     (1.69, 0.0, 0.1, 2.0, False), (1.0, 0.0, 0.5, 1.0, False), (1.0, 0.0, 0.25, 0.5, True),
     (1.0, 0.0, 0.26, 0.52, False), (1.15, 0.0, 0.0, math.log(1.15) / math.log(1.3), True),
     (1.16, 0.0, 0.0, math.log(1.16) / math.log(1.3), False), (1.3, math.log(1.3), 0.0, 0.0, True),
     (1.3, 9.0, 0.2, 0.4, True)],
)  # fmt: skip
def test_a_ratio_beyond_chance_and_a_shift_are_off_from_the_larger_of_both(
    ratio, chance, shift, distance, near
):
    one = Match(std_ratio=ratio, std_chance=chance, mean_shift=shift, images=9)
    assert one.distance == pytest.approx(distance, abs=1e-9)
    assert one.is_near is near


@pytest.mark.parametrize("bias", [False, True])
def test_the_training_s_mean_and_std_are_told_by_the_stored_statistics_alone(bias):
    """Stored of an input that is what the rule takes images for: of its mean, variance and correlations."""
    net, mean, std = Stem(bias=bias), torch.tensor([0.5, -1.0, 2.0]), 0.6
    weight = net.conv.weight.double()
    places = [(r, c) for r in range(3) for c in range(3)]
    for out in range(6):
        variance = 0.0
        for a in range(3):
            for b in range(3):
                for i, (r, c) in enumerate(places):
                    for j, (s, d) in enumerate(places):
                        near = 0.95 ** math.hypot(r - s, c - d) * (1.0 if a == b else 0.9)
                        left, right = weight[out, a].flatten()[i], weight[out, b].flatten()[j]
                        variance += float(left * right) * near
        net.bn.running_var[out] = std**2 * variance
        kernel = weight[out].sum((1, 2)).float()
        net.bn.running_mean[out] = (kernel * mean).sum() + (net.conv.bias[out] if bias else 0)
    declared = ((0.4, 0.5, 0.6), (0.1, 0.2, 0.6))
    found = implied(net, "conv", "bn", declared)
    wanted = [m + s * float(x) for m, s, x in zip(*declared, mean, strict=True)]
    assert found.mean == pytest.approx(wanted, rel=1e-3)
    assert found.std == pytest.approx(0.6 * (0.1 + 0.2 + 0.6) / 3, rel=1e-3)


def test_kernels_that_cannot_tell_say_nothing():
    declared = ((0.5,) * 3, (0.5,) * 3)
    assert implied(Stem(photographs(), kernel=1), "conv", "bn", declared) is None
    assert implied(Stem(photographs(), out=2), "conv", "bn", declared) is None
    assert implied(Stem(photographs(), out=3), "conv", "bn", declared) is not None
    grouped = Stem(photographs())
    grouped.conv = nn.Conv2d(3, 6, 3, groups=3, bias=False)
    assert implied(grouped, "conv", "bn", declared) is None
    tall = Stem(photographs())
    tall.conv = nn.Conv2d(3, 6, (3, 1), bias=False)
    assert implied(tall, "conv", "bn", declared) is not None


@pytest.mark.parametrize(
    ("mean", "std", "plausible"),
    [((0.5, 0.4), 0.15, True), ((0.5, 0.4), 0.42, True), ((0.5, 0.4), 0.14, False),
     ((0.5, 0.4), 0.43, False), ((-0.05, 1.05), 0.2, True), ((-0.06, 0.5), 0.2, False),
     ((0.5, 1.06), 0.2, False)],
)  # fmt: skip
def test_what_is_implied_is_plausible_where_photographs_and_drawings_are(mean, std, plausible):
    assert Implied(mean=mean, std=std).is_plausible is plausible


def test_the_stem_is_the_first_batchnorm_behind_a_convolution_of_the_image():
    assert stem_of(Stem(), SHAPE) == "bn"
    without = Stem()
    without.bn = nn.BatchNorm2d(6, track_running_stats=False)
    assert stem_of(without, SHAPE) == ""
    assert stem_of(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)).eval(), SHAPE) == ""
    assert stem_of(nn.Sequential(nn.Conv2d(3, 4, 3)).eval(), SHAPE) == ""
    two = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)).eval()
    assert stem_of(two, SHAPE) == ""


def test_pixels_normalised_otherwise_are_the_same_pixels():
    pixels = photographs(2)
    old, new = ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)), ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    first = renormalised(pixels, ((0,) * 3, (1,) * 3), old)
    again = renormalised(first, old, new)
    for c in range(3):
        assert torch.allclose(again[:, c], (pixels[:, c] - new[0][c]) / new[1][c], atol=1e-5)
