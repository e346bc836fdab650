"""Weights that choose among levels: how they begin, and how they end."""

import pytest
import torch

from engine.quantization.rounding.soft_choice import SoftChoice

WEIGHT = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_it_begins_at_the_nearest_level(bits):
    quantizer = SoftChoice(bits)
    quantizer.fit(WEIGHT)
    nearest = quantizer.nearest(WEIGHT)
    quantizer.open(WEIGHT)
    quantizer.harden()
    assert torch.equal(quantizer.codes.float(), nearest)


def test_soft_and_hard_output_meet_as_the_temperature_rises():
    quantizer = SoftChoice(3)
    quantizer.fit(WEIGHT)
    quantizer.open(WEIGHT)
    quantizer.logits.data += torch.randn(
        quantizer.logits.shape, generator=torch.Generator().manual_seed(1)
    )
    gaps = []
    with torch.no_grad():
        softs = []
        for quantizer.temperature in (1.0, 10.0, 1e6):
            softs.append(quantizer(WEIGHT))
        quantizer.harden()
        gaps = [float((soft - quantizer(WEIGHT)).abs().max()) for soft in softs]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-5


def test_one_hot_has_the_values_of_the_codes_and_the_gradient_of_the_mixture():
    quantizer = SoftChoice(2)
    quantizer.fit(WEIGHT)
    quantizer.open(WEIGHT)
    quantizer(WEIGHT).square().sum().backward()
    quantizer.one_hot = True
    values = quantizer(WEIGHT)
    quantizer.logits.grad = None
    values.sum().backward()
    assert quantizer.logits.grad.abs().sum() > 0
    quantizer.harden()
    assert torch.allclose(values.detach(), quantizer(WEIGHT), atol=1e-6)
