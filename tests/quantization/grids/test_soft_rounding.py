"""Roundings that are learned: values and gradients are those of the same formula in plain torch."""

import pytest
import torch
from torch import Tensor

from engine.quantization.grids.quantizers import WeightQuantizer
from engine.quantization.grids.soft_rounding import SoftWeight, Undecided, soft_rounding

SHAPE = (3, 4, 2, 2)


def plain_h(v: Tensor) -> Tensor:
    return (torch.sigmoid(v) * 1.2 - 0.1).clamp(0, 1)


def some(seed: int, spread: float = 3.0) -> Tensor:
    """Values on both sides of where h is clipped, at about ±2.4."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=rng, dtype=torch.double) * spread


def pieces() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Roundings, step sizes, whole numbers that leave the range of 0 to 3 on both sides, and zero points."""
    scale = torch.tensor([0.5, 1.0, 2.0], dtype=torch.double).view(3, 1, 1, 1)
    zero = torch.tensor([1.0, 2.0, 0.0], dtype=torch.double).view(3, 1, 1, 1)
    return some(1).requires_grad_(), scale.requires_grad_(), some(2).round(), zero


def test_a_soft_weight_and_its_gradients_are_those_of_the_formula():
    v, scale, base, zero = pieces()
    wanted = scale * ((base + plain_h(v) + zero).clamp(0, 3) - zero)
    found = SoftWeight.apply(v, scale, base, zero, 3)
    assert torch.allclose(found, wanted)
    codes = base + plain_h(v).detach() + zero
    assert (codes < 0).any()  # else nothing is said of what is clipped
    assert (codes > 3).any()
    pull = some(3)
    for ours, plain in zip(
        torch.autograd.grad(found, [v, scale], pull),
        torch.autograd.grad(wanted, [v, scale], pull),
        strict=True,
    ):
        assert ours.shape == plain.shape
        assert torch.allclose(ours, plain)


@pytest.mark.parametrize("beta", [20.0, 3.5, 2.0])
def test_what_it_costs_to_be_undecided_and_its_gradient_are_those_of_the_formula(beta):
    v = some(4).requires_grad_()
    h = plain_h(v)
    assert ((h == 0) | (h == 1)).any()
    assert ((h > 0) & (h < 1)).any()
    wanted = (1 - (2 * h - 1).abs().pow(beta)).sum()
    found = Undecided.apply(v, beta)
    assert torch.allclose(found, wanted)
    (ours,) = torch.autograd.grad(3 * found, [v])
    (plain,) = torch.autograd.grad(3 * wanted, [v])
    assert torch.allclose(ours, plain)


def test_whoever_has_decided_costs_nothing_and_is_not_moved():
    v = torch.tensor([-10.0, 10.0]).requires_grad_()
    found = Undecided.apply(v, 4.0)
    assert float(found.detach()) == 0
    assert torch.autograd.grad(found, [v])[0].tolist() == [0, 0]
    assert (
        float(Undecided.apply(torch.zeros(5), 2.0)) == 5
    )  # each in the middle between up and down


def test_a_quantizer_uses_them_in_the_order_in_which_its_weight_lies():
    rng = torch.Generator().manual_seed(5)
    weight = torch.randn(4, 3, 3, 3, generator=rng).contiguous(memory_format=torch.channels_last)
    quantizer = WeightQuantizer(2)
    quantizer.fit(weight)
    quantizer.soften(weight)
    out = quantizer(weight)
    assert out.stride() == weight.stride()
    assert (out - weight).abs().max() <= quantizer.scale.max()
    assert quantizer.rounding is not None
    h = plain_h(quantizer.rounding.detach())
    assert torch.allclose(soft_rounding(quantizer.rounding.detach()), h)
    cost = (1 - (2 * h - 1).abs().pow(5)).sum()
    assert torch.allclose(quantizer.undecided(5.0), cost)
    (out.sum() + quantizer.undecided(5.0)).backward()
    assert quantizer.rounding.grad is not None
    assert quantizer.scale.grad is not None
