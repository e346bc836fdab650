"""Nested codes: a prefix is the direct quantization, whatever the clip; factors and clip err least."""

import pytest
import torch

from engine.core.errors import UserError
from engine.core.sampling.randomness import stream
from engine.quantization.grids.level_sets import nearest_codes
from engine.quantization.grids.weights.nested import (
    CLIP_RATIOS,
    STORED_BITS,
    NestedWeightCodes,
    floor_codes,
    middles,
    nested_error,
    prefix,
    shared_clip,
)
from engine.quantization.methods.vertical import Vertical, VerticalSettings

PRECISIONS = range(1, STORED_BITS + 1)


def weights(channels: int = 6, n: int = 400) -> torch.Tensor:
    w = torch.randn(channels, n, generator=stream(0, "nested"))
    return w * torch.linspace(0.1, 3, channels)[:, None]


def fitted(w: torch.Tensor, bits: int = 8, precisions=range(2, 9)) -> NestedWeightCodes:
    codes = NestedWeightCodes(bits, precisions=precisions)
    codes.fit(w)
    return codes


@pytest.mark.parametrize("bits", PRECISIONS)
@pytest.mark.parametrize("ratio", [0.05, 0.37, 1.0, 1.7])
def test_a_prefix_is_the_direct_quantization_with_the_same_clip(bits, ratio):
    w = weights()
    clip = ratio * w.abs().amax(1, keepdim=True)
    whole = floor_codes(w, clip, STORED_BITS)
    assert torch.equal(prefix(whole, bits).float(), floor_codes(w, clip, bits))


def test_rounded_codes_are_not_nested_which_is_why_these_are_floors():
    w, clip = weights(), 3.0

    def rounded(bits: int) -> torch.Tensor:
        top = 2 ** (bits - 1) - 1
        return (w / clip * top).round().clamp(-top, top)

    assert not torch.equal(torch.floor(rounded(8) / 2**4), rounded(4))


@pytest.mark.parametrize("bits", PRECISIONS)
def test_a_middle_is_the_nearest_of_its_precision(bits):
    w = weights()
    clip = 0.8 * w.abs().amax(1, keepdim=True)
    assert torch.equal(floor_codes(w, clip, bits).long(), nearest_codes(w, middles(bits) * clip))


def test_middles_by_hand():
    assert middles(1).tolist() == [-0.5, 0.5]
    assert middles(2).tolist() == [-0.75, -0.25, 0.25, 0.75]


@pytest.mark.parametrize("bits", PRECISIONS)
def test_no_other_factor_errs_less(bits):
    w = weights()
    clip = w.abs().amax(1, keepdim=True)
    error, factor = nested_error(w, clip, bits)
    values = middles(bits)[floor_codes(w, clip, bits).long()] * clip
    for other in (0.97, 1.03):
        assert ((w - other * factor * values).square().sum(1, keepdim=True) >= error).all()


def test_the_clip_is_the_best_of_all_that_are_tried_for_the_precisions_together():
    w, precisions = weights(3, 100), (2, 5)
    largest = w.abs().amax(1, keepdim=True)
    errors = torch.stack(
        [torch.stack([nested_error(w, r * largest, b)[0] for r in CLIP_RATIOS]) for b in precisions]
    )
    total = (errors / errors.amin(1, keepdim=True)).sum(0)  # [ratios, channels, 1]
    found = shared_clip(w, precisions) / largest
    for channel in range(3):
        wanted = CLIP_RATIOS[int(total[:, channel, 0].argmin())]
        assert float(found[channel]) == pytest.approx(wanted)


def test_fewer_bits_to_serve_want_a_smaller_clip():
    w = weights()
    assert (shared_clip(w, [2]) < shared_clip(w, [8])).all()


@pytest.mark.parametrize("bits", PRECISIONS)
def test_what_is_read_at_b_bits_is_what_a_quantizer_of_b_bits_would_hold(bits):
    w = weights().view(6, 16, 5, 5)
    whole, direct = fitted(w), fitted(w, bits)
    whole.read(bits)
    assert torch.equal(whole.codes, direct.codes)
    assert torch.equal(whole(w), direct(w))
    assert len(whole(w)[0].unique()) <= 2**bits


def test_stored_and_restored_every_precision_is_there():
    w = weights()
    quantizer, fresh = fitted(w, 4), NestedWeightCodes(4, precisions=[4])
    fresh.restore(quantizer.stored())
    for bits in PRECISIONS:
        quantizer.read(bits)
        fresh.read(bits)
        assert torch.equal(fresh(w), quantizer(w))


def test_a_layer_of_zeros_stays_finite():
    w = torch.zeros(2, 7)
    assert fitted(w, 3)(w).isfinite().all()


def test_precisions_the_wrong_way_round_are_refused():
    with pytest.raises(UserError, match=r"quantization\.lowest is 6"):
        Vertical(VerticalSettings(lowest=6, highest=4))


def test_clips_are_tried_from_the_largest_weight_to_a_tenth_of_it():
    even = torch.linspace(-1, 1, 4001)[None]
    assert float(shared_clip(even, [8])) == 1.0, "what fills all cells is not clipped"
    alike = torch.tensor([[1.0, -1.0]])
    assert float(shared_clip(alike, [1])) == 1.0, "of equals the whole is the first"
    far = torch.cat([0.1 * even.repeat(1, 10), torch.ones(1, 1)], 1)
    assert float(shared_clip(far, [2])) == pytest.approx(0.1)


def test_codes_do_not_follow_the_weight_unless_they_learn():
    w = weights()
    quantizer = fitted(w, 3)
    assert torch.equal(quantizer(-w), quantizer(w))
    quantizer.learning = True
    assert not torch.equal(quantizer(-w), quantizer(w))
