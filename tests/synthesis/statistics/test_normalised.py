"""BatchNorm and moments as one: what the two give one after the other; nothing where they are not that."""

import itertools

import pytest
import torch
from torch import nn

from engine.core.sampling.randomness import stream
from engine.synthesis.statistics.batchnorm import StoredStatistics
from engine.synthesis.statistics.moments import batch_moments
from engine.synthesis.statistics.normalised import can_normalise, normalised
from tests.contracts.nets import TinyResNet, images, ready


def norm_of(channels, **more):
    norm, rng = nn.BatchNorm2d(channels, **more).eval().requires_grad_(False), stream(0, "norm")
    for values in (norm.weight, norm.bias, norm.running_mean):
        values.normal_(generator=rng)
    norm.running_var.uniform_(0.01, 3, generator=rng)
    return norm


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("shape", [(4, 5, 3, 3), (8, 16, 7, 9)])
def test_values_moments_and_gradients_are_those_of_the_two(shape, order):
    norm, rng = norm_of(shape[1]), stream(0, "x")
    x = torch.randn(shape, generator=rng).contiguous(memory_format=order).requires_grad_()
    given = [torch.randn(size, generator=rng) for size in (shape, shape[1], shape[1])]
    plain, moments = norm(x), batch_moments(x)
    y, seen = normalised(norm, x)
    torch.testing.assert_close(y, plain, rtol=1e-6, atol=1e-6)
    assert torch.equal(seen.mean, moments.mean)
    assert torch.equal(seen.std, moments.std)
    assert seen.count == moments.count
    wanted, made = (plain, moments.mean, moments.std), (y, seen.mean, seen.std)
    for chosen in itertools.product((True, False), repeat=3):
        if any(chosen):
            parts = [
                torch.autograd.grad(
                    list(itertools.compress(outputs, chosen)), x,
                    list(itertools.compress(given, chosen)), retain_graph=True,
                )[0]
                for outputs in (made, wanted)
            ]  # fmt: skip
            torch.testing.assert_close(*parts, rtol=1e-5, atol=1e-6)


def test_only_a_frozen_batchnorm_of_torchs_own_is_stood_in_for():
    class Other(nn.BatchNorm2d):
        def forward(self, x):
            return 2 * super().forward(x)

    x = torch.randn(2, 3, 4, 4)

    def can(norm, values=x):
        return can_normalise(norm, norm.forward, values)

    assert can(norm_of(3))
    assert not can(norm_of(3).train())
    assert not can(norm_of(3).requires_grad_())
    assert not can(nn.BatchNorm2d(3, affine=False).eval())
    assert not can(nn.BatchNorm2d(3, track_running_stats=False).eval().requires_grad_(False))
    assert not can(Other(3).eval().requires_grad_(False))
    assert not can(norm_of(3), x.bfloat16())


def test_a_network_that_is_observed_gives_what_it_gave():
    teacher, x = ready(TinyResNet()), images()
    stored = StoredStatistics(teacher, (3, 8, 8))
    torch.testing.assert_close(stored.observe(teacher, x).logits, teacher(x), rtol=1e-5, atol=1e-6)
    teacher.train()
    before = teacher(x)
    torch.testing.assert_close(stored.observe(teacher, x).logits, before)
