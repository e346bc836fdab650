"""Weights as a coarse and a fine part: what each holds, what the sum is, and what it costs."""

import pytest
import torch

from engine.analysis.costs.size import LayerBits, stored_bits
from engine.analysis.layers.errors import sqnr_db
from engine.core.sampling.randomness import stream
from engine.models.zoo import find_card
from engine.quantization.grids.weights.split import SplitWeightCodes


def fused_like(out: int = 12, inner: int = 10) -> torch.Tensor:
    """Kernels whose centre spreads six times as wide as the taps around it."""
    w = torch.randn(out, inner, 3, 3, generator=stream(0, "split"))
    w[:, :, 1, 1] *= 6
    return w


def fitted(w: torch.Tensor, bits: int = 4, **chosen: object) -> SplitWeightCodes:
    quantizer = SplitWeightCodes(bits, **chosen)
    quantizer.fit(w)
    return quantizer


def by_hand(w: torch.Tensor, bits: int) -> torch.Tensor:
    """The paper's rule, channel by channel and tap by tap."""
    q = 2 ** (bits - 1) - 1
    out = torch.zeros_like(w)
    for o, kernels in enumerate(w):
        g = max(abs(float(k[1, 1])) for k in kernels) / q
        rest, coarse = kernels.clone(), torch.zeros_like(kernels)
        for i, kernel in enumerate(kernels):
            coarse[i, 1, 1] = float(torch.floor(kernel[1, 1] / g + 0.5)) * g
            rest[i, 1, 1] -= coarse[i, 1, 1]
        s = float(rest.abs().max()) / q
        out[o] = coarse + torch.floor(rest / s + 0.5) * s
    return out


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_sum_is_the_paper_s_by_a_second_way_of_computing_it(bits):
    w = fused_like(3, 4)
    assert torch.allclose(fitted(w, bits)(w), by_hand(w, bits), atol=1e-5)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_coarse_part_is_exactly_representable_and_lies_in_the_centre_alone(bits):
    w = fused_like()
    quantizer = fitted(w, bits)
    fine, coarse = quantizer.parts(w)
    whole = quantizer(w) - fine.quantized().view(w.shape)
    outer = whole.flatten(2)[:, :, [0, 1, 2, 3, 5, 6, 7, 8]]
    assert torch.count_nonzero(outer) == 0
    again = SplitWeightCodes(bits, split="none")
    again.fit(coarse.quantized())
    assert torch.allclose(again(coarse.quantized()), coarse.quantized(), atol=1e-6)
    assert (coarse.values - coarse.quantized()).abs().max() <= coarse.levels.diff().max() / 2 + 1e-6


def test_the_outer_taps_gain_more_than_20_db_at_8_bits_over_a_layer_wide_step():
    w = fused_like()
    w[0, 0, 1, 1] = 200.0  # as wide as fused centres are against the widest channel of a layer

    def outer(split: str, *, by_channel: bool) -> float:
        rounded = fitted(w, 8, split=split, by_channel=by_channel)(w)
        taps = [0, 1, 2, 3, 5, 6, 7, 8]
        return sqnr_db(w.flatten(2)[:, :, taps], rounded.flatten(2)[:, :, taps])

    assert outer("centre", by_channel=True) > outer("none", by_channel=False) + 20


def test_a_3x3_kernel_costs_8_9_bits_a_weight_and_its_steps_beside_them():
    w = fused_like()
    quantizer = fitted(w, 8)
    assert quantizer.count() == w.numel() * 10 // 9
    assert quantizer.side_bits() == 2 * 32 * len(w)
    layer = LayerBits(
        weights=w.numel(), channels=len(w), weight_bits=quantizer.code_bits,
        side_bits=quantizer.side_bits(), codes=quantizer.count(),
    )  # fmt: skip
    stored = stored_bits([layer])
    assert stored.codes / w.numel() == pytest.approx(8.889, abs=1e-3)
    assert stored.grids == 64 * len(w)
    assert fitted(w, 8, by_channel=False).side_bits() == 2 * 32
    assert fitted(w, 8, split="all").count() == 2 * w.numel()
    assert fitted(w, 8, split="none").count() == w.numel()


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1, 1), (4, 6, 2, 2)])
def test_what_has_no_centre_is_one_part(shape):
    w = torch.randn(shape, generator=stream(0, "split"))
    quantizer = fitted(w)
    assert quantizer.count() == w.numel()
    assert quantizer.side_bits() == 32 * len(w)
    assert torch.equal(quantizer(w), fitted(w, split="none")(w))


def test_a_residual_of_all_weights_is_finer_than_one_code_by_the_levels_of_the_second():
    w = fused_like()
    worst = [float((w - fitted(w, 4, split=split)(w)).abs().max()) for split in ("all", "none")]
    assert worst[0] <= worst[1] / 6.9  # half a step of 7 levels on each side


def test_a_centre_of_zeros_is_no_trouble():
    w = fused_like()
    w[:, :, 1, 1] = 0
    assert torch.equal(fitted(w)(w), fitted(w, split="none")(w))
    zeros = torch.zeros(2, 3, 3, 3)
    assert torch.equal(fitted(zeros)(zeros), zeros)


def test_codes_that_were_moved_are_counted():
    w = fused_like()
    quantizer = fitted(w)
    assert quantizer.flipped(w) == 0
    quantizer.fine[0, 0, 0, 0] ^= 1
    assert quantizer.flipped(w) == pytest.approx(1 / quantizer.count())


def test_the_bundled_network_fused_has_wide_centres_and_the_split_helps_each_kernel_of_many():
    fused = find_card("repvgg-fashion", {"form": "fused"}).load()
    for k in range(1, 7):
        w = fused.get_submodule(f"blocks.{k}.conv").weight
        outer = w.flatten(2)[:, :, [0, 1, 2, 3, 5, 6, 7, 8]]
        assert w[:, :, 1, 1].std() > 1.5 * outer.std()
        split, plain = (fitted(w, 4, split=split)(w) for split in ("centre", "none"))
        assert sqnr_db(w, split) > sqnr_db(w, plain)
