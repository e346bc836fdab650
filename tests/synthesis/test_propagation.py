"""Statistics carried through a network, beside what many random inputs give."""

import pytest
import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.synthesis.methods.gzsq import GzsqSettings, adjusted, literal_targets
from engine.synthesis.moments import batch_moments
from engine.synthesis.propagation import Spread, expected_outputs
from tests.contracts.nets import TinyResNet, ready
from tests.toys import ConvWithoutBn


def one(mean=0.0, variance=1.0):
    return Spread(*(torch.tensor([v], dtype=torch.float64) for v in (mean, variance)))


def test_half_a_normal_distribution_by_hand():
    """relu of N(0, 1): mean 1/√2π, variance 1/2 - 1/2π."""
    spread = one().through(torch.relu)
    assert spread.mean.item() == pytest.approx((2 * torch.pi) ** -0.5, abs=1e-4)
    assert spread.variance.item() == pytest.approx(0.5 - 1 / (2 * torch.pi), abs=1e-4)


def test_the_greatest_of_two_and_of_four_normal_values_by_hand():
    """Means 1/√π and 1.0294 (Tippett's table), variance of two 1 - 1/π."""
    two = one().greatest(2)
    assert two.mean.item() == pytest.approx(torch.pi**-0.5, abs=1e-3)
    assert two.variance.item() == pytest.approx(1 - 1 / torch.pi, abs=2e-3)
    assert one().greatest(4).mean.item() == pytest.approx(1.0294, abs=1e-3)
    assert one(3.0, 4.0).greatest(4).mean.item() == pytest.approx(3 + 2 * 1.0294, abs=2e-3)


def test_the_greatest_follows_an_activation_through():
    spread = one(-0.5, 2.0).through(torch.relu).greatest(4)
    rng = torch.Generator().manual_seed(0)
    drawn = (torch.randn(400_000, 4, generator=rng) * 2**0.5 - 0.5).relu().amax(1)
    assert spread.mean.item() == pytest.approx(drawn.mean().item(), abs=0.01)
    assert spread.variance.item() == pytest.approx(drawn.var().item(), abs=0.02)


class Many(nn.Module):
    """1x1 and depthwise, so that inputs are independent as assumed; all sorts of things between."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1)
        self.act = nn.SiLU()
        self.pool = nn.AvgPool2d(2)
        self.grouped = nn.Conv2d(8, 8, 1, groups=8)
        self.prelu = nn.PReLU(8)
        self.norm = nn.BatchNorm2d(8)
        self.beside = nn.Conv2d(3, 8, 1)
        self.last = nn.Conv2d(19, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(self.act(self.first(x)))
        y = self.norm(self.prelu(self.grouped(y)))
        x = nn.functional.max_pool2d(x, 2)
        both = torch.cat([y, torch.relu(self.beside(x)), x], 1)
        return self.last(both).mean((2, 3))


def test_every_operation_gives_what_random_images_give():
    net = ready(Many())
    expected = expected_outputs(net, (3, 8, 8))
    assert list(expected) == ["first", "grouped", "beside", "last"]
    x = torch.randn(4000, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = {}
    for path in expected:
        net.get_submodule(path).register_forward_hook(
            lambda module, args, y, path=path: seen.update({path: batch_moments(y)})
        )
    net(x)
    for path in ("first", "grouped", "beside"):
        assert torch.allclose(expected[path].mean, seen[path].mean, atol=0.02), path
        assert torch.allclose(expected[path].std, seen[path].std, rtol=0.03, atol=1e-3), path
    # The last reads values that share inputs: there the assumption is wrong; the size still fits.
    assert torch.allclose(expected["last"].mean, seen["last"].mean, atol=0.03)
    assert torch.allclose(expected["last"].std, seen["last"].std, rtol=0.6)


def test_residual_networks_are_followed_and_left_as_they_were():
    net = ready(TinyResNet())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    expected = expected_outputs(net, (3, 8, 8))
    convolutions = [path for path, m in net.named_modules() if isinstance(m, nn.Conv2d)]
    assert sorted(expected) == sorted(convolutions)
    assert all(torch.isfinite(m.mean).all() and (m.std > 0).all() for m in expected.values())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_a_single_convolution_without_batchnorm_by_hand():
    (moments,) = expected_outputs(ConvWithoutBn().eval(), (1, 4, 4)).values()
    assert (moments.mean.item(), moments.std.item()) == pytest.approx((0, 3), rel=1e-5)


def test_what_cannot_be_followed_is_named():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(torch.sin(x)).mean((2, 3))

    with pytest.raises(UserError, match=r"sin.*convolution 'conv'.*targets=literal"):
        expected_outputs(Odd().eval(), (1, 4, 4))


# --- the paper's own recursion ------------------------------------------------------------------


def test_missing_channels_are_filled_up_and_too_many_replaced():
    values = torch.tensor([1.0, 3.0])
    assert adjusted(values, 2, "max").tolist() == [1, 3]
    assert adjusted(values, 4, "mean").tolist() == [1, 3, 2, 2]
    assert adjusted(torch.tensor([1.0, 3.0, 5.0]), 2, "mean+min").tolist() == [4, 4]
    assert adjusted(values, 3, "mean-min").tolist() == [1, 3, 1]
    assert adjusted(values, 3, "min").tolist() == [1, 3, 1]


def test_the_recursion_by_hand():
    """N(0, 1) in; weights 1 and 3: mean 2, variance 1; bias 5. Then weights all 2 on one channel."""
    first, second = nn.Conv2d(1, 1, (1, 2)), nn.Conv2d(1, 1, 1, bias=False)
    first.weight.data = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)
    first.bias.data.fill_(5.0)
    second.weight.data.fill_(2.0)
    targets = literal_targets(nn.Sequential(first, nn.ReLU(), second), 1, GzsqSettings())
    assert targets["0"].mean.item() == 7
    assert targets["0"].std.item() == pytest.approx(2**0.5)
    assert targets["2"].mean.item() == 9
    assert targets["2"].std.item() == pytest.approx(2**0.5)
