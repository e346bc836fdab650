"""The statistics that noise has in a network, and the published recursion over its weights."""

import pytest
import torch
from torch import nn

from engine.core.method import describe
from engine.core.trace import count_hooks, watch_outputs
from engine.synthesis.methods.gzsq import GzsqSettings, adjusted, literal_targets
from engine.synthesis.statistics.propagation import CHUNK, expected_outputs
from tests.contracts.nets import TinyResNet, ready
from tests.toys import ConvWithoutBn


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_single_convolution_by_hand():
    """Of weight 3, without bias: N(0, 9) whatever the image's size."""
    (moments,) = expected_outputs(ConvWithoutBn().eval(), (1, 4, 4), rng(), 4000).values()
    assert (moments.mean.item(), moments.std.item()) == pytest.approx((0, 3), abs=0.05)


def test_half_a_normal_distribution_behind_a_relu_by_hand():
    """relu of N(0, 1): mean 1/√2π, variance 1/2 - 1/2π; then times 2, plus 1."""
    first, second = nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, 1)
    first.weight.data.fill_(1.0)
    second.weight.data.fill_(2.0)
    second.bias.data.fill_(1.0)
    net = nn.Sequential(first, nn.ReLU(), second).eval()
    moments = expected_outputs(net, (1, 16, 16), rng(), 500)["2"]
    assert moments.mean.item() == pytest.approx(1 + 2 * (2 * torch.pi) ** -0.5, abs=0.02)
    assert moments.std.item() == pytest.approx(2 * (0.5 - 1 / (2 * torch.pi)) ** 0.5, abs=0.02)


def test_channels_that_vary_together_add_up():
    """Two copies of one channel, summed: twice its deviation. Taken for independent, √2 of it."""
    twins, total = nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(2, 1, 1, bias=False)
    twins.weight.data.fill_(1.0)
    total.weight.data.fill_(1.0)
    moments = expected_outputs(nn.Sequential(twins, total).eval(), (1, 16, 16), rng(), 200)["1"]
    assert moments.std.item() == pytest.approx(2, rel=0.02)


def test_residual_networks_are_followed_and_left_as_they_were():
    net = ready(TinyResNet())
    before = {key: value.clone() for key, value in net.state_dict().items()}
    expected = expected_outputs(net, (3, 8, 8), rng(), 70)
    convolutions = [path for path, m in net.named_modules() if isinstance(m, nn.Conv2d)]
    assert sorted(expected) == sorted(convolutions)
    assert all(torch.isfinite(m.mean).all() and (m.std > 0).all() for m in expected.values())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert count_hooks(net) == 0


def test_what_other_noise_has_is_expected_of_every_layer():
    """In one pass, without chunks, by torch's own mean and deviation."""
    net = ready(TinyResNet())
    expected = expected_outputs(net, (3, 8, 8), rng(), 1000)
    seen = {}
    hear = lambda path, y: seen.update({path: (y.mean((0, 2, 3)), y.std((0, 2, 3)))})  # noqa: E731
    with watch_outputs(net, list(expected), hear):
        net(torch.randn(1000, 3, 8, 8, generator=rng(1)))
    for path, (mean, std) in seen.items():
        assert torch.allclose(expected[path].mean, mean, atol=0.05 * float(std.mean())), path
        assert torch.allclose(expected[path].std, std, rtol=0.05), path


class Twice(nn.Module):
    """Convolutions on maps, of which one runs twice, and linear layers on tokens and on one row."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 4)
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        x = self.one(self.one(x).relu())
        return self.last(self.two(x.flatten(2).transpose(1, 2)).mean(1))


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 3, 70])
def test_expected_are_the_moments_of_just_so_many_images(count):
    """Of a layer's runs the means and the variances are averaged; a row of scores is no map."""
    net = ready(Twice())
    found = expected_outputs(net, (3, 5, 5), rng(), count)
    assert list(found) == ["one", "two"]
    draws, noise = rng(), []
    while sum(map(len, noise)) < count:
        size = min(CHUNK, count - sum(map(len, noise)))
        noise.append(torch.randn(size, 3, 5, 5, generator=draws))
    x = torch.cat(noise)
    first = net.one(x)
    second = net.one(first.relu())
    tokens = net.two(second.flatten(2).transpose(1, 2)).transpose(1, 2)[..., None]
    for path, runs in (("one", (first, second)), ("two", (tokens,))):
        rows = [y.transpose(0, 1).flatten(1) for y in runs]
        assert found[path].count == count * 25
        mean = sum(row.mean(1) for row in rows) / len(rows)
        variance = sum(row.var(1) for row in rows) / len(rows)
        assert torch.allclose(found[path].mean, mean, atol=1e-5)
        assert torch.allclose(found[path].std, variance.sqrt(), rtol=1e-3)


# --- the paper's own recursion ------------------------------------------------------------------


def test_missing_channels_are_filled_up_and_too_many_replaced():
    values = torch.tensor([1.0, 3.0])
    assert adjusted(values, 2, "max").tolist() == [1, 3]
    assert adjusted(values, 4, "mean").tolist() == [1, 3, 2, 2]
    assert adjusted(torch.tensor([1.0, 3.0, 5.0]), 2, "mean+min").tolist() == [4, 4]
    assert adjusted(values, 3, "mean-min").tolist() == [1, 3, 1]
    assert adjusted(values, 3, "min").tolist() == [1, 3, 1]
    assert adjusted(values, 3, "max+mean").tolist() == [1, 3, 5]
    assert adjusted(torch.tensor([1.0, 2.0, 6.0]), 2, "max-mean").tolist() == [3, 3]


def test_every_stand_in_of_the_paper_is_offered():
    """Least, mean ± least, mean, greatest ± mean, greatest."""
    (knob,) = [one for one in describe(GzsqSettings) if one["name"] == "fill_std"]
    values = torch.tensor([1.0, 2.0, 6.0])
    offered = sorted(adjusted(values, 1, how).item() for how in knob["choices"])
    assert offered == sorted([1, 3 + 1, 3 - 1, 3, 6 + 3, 6 - 3, 6])


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
