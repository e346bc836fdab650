"""Codes of a layer in plain numbers: shared values, split and soft codes, learned roundings."""

import math

import numpy as np
import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.quantization.grids.learned_step import drop_mask
from engine.quantization.grids.quantizers import ActivationQuantizer, WeightQuantizer
from engine.quantization.grids.weights.codebook.shared import (
    SharedWeightCodes,
    by_chance,
    k_means,
    quantiles,
)
from engine.quantization.grids.weights.soft_codes import SearchedWeightQuantizer
from engine.quantization.grids.weights.split import SplitWeightCodes, has_centre


def weights(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- shared values ------------------------------------------------------------------------------


def slow_k_means(values, count, turns):
    centroids = np.linspace(values.min(), values.max(), count)
    for _ in range(turns):
        code = np.abs(values[:, None] - centroids).argmin(1)
        moved = [
            values[code == k].mean() if (code == k).any() else centroids[k] for k in range(count)
        ]
        centroids = np.array(moved)
    return np.sort(centroids)


@pytest.mark.parametrize("count", [2, 5, 16])
@pytest.mark.parametrize("turns", [1, 3, 100])
def test_centroids_are_those_of_a_slow_second_implementation(count, turns):
    values = weights(120) ** 3  # in the tails there are centroids that nothing is nearest to
    found = k_means(values, count, turns)
    assert found.tolist() == pytest.approx(
        slow_k_means(values.double().numpy(), count, turns), rel=1e-4, abs=1e-5
    )


@pytest.mark.parametrize("count", [2, 7])
def test_quantiles_by_hand_and_neighbours_by_the_draw(count):
    values = weights(50)
    table = quantiles(values, count)
    ordered = sorted(values.tolist())
    assert table.tolist() == [ordered[round(k * 49 / (count - 1))] for k in range(count)]
    found = by_chance(values, table, stream(1, "draw"))
    drawn = torch.rand(50, generator=stream(1, "draw")).tolist()
    for value, code, draw in zip(values.tolist(), found.tolist(), drawn, strict=True):
        low = max([k for k in range(count - 1) if table[k] < value], default=0)
        share = (value - float(table[low])) / float(table[low + 1] - table[low])
        assert code == low + (draw < share)


@pytest.mark.parametrize(
    ("sharing", "prune"),
    [("k-means", 0.0), ("k-means", 0.4), ("quantiles", 0.4), ("probabilistic", 0.0)],
)
def test_a_layer_s_table_is_that_of_the_weights_that_are_kept(sharing, prune):
    w = weights(6, 20)
    codes = SharedWeightCodes(3, sharing=sharing, prune=prune)
    codes.fit(w)
    gone = (
        w.abs() <= w.abs().flatten().sort().values[round(prune * 120) - 1]
        if prune
        else torch.zeros_like(w) > 0
    )
    kept, count = w[~gone], 7 if prune else 8
    table = k_means(kept, count) if sharing == "k-means" else quantiles(kept, count)
    wanted = sorted([*table.tolist(), *([0.0] if prune else [])])
    assert codes.table.tolist() == pytest.approx(wanted)
    assert int(codes.pruned.sum()) == bool(prune)
    assert not codes(w)[gone].any()
    if sharing == "probabilistic":
        code = by_chance(w.flatten(), table, stream(0, "sharing", 120))
        assert torch.equal(codes.codes.flatten().long(), code)
    else:
        off = (kept[:, None] - table).abs().amin(1)
        assert torch.allclose((codes(w)[~gone] - kept).abs(), off)
    assert codes.levels().tolist() == [codes.table.tolist()] * 6
    assert codes.side_bits() == 32 * len(wanted)
    fresh = SharedWeightCodes(3)
    fresh.restore(codes.stored())
    assert torch.equal(fresh(w), codes(w))


# --- split codes --------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["centre", "all", "none"])
@pytest.mark.parametrize("by_channel", [True, False])
@pytest.mark.parametrize("shape", [(3, 2, 3, 3), (3, 2, 5, 1), (3, 2, 1, 5), (2, 4)])
def test_a_split_weight_is_the_sum_of_its_rounded_parts(split, by_channel, shape):
    w, bits = weights(*shape), 3
    quantizer = SplitWeightCodes(bits, split=split, by_channel=by_channel)
    quantizer.fit(w)

    def rounded(part):
        largest = (
            part.flatten(1).abs().amax(1) if by_channel else part.abs().amax().expand(len(part))
        )
        step = (largest / 3).view(-1, *[1] * (part.dim() - 1))
        return (part / step + 0.5).floor().clamp(-3, 3) * step

    coarse = torch.zeros_like(w)
    if split == "all":
        coarse = rounded(w)
    elif split == "centre" and len(shape) == 4:
        middle = shape[2] // 2, shape[3] // 2
        coarse[:, :, middle[0], middle[1]] = rounded(w[:, :, middle[0], middle[1]])
    assert torch.allclose(quantizer(w), coarse + rounded(w - coarse), atol=1e-6)
    has_two = bool(coarse.any())
    parts = quantizer.parts(w)
    assert [part.name for part in parts] == ["fine", "coarse"][: 1 + has_two]
    assert sum(part.codes.numel() for part in parts) == quantizer.count()
    assert torch.allclose(parts[0].values.view(shape), w - coarse, atol=1e-6)
    assert quantizer.side_bits() == 32 * (shape[0] if by_channel else 1) * (1 + has_two)
    assert quantizer.flipped(w) == 0
    parts[-1].codes.view(-1)[0] ^= 1
    assert quantizer.flipped(w) * quantizer.count() >= 1


def test_a_kernel_has_a_centre_if_its_sides_are_odd_and_something_is_around_it():
    shapes = {(3, 3): True, (1, 3): True, (1, 1): False, (2, 3): False, (3, 2): False, (5, 5): True}
    for sides, wanted in shapes.items():
        assert has_centre(torch.zeros(2, 2, *sides)) is wanted
    assert not has_centre(torch.zeros(2, 2, 3))


# --- soft codes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 3])
@pytest.mark.parametrize("candidates", [2, 3, 4])
def test_a_soft_code_is_the_mixture_of_the_nearest_by_their_squared_distance(bits, candidates):
    w = weights(2, 12)
    quantizer = SearchedWeightQuantizer(bits, candidates=candidates)
    quantizer.fit(w)
    quantizer.soften(w)
    quantizer.temperature = 1.5
    soft, p = quantizer(w).detach(), quantizer.soft_rounding().detach()
    highest, count = 2**bits - 1, min(candidates, 2**bits)
    for o in range(2):
        scale, zero = float(quantizer.fitted_scale[o]), float(quantizer.zero_point[o])
        for i in range(12):
            place = float(w[o, i]) / scale + zero
            within = min(max(place, 0), highest)
            near = sorted(range(highest + 1), key=lambda k: abs(k - within))[:count]
            parts = [math.exp(-1.5 * 4 * (k - within) ** 2) for k in near]  # 4: of SOFTNESS 1/4
            wanted = sum(k * part for k, part in zip(near, parts, strict=True)) / sum(parts)
            assert float(soft[o, i]) == pytest.approx(scale * (wanted - zero), abs=2e-3)
            assert float(p[o, i]) == pytest.approx(max(parts) / sum(parts), abs=2e-3)
            assert int(quantizer.decided()[o, i]) == near[0]
    assert quantizer.flipped(w) == 0
    with torch.no_grad():
        quantizer.rounding[0, 0, quantizer.rounding[0, 0].argmax()] = -1e3
    moved = quantizer.flipped(w)
    assert moved == pytest.approx(1 / 24)
    quantizer.harden()
    assert quantizer.flipped(w) == moved
    assert not quantizer.scale.requires_grad


# --- learned roundings --------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_soft_rounding_is_the_stretched_sigmoid_and_what_leans_up_goes_up(bits):
    w = weights(3, 2, 5)
    quantizer = WeightQuantizer(bits)
    quantizer.fit(w)
    assert quantizer.levels().shape == (3, 2**bits)
    assert quantizer.side_bits() == 3 * 40
    quantizer.soften(w)
    v = weights(3, 2, 5, seed=1) * 3
    with torch.no_grad():
        quantizer.rounding.copy_(v)
    h = (1.2 / (1 + (-v).exp()) - 0.1).clamp(0, 1)
    assert torch.allclose(quantizer.soft_rounding(), h, atol=1e-6)
    scale, zero = quantizer.fitted_scale, quantizer.zero_point
    code = ((w / scale).floor() + h + zero).clamp(0, 2**bits - 1)
    assert torch.allclose(quantizer(w), scale * (code - zero), atol=1e-5)
    up = ((w / scale).floor() + (v >= 0) + zero).clamp(0, 2**bits - 1)
    away = float((up != quantizer.nearest(w)).float().mean())
    assert quantizer.flipped(w) == pytest.approx(away)
    quantizer.harden()
    assert torch.equal(quantizer.codes.float(), up)
    for k in range(3):
        levels = [float(scale[k]) * (code - float(zero[k])) for code in range(2**bits)]
        assert quantizer.levels()[k].tolist() == pytest.approx(levels, abs=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (7, 5), (3, 1, 1, 1), (13,)])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 1.0])
