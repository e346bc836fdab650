"""Where branches meet: what is added and joined, how large each part is, and who reads it."""

import pytest
import torch
from torch import Tensor, nn

from engine.analysis.diagnosis.branches import meetings
from tests.toys import ResidualToy


def constant(channels: int, value: float, reads: int = 1) -> nn.Conv2d:
    """A 1x1 convolution that makes `value` of an input that is 1 everywhere."""
    conv = nn.Conv2d(reads, channels, 1, bias=False)
    nn.init.constant_(conv.weight, value / reads)
    return conv


class Joined(nn.Module):
    """The image, three times it and 300 times it, side by side; then all three through a BatchNorm too."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = constant(1, 3.0), constant(2, 300.0)
        self.reader, self.behind_norm = constant(4, 1.0, 4), constant(4, 1.0, 4)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([x, self.small(x), torch.relu(self.large(x))], 1)
        return self.reader(nn.functional.relu(both)) + self.behind_norm(self.norm(both))


class AddedInPlace(nn.Module):
    """Two times the image is added to forty times it, in place; what is read next is an addition as well."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large, self.reader = constant(1, 2.0), constant(1, 40.0), constant(1, 1.0)
        self.last = constant(1, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = self.large(x)
        y += self.small(x)
        return self.last(self.reader(y + 1) + y)


def test_what_stands_side_by_side_is_told_to_who_reads_it():
    found = meetings(Joined().eval(), torch.ones(2, 1, 3, 3))
    assert found.keys() == {"reader"}  # behind a BatchNorm each channel has a range of its own
    assert found["reader"].kind == "concatenation"
    assert found["reader"].sizes == pytest.approx({"": 1.0, "small": 3.0, "large": 300.0})


def test_what_is_added_in_place_is_measured_before_it_is():
    found = meetings(AddedInPlace().eval(), torch.ones(2, 1, 3, 3))
    assert found["reader"].sizes == pytest.approx({"large": 40.0, "small": 2.0})
    assert found["last"].sizes == pytest.approx({"reader": 43.0, "large": 42.0})


def test_a_residual_is_read_by_the_layer_behind_it():
    torch.manual_seed(0)
    model, x = ResidualToy().eval().requires_grad_(False), torch.randn(2, 3, 8, 8)
    found = meetings(model, x)
    (reader,) = found
    assert reader == "head.2"
    stem = model.stem(x)
    wanted = {"stem.0": stem, "block.conv": model.block.conv(model.block.bn(stem))}
    assert found[reader].sizes == pytest.approx(
        {name: float(y.square().mean().sqrt()) for name, y in wanted.items()}
    )


def test_a_network_that_cannot_be_seen_has_none():
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x) + x if float(x.sum()) > 0 else x

    assert meetings(Hidden(), torch.ones(1, 1, 2, 2)) == {}
