"""Statistics at BatchNorm layers, beside plain second implementations and values worked out by hand."""

import pytest
import torch
from torch import Tensor, nn

from engine.synthesis.statistics.batchnorm import (
    Observation,
    StoredStatistics,
    bn_gap,
    channel_gaps,
    layer_gap,
    moment_distance,
)
from engine.synthesis.statistics.moments import Moments, batch_moments
from tests.contracts.nets import TinyResNet, images, ready
from tests.toys import ConvWithoutBn, TwoBlocks

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (2, 1, 1, 1), (1, 7, 8, 8)])
@pytest.mark.parametrize(("centre", "spread"), [(0.0, 1.0), (10.0, 1.0), (-3.0, 0.2)])
def test_moments_and_their_gradients_are_those_of_std_mean(layout, shape, centre, spread):
    x = (torch.randn(shape) * spread + centre).contiguous(memory_format=layout).requires_grad_()
    weights = torch.randn(2, shape[1])
    seen = batch_moments(x)
    (weights[0] * seen.mean + weights[1] * seen.std).sum().backward()

    precise = x.detach().double().requires_grad_()
    std, mean = torch.std_mean(precise, dim=(0, 2, 3))  # unbiased
    (weights[0] * mean + weights[1] * std).sum().backward()
    assert torch.allclose(seen.mean.double(), mean, rtol=1e-4, atol=1e-5)
    assert torch.allclose(seen.std.double(), std, rtol=1e-3, atol=1e-5)
    assert torch.allclose(x.grad.double(), precise.grad, rtol=1e-3, atol=1e-4)


def test_the_gradient_of_each_moment_alone():
    for k in range(2):
        x = torch.randn(3, 2, 4, 4, requires_grad=True)
        seen = batch_moments(x)
        (seen.mean, seen.std)[k].square().sum().backward()
        y = x.detach().clone().requires_grad_()
        std, mean = torch.std_mean(y, dim=(0, 2, 3))
        (mean, std)[k].square().sum().backward()
        assert torch.allclose(x.grad, y.grad, atol=1e-6)


def test_a_constant_channel_has_std_0_and_a_finite_gradient():
    x = torch.full((2, 1, 3, 3), 5.0, requires_grad=True)
    seen = batch_moments(x)
    assert (seen.mean.item(), seen.std.item()) == (5.0, 0.0)
    (seen.mean + seen.std).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_the_distance_of_moments_by_hand():
    seen = Moments(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0]))
    stored = Moments(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0]))
    assert moment_distance(seen, stored).item() == (1 + 4 + 4 + 0) / 2  # divided by 2 channels


def loss(seen, stored):
    """The plain sum over layers."""
    pairs = zip(seen.moments, stored.moments, strict=True)
    return torch.stack([moment_distance(a, b) for a, b in pairs]).sum()


def test_the_gap_is_0_where_statistics_agree_and_each_channel_counts_in_its_own_units():
    stored = StoredStatistics.__new__(StoredStatistics)
    stored.moments = [Moments(torch.zeros(2), torch.tensor([1.0, 3.0]))]
    stored.units = [torch.tensor([1.0, 3.0])]
    assert bn_gap(Observation(stored.moments, torch.empty(0)), stored) == [0.0]
    seen = Observation(
        [Moments(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 3.0]))], torch.empty(0)
    )
    assert bn_gap(seen, stored) == [1.0]  # one standard deviation off in each channel


def test_a_wide_channel_hides_no_narrow_one_and_a_dead_one_is_not_all():
    stored = StoredStatistics.__new__(StoredStatistics)
    stored.moments = [Moments(torch.zeros(3), torch.tensor([100.0, 0.1, 0.0]))]
    stored.units = [torch.tensor([100.0, 0.1, 1e-5**0.5])]
    seen = Moments(torch.tensor([0.0, 0.2, 0.0]), torch.tensor([100.0, 0.1, 0.0]))
    observed = Observation([seen], torch.empty(0))
    assert bn_gap(observed, stored) == pytest.approx([4 / 3])  # two deviations off, in one of three
    (each,) = channel_gaps([seen], stored)
    assert each.tolist() == pytest.approx([0.0, 4.0, 0.0])
    assert layer_gap(observed, stored)[0] < 1e-4  # what older runs said


