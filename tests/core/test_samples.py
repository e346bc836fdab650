"""Samples of large tensors: every part of the layout has its share, and the numbers found are the whole's."""

import pytest
import torch

from engine.core.sampling.samples import sample_indices, sampled
from engine.quantization.grids.range_rules import activation_range
from engine.quantization.grids.step_search import CLIP_RATIOS, ERROR_NORM, search_activation_grid
from engine.quantization.grids.weights.learned_basis import (
    BasisActivationQuantizer,
    basis_error,
    learn_basis,
)


def bordered(*shape: int) -> torch.Tensor:
    """Behind a ReLU, with a border column of its own: nearly nothing is there."""
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0)).abs()
    x[..., 0] *= 0.05
    return x


@pytest.mark.parametrize(
    ("shape", "most"),
    [((32, 8, 32, 32), 2**13), ((32, 8, 32, 32), 2**12), ((8, 64, 7, 7), 3000), ((4, 9, 3, 3), 36)],
)
@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_every_place_of_every_axis_has_its_share(shape, most, axis):
    where = torch.arange(shape[axis]).view([-1 if k == axis else 1 for k in range(4)]).expand(shape)
    found = torch.bincount(sampled(where, most), minlength=shape[axis]).double()
    expected = most / shape[axis]
    assert found.sum() == most
    assert float((found - expected).abs().max()) < 5 * expected**0.5


@pytest.mark.parametrize(("count", "most"), [(10, 5), (11, 5), (2**20 + 7, 2**18), (97, 48)])
def test_places_are_different_rising_and_the_same_each_time(count, most):
    places = sample_indices(count, most)
    assert len(places) == most
    assert bool((places.diff() > 0).all())
    assert int(places[0]) >= 0
    assert int(places[-1]) < count
    assert torch.equal(places, sample_indices(count, most))


def test_of_less_than_twice_as_many_all_are_taken():
    x = torch.arange(9).view(3, 3)
    assert torch.equal(sampled(x, 5), x.flatten())
    assert len(sampled(x, 4)) == 4


def test_the_steps_search_finds_what_all_values_say():
    x = bordered(32, 64, 128, 8)  # 2^21 values: a stride of 8 saw the border alone
    scale, low, high = search_activation_grid(x, 4)
    span = float(x.max())

    def error(step: float) -> float:
        return float((x - (x / step).round().clamp(low, high) * step).abs().pow(ERROR_NORM).mean())

    best = min(error(ratio * span / 15) for ratio in CLIP_RATIOS[::4])
    assert error(scale) <= 1.002 * best


def test_a_learned_basis_fits_the_whole_and_not_the_border():
    x = bordered(32, 32, 64, 16)  # 2^20 values: a stride of 16
    quantizer = BasisActivationQuantizer(4)
    quantizer.fit(x)
    flat = x.view(1, -1)
    whole = learn_basis(flat[:, torch.randperm(flat.shape[1])[: 2**16]], 4, signed=False)
    found = basis_error(flat, quantizer.basis[None], signed=False)
    assert float(found / basis_error(flat, whole, signed=False)) < 1.05


def test_a_percentile_is_of_all_columns(monkeypatch):
    monkeypatch.setattr("engine.quantization.grids.range_rules._MAX_SORTED", 2**10)
    x = torch.zeros(16, 4, 32, 32)
    x[..., 1:] = torch.rand(16, 4, 32, 31, generator=torch.Generator().manual_seed(1))
    scale, _, high = activation_range(x, 4, rule="percentile", percentile=90.0)
    assert scale * high == pytest.approx(0.9, abs=0.03)
