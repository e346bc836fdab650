"""Even levels without a 0: signs at 1 bit, and a scale of least squares."""

import pytest
import torch

from engine.quantization.grids.weights.mid_rise import MidRiseWeightCodes, best_scale, unit_levels


def fitted(weight, bits):
    quantizer = MidRiseWeightCodes(bits)
    quantizer.fit(weight)
    return quantizer


def test_at_1_bit_a_weight_is_its_sign_times_the_mean_of_its_channel():
    weight = torch.tensor([[0.5, -0.25, 1.0, -0.25], [2.0, 0.0, -4.0, 2.0]])
    quantizer = fitted(weight, 1)
    assert torch.allclose(quantizer.scale, torch.tensor([[0.5], [2.0]]))
    assert quantizer.codes.tolist() == [[1, 0, 1, 0], [1, 1, 0, 1]]  # 0 has a sign too
    assert torch.allclose(
        quantizer(weight), torch.tensor([[0.5, -0.5, 0.5, -0.5], [2, 2, -2, 2.0]])
    )


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_levels_are_odd_multiples_of_the_scale(bits):
    units = unit_levels(bits)
    assert units.tolist() == list(range(1 - 2**bits, 2**bits, 2))
    quantizer = fitted(torch.randn(3, 50, generator=torch.Generator().manual_seed(0)), bits)
    assert torch.allclose(quantizer.levels(), units * quantizer.scale)
    assert quantizer.side_bits() == 3 * 32
    assert quantizer.code_bits == bits


@pytest.mark.parametrize("bits", [2, 3])
def test_no_scale_of_a_fine_search_is_much_better(bits):
    flat = torch.randn(4, 400, generator=torch.Generator().manual_seed(1))
    units = unit_levels(bits)

    def error(scale):
        near = (flat[..., None] - scale[..., None] * units).abs().amin(-1)
        return near.square().sum(1)

    found = error(best_scale(flat, bits))
    finest = torch.stack([error(torch.full((4, 1), 0.005 * k)) for k in range(1, 600)]).amin(0)
    assert (found <= 1.02 * finest).all()


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_the_scale_is_that_of_least_squares_for_its_codes(bits):
    flat = torch.randn(3, 60, generator=torch.Generator().manual_seed(2))
    quantizer = fitted(flat, bits)
    for values, codes, scale in zip(flat, quantizer.codes, quantizer.scale, strict=True):
        units = 2.0 * codes + 1 - 2**bits
        wanted = torch.linalg.lstsq(units[:, None], values[:, None]).solution
        # its codes are those of the nearest levels, which a last turn may have moved a little
        assert float(scale) == pytest.approx(float(wanted), rel=0.02)
    assert fitted(2 * flat, bits).codes.equal(quantizer.codes)


def test_a_channel_of_zeros_is_no_trouble():
    quantizer = fitted(torch.zeros(2, 5), 1)
    assert quantizer(torch.zeros(2, 5)).abs().max() < 1e-11