class Twice(nn.Module):
    """One BatchNorm between two convolutions and behind the second, as a shared head has it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 4, 1, bias=False)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x))
        return self.norm(5 * self.second(x) + 2).mean((2, 3))


def test_a_batchnorm_that_runs_twice_is_averaged_over_its_calls_as_it_stored_them():
    torch.manual_seed(0)
    model, x = Twice(), images(16)
    model.norm.momentum = None  # a plain average of what it sees
    model.train()
    with torch.no_grad():
        model(x)
    model.eval().requires_grad_(False)
    stored = StoredStatistics(model, (3, 8, 8))
    assert stored.calls == {"norm": 2}
    assert "'norm' runs 2 times" in stored.notes()[0]
    calls = []
    model.train()  # as it normalised when it stored
    handle = model.norm.register_forward_pre_hook(lambda _, args: calls.append(args[0]))
    for per_image in (False, True):
        calls.clear()
        model.norm.momentum = 0.0
        seen = stored.observe(model, x, per_image=per_image)
        assert len(calls) == 2
        mean = torch.stack([call.mean((0, 2, 3)) for call in calls]).mean(0)
        variance = torch.stack([call.var((0, 2, 3)) for call in calls]).mean(0)
        assert torch.allclose(seen.moments[0].mean, mean, atol=1e-5)
        assert torch.allclose(seen.moments[0].std.square(), variance, rtol=1e-3)
        assert bn_gap(seen, stored)[0] < 1e-4
        if per_image:
            rows = torch.stack([call.mean((2, 3)) for call in calls]).mean(0)
            assert torch.allclose(seen.per_image[0].mean, rows, atol=1e-5)
    handle.remove()


def test_layers_that_run_once_have_nothing_to_say():
    assert StoredStatistics(ready(TinyResNet()), (3, 8, 8)).notes() == []


def test_stored_statistics_are_the_layers_own_with_an_epsilon_of_1e_minus_6():
    model = TwoBlocks().eval()
    stored = StoredStatistics(model, (1, 4, 4))
    assert stored.paths == ["first.1", "second.1"]
    for moments in stored.moments:
        assert moments.mean.item() == 1.0
        assert moments.std.item() == pytest.approx((4 + 1e-6) ** 0.5, rel=1e-7)
    model.first[1].running_mean.zero_()
    assert stored.moments[0].mean.item() == 1.0, "a copy, not a view"


def test_what_is_seen_is_the_input_of_the_batchnorm_by_hand():
    """TwoBlocks: 2x arrives at the first BatchNorm, 2 relu(x - 1/2) at the second."""
    model = TwoBlocks().eval().requires_grad_(False)
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 2, 2)
    seen = StoredStatistics(model, (1, 2, 2)).observe(model, x)
    assert [m.mean.item() for m in seen.moments] == [5.0, 4.0]
    spread = 2 * (5 / 3) ** 0.5  # twice the unbiased std of 1, 2, 3, 4
    assert [m.std.item() for m in seen.moments] == pytest.approx([spread, spread], rel=1e-5)
    assert seen.logits.item() == 1.5


def test_images_with_the_stored_statistics_have_no_loss():
    """Let the teacher's BatchNorm layers learn their statistics from the images themselves."""
    model = ready(TinyResNet())
    x = images(16)
    stored = StoredStatistics(model, (3, 8, 8))
    for _ in range(5):  # each pass makes one more layer's input final
        seen = stored.observe(model, x)
        for path, moments in zip(stored.paths, seen.moments, strict=True):
            model.get_submodule(path).running_mean.copy_(moments.mean)
            model.get_submodule(path).running_var.copy_(moments.std.square())
    fresh = StoredStatistics(model, (3, 8, 8))
    assert loss(fresh.observe(model, x), fresh).item() < 1e-6
    assert loss(fresh.observe(model, 3 * x), fresh).item() > 0.1


def test_gradients_reach_the_images():
    model = ready(TinyResNet())
    stored = StoredStatistics(model, (3, 8, 8))
    x = images(4).requires_grad_()
    loss(stored.observe(model, x), stored).backward()
    assert (x.grad != 0).float().mean() > 0.9


class Backwards(nn.Module):
    """Registered, and named, in the other order than it runs; a third BatchNorm never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.a_last, self.unused, self.z_first = (nn.BatchNorm2d(2) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.a_last(self.z_first(x)).mean((2, 3))


def test_layers_stand_in_order_of_execution_and_unused_ones_are_left_out():
    assert StoredStatistics(Backwards().eval(), (2, 4, 4)).paths == ["z_first", "a_last"]


def test_a_network_without_batchnorm_has_none():
    assert StoredStatistics(ConvWithoutBn().eval(), (1, 4, 4)).paths == []


def test_batchnorm_that_keeps_no_statistics_is_passed_over():
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 1)
            self.norm = nn.BatchNorm2d(2, track_running_stats=False)
            self.keeps = nn.BatchNorm2d(2)

        def forward(self, x: Tensor) -> Tensor:
            return self.keeps(self.norm(self.conv(x)))

    assert StoredStatistics(Forgetful().eval(), (1, 4, 4)).paths == ["keeps"]
