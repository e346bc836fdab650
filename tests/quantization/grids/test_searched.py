"""Searched codes: a softmax over the nearest levels that begins at nearest rounding and ends at one level."""

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.quantization.grids.quantizers import WeightQuantizer
from engine.quantization.grids.weights.soft_codes import SOFTNESS, SearchedWeightQuantizer
from engine.quantization.methods.slb import Slb, SlbSettings, temperature
from engine.quantization.student import quantizers
from tests.contracts.nets import budget, quantizing


def weight(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=stream(0, "searched"))


def soft(
    bits: int = 3, candidates: int = 4, shape=(5, 40)
) -> tuple[SearchedWeightQuantizer, torch.Tensor]:
    w = weight(*shape)
    quantizer = SearchedWeightQuantizer(bits, candidates=candidates)
    quantizer.fit(w)
    quantizer.soften(w)
    return quantizer, w


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("candidates", [2, 3, 4])
def test_the_candidates_are_the_nearest_codes_of_the_grid(bits, candidates):
    quantizer, w = soft(bits, candidates)
    place = (w / quantizer.scale + quantizer.zero_point).clamp(0, 2**bits - 1)
    codes = torch.arange(2.0**bits)
    away = (place[..., None] - codes).abs()
    found = (place[..., None] - quantizer._choices).abs().amax(-1)
    wanted = away.sort(-1).values[..., quantizer.candidates - 1]
    assert torch.allclose(found, wanted, atol=1e-3)
    assert int(quantizer._choices.max()) <= 2**bits - 1


@pytest.mark.parametrize("bits", [2, 4])
def test_before_any_step_the_most_probable_level_is_the_nearest(bits):
    quantizer, w = soft(bits)
    quantizer.harden()
    plain = WeightQuantizer(bits)
    plain.fit(w)
    assert torch.equal(quantizer.codes, plain.codes)


def test_a_search_begins_at_a_softmax_of_squared_distances_whatever_was_searched_before():
    quantizer, w = soft()
    quantizer.temperature = 50.0
    quantizer.soften(w)
    place = (w / quantizer.scale + quantizer.zero_point).clamp(0, 7)[..., None]
    chances = (-((place - quantizer._choices) ** 2) / SOFTNESS).exp()
    wanted = chances / chances.sum(-1, keepdim=True)
    assert torch.allclose(quantizer.probabilities(), wanted, atol=1e-5)


def test_soft_and_hard_meet_as_the_temperature_rises():
    quantizer, w = soft()
    gaps = []
    with torch.no_grad():
        hard = quantizer.grid.values(quantizer.decided())
        for hot in (1.0, 10.0, 100.0, 1e4):
            quantizer.temperature = hot
            gaps.append(float((quantizer(w) - hard).square().mean()))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-3 * gaps[0]


def test_values_are_the_mixture_of_levels_by_hand():
    quantizer, w = soft(2, 4, (1, 3))
    quantizer.temperature = 2.0
    with torch.no_grad():
        p = torch.softmax(2.0 * quantizer.rounding, -1)
        by_hand = quantizer.scale * ((p * torch.arange(4.0)).sum(-1) - quantizer.zero_point)
        assert torch.allclose(quantizer(w), by_hand, atol=1e-6)


def test_the_gradient_pulls_a_weight_to_the_level_that_helps():
    quantizer, w = soft(3, 4, (2, 10))
    target = quantizer.grid.values((quantizer.decided() + 1).clamp(0, 7)).detach()
    optimiser = torch.optim.Adam([quantizer.rounding], lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        (quantizer(w) - target).square().sum().backward()
        optimiser.step()
    assert torch.allclose(quantizer.grid.values(quantizer.decided()), target, atol=1e-5)


def test_the_temperature_rises_between_its_two_shares_of_the_steps():
    course = SlbSettings(steps=100, hottest=16.0, rise_from=0.2, rise_to=0.8)
    found = [temperature(course, step) for step in (0, 20, 50, 80, 99)]
    assert found == pytest.approx([1, 1, 4, 16, 16])


def hard_error(work, opened) -> float:
    """Of the block's output with every weight at its most probable level."""
    found = [q for _, q in quantizers(work.student, opened.block) if hasattr(q, "temperature")]
    kept = [q.temperature for q in found]
    for quantizer in found:
        quantizer.temperature = 1e9
    with torch.no_grad():
        error = float((opened.block.run(work.student, opened.x) - opened.y).square().mean())
    for quantizer, before in zip(found, kept, strict=True):
        quantizer.temperature = before
    return error


def test_weights_have_decided_in_the_end_and_err_less_than_nearest_rounding():
    """Of each block's own output, on the images that it learned from."""
    work = quantizing(weight_bits=2)
    method = Slb(budget(SlbSettings, steps=150, lr=0.05, batch=8))
    few_bits = 0
    for opened in work.machines(method, 0):
        machine = opened.machine
        assert machine is not None
        nearest = hard_error(work, opened)
        for _ in range(machine.total_steps):
            machine.step()
        (view,) = machine.views()
        assert view.values["temperature"] == pytest.approx(100.0)
        assert view.values["decided"] > 0.9
        if all(work.plan[path].weight_bits == 2 for path in opened.block.layers):
            few_bits += 1
            assert hard_error(work, opened) < nearest
    assert few_bits