def test_one_draw_of_64_bits_serves_eight_elements(shape, keep):
    x = torch.zeros(shape, dtype=torch.double)
    mask = drop_mask(x, keep, stream(2, "mask"))
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64)
    words.random_(-(2**63), 2**63 - 1, generator=stream(2, "mask"))
    draws = [byte for word in words.tolist() for byte in (word % 2**64).to_bytes(8, "little")][
        : x.numel()
    ]
    wanted = [float(draw >= round(256 * keep)) for draw in draws]
    flat = mask.permute(0, 2, 3, 1) if len(shape) == 4 else mask  # side by side with x in memory
    assert flat.flatten().tolist() == wanted
    assert mask.shape == x.shape
    assert mask.dtype == x.dtype


def test_several_inputs_of_a_layer_are_fitted_to_as_one():
    x, y = weights(40, 3, 2, 2), weights(40, 3, 1, 1, seed=1) * 4
    quantizer, beside = ActivationQuantizer(4), ActivationQuantizer(4)
    quantizer.fit_all([x, y])
    beside.fit(torch.cat([x.flatten(1), y.flatten(1)], 1)[:32])
    assert torch.equal(quantizer.scale, beside.scale)
    assert quantizer.levels().tolist() == [[float(beside.scale) * k for k in range(-8, 8)]]
    assert quantizer.in_groups(x).shape == (1, x.numel())
    values, on_grid, levels = quantizer.comparable(x)
    assert torch.equal(values, x)
    assert torch.equal(on_grid, quantizer(x))
    assert torch.equal(levels, quantizer.levels())


def test_a_percentile_leaves_a_thousandth_out_where_it_is_not_told():
    w = weights(2, 5000)
    for made in (
        WeightQuantizer,
        lambda bits, rule: SearchedWeightQuantizer(bits, candidates=2, rule=rule),
    ):
        quantizer = made(4, rule="percentile")
        quantizer.fit(w)
        ends = np.quantile(w.double().numpy(), [0.0005, 0.9995], axis=1)
        assert quantizer.scale.flatten().tolist() == pytest.approx(
            ((ends[1] - ends[0]) / 15).tolist()
        )
    inputs = ActivationQuantizer(4, rule="percentile")
    inputs.fit(w.abs().view(1, -1))
    assert float(inputs.scale) * 15 == pytest.approx(w.abs().flatten().sort().values[9989].item())
