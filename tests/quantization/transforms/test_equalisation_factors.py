"""The factor of one pair of layers, channel by channel, against the paper's formula."""

import pytest
import torch
from torch import nn

from engine.quantization.transforms.equalisation import equalised, find_pairs
from tests.contracts.nets import images, ready


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.ReLU(), nn.Linear(5, 3))


def convolved(groups=1, bias=True):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=bias), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=groups)
    )


def columns(layer):
    """The weights that read each channel of the input."""
    groups = getattr(layer, "groups", 1)
    inside = layer.weight.shape[1]
    rows = len(layer.weight) // groups
    return [
        layer.weight[g * rows : (g + 1) * rows, place]
        for g in range(groups)
        for place in range(inside)
    ]


@torch.no_grad()
@pytest.mark.parametrize(
    "made", [linear, convolved, lambda: convolved(2), lambda: convolved(bias=False)]
)
def test_each_channel_is_written_and_read_with_the_geometric_mean_of_both_ranges(made):
    """s = sqrt(r1 / r2): W1 / s and W2 s both reach sqrt(r1 r2) (Nagel et al., 2019, section 4.1)."""
    net = ready(made())
    other, pairs = equalised(net)
    first, last = ([m for m in n if isinstance(m, (nn.Conv2d, nn.Linear))] for n in (net, other))
    assert pairs == 1
    for channel in range(len(first[0].weight)):
        written = float(first[0].weight[channel].abs().max())
        read = float(columns(first[1])[channel].abs().max())
        s = (written / read) ** 0.5
        assert torch.allclose(last[0].weight[channel], first[0].weight[channel] / s, rtol=1e-4)
        if first[0].bias is not None:
            assert float(last[0].bias[channel]) == pytest.approx(
                float(first[0].bias[channel]) / s, rel=1e-4
            )
        assert torch.allclose(columns(last[1])[channel], columns(first[1])[channel] * s, rtol=1e-4)
    assert torch.equal(first[1].bias, last[1].bias)
    x = images(2)
    assert torch.allclose(net(x), other(x), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_channel_that_is_written_or_read_by_nothing_stays_and_one_all_but_dead_is_blown_up():
    net = ready(linear())
    net[1].weight[0] = 0
    net[3].weight[:, 1] = 0
    net[1].weight[2] *= 1e-12
    other, _ = equalised(net)
    for channel in (0, 1):
        assert torch.equal(other[1].weight[channel], net[1].weight[channel])
        assert torch.equal(other[3].weight[:, channel], net[3].weight[:, channel])
    # In each of the rounds the factor ends at the limit, until both reach as far.
    reach = [float(other[1].weight[2].abs().max()), float(other[3].weight[:, 2].abs().max())]
    assert reach[0] == pytest.approx(reach[1], rel=1e-2)
    assert torch.allclose(net(images(2)), other(images(2)), rtol=1e-3, atol=1e-4)


class Twice(nn.Module):
    """A layer whose weights another call reads by name."""

    def __init__(self, how) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)
        self.how = how

    def forward(self, x):
        y = self.two(torch.relu(self.one(x)))
        return self.how(self, y).mean((2, 3))


@pytest.mark.parametrize(
    ("how", "pairs"),
    [(lambda net, y: y, 1), (lambda net, y: y + net.one.weight.sum(), 0),
     (lambda net, y: y + net.two.bias.sum(), 0)],
)  # fmt: skip
def test_a_parameter_that_is_also_read_by_name_is_not_scaled(how, pairs):
    assert len(find_pairs(ready(Twice(how)))) == pairs


def test_a_reader_of_other_channels_than_are_written_is_no_pair():
    """Behind a flattening each channel has several columns."""
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 2))
    assert find_pairs(ready(net)) == []
