"""A layer's numbers against its weights counted one by one, and what stands around it."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.analysis.diagnosis.anatomy import HISTOGRAM_BINS, dissect
from engine.analysis.diagnosis.stored import without_batchnorm
from tests.contracts.nets import ready


def short(value):
    return pytest.approx(value, rel=1e-3)


def layer_of(weight, norm=None):
    """One convolution of these weights [out, n], perhaps with a BatchNorm behind."""
    conv = nn.Conv2d(weight.shape[1], len(weight), 1, bias=False)
    conv.weight.data = weight[..., None, None].clone()
    modules = [conv] if norm is None else [conv, norm]
    return dissect(nn.Sequential(*modules).eval(), (weight.shape[1], 2, 2)).layers[0]


def test_ranges_and_the_histogram_are_those_of_the_weights():
    weight = torch.randn(6, 30, generator=torch.Generator().manual_seed(0))
    weight[2] *= 5
    found, plain = layer_of(weight), weight.numpy()
    sizes = np.abs(plain).max(1)
    assert found.range_ratio == short(sizes.max() / sizes.min())
    assert (found.low, found.high) == (short(plain.min()), short(plain.max()))
    assert found.channels == {
        "low": [short(v) for v in plain.min(1)], "high": [short(v) for v in plain.max(1)],
    }  # fmt: skip
    counts = np.histogram(plain, HISTOGRAM_BINS, (plain.min(), plain.max()))[0]
    assert found.histogram["ends"] == [found.low, found.high]
    assert sum(found.histogram["counts"]) == 180
    assert np.abs(np.array(found.histogram["counts"]) - counts).sum() <= 4  # at the edges of bins


def test_of_even_weights_there_is_no_histogram_and_of_none_that_are_numbers_no_range():
    even = layer_of(torch.full((3, 2), 0.5))
    assert even.histogram == {"ends": [0.5, 0.5], "counts": []}
    assert even.range_ratio == 1
    none = layer_of(torch.full((3, 2), float("nan")))
    assert (none.low, none.high, none.histogram["counts"]) == (0, 0, [])
    assert none.range_ratio is None
    part = torch.tensor([[1.0, -2.0], [float("inf"), 0.5]])
    assert (layer_of(part).low, layer_of(part).high) == (-2, 1)


def test_dead_channels_are_a_hundred_thousandth_of_the_largest_and_nearly_dead_ones_a_tenth_of_the_median():
    size = torch.tensor([100.0, 1.0, 1.0, 1.0, 0.99e-3, 1.01e-3, 0.04, 0.06, 0.0])
    found = layer_of(size[:, None])
    # Of the six that live the median is 1: a twentieth of it, behind no BatchNorm, is next to nothing.
    assert found.dead_channels == 2
    alive = [value for value in size.tolist() if value > 1e-3]
    median = sorted(alive)[(len(alive) - 1) // 2]
    nearly = [value for value in alive if value < 0.05 * median]
    assert found.nearly_dead_channels == len(nearly)
    left = [value for value in alive if value not in nearly]
    assert found.range_ratio == short(max(left) / min(left))


def test_a_batchnorm_brings_small_weights_back_by_its_factor():
    size = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.09])
    norm = nn.BatchNorm2d(5, eps=0.0)
    for factor, nearly in ((0.5, 1), (0.6, 0)):  # 0.09 times it: below and above a twentieth
        norm.weight.data = torch.tensor([1.0, 1, 1, 1, -2 * factor])
        norm.running_var = torch.tensor([1.0, 1, 1, 1, 4.0])
        assert layer_of(size[:, None], norm).nearly_dead_channels == nearly
    norm.weight.data[-1] = -0.8
    for least, nearly in ((0.09, 1), (0.1, 0)):  # a tenth of the median is enough
        size[-1] = least
        assert layer_of(size[:, None], norm).nearly_dead_channels == nearly
    assert layer_of(torch.tensor([[1.0], [1], [1], [0.11]])).nearly_dead_channels == 0


class Around(nn.Module):
    """Each way in which a BatchNorm and an activation can stand around a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d, self.e = (nn.Conv2d(3, 3, 1) for _ in range(5))
        self.n1, self.n2, self.n3 = (nn.BatchNorm2d(3) for _ in range(3))
        self.act = nn.SiLU()

    def forward(self, x):
        x = self.act(self.n1(self.a(x)))
        x = torch.relu(self.b(x))
        y = self.c(self.act(self.n2(x + 1)))
        z = self.d(self.n3(y + 1))
        return self.e(torch.relu(z) + z)


def test_what_stands_around_a_layer_is_told_where_nothing_else_reads_between():
    found = {one.path: one for one in dissect(ready(Around()), (3, 4, 4)).layers}
    told = {
        path: (one.batchnorm_before, one.batchnorm_behind, one.activation)
        for path, one in found.items()
    }
    assert told == {
        "a": ("", "n1", "silu"), "b": ("", "", "relu"), "c": ("n2", "", ""), "d": ("n3", "", ""),
        "e": ("", "", ""),
    }  # fmt: skip


def test_a_layer_that_runs_twice_has_the_work_of_both_and_its_parameters_once():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = (
                nn.Conv2d(4, 4, 3, padding=1, groups=2),
                nn.Linear(4, 2, bias=False),
            )

        def forward(self, x):
            return self.head(self.conv(self.conv(x)).mean((2, 3)))

    anatomy = dissect(ready(Twice()), (4, 5, 6))
    conv, head = anatomy.layers
    assert (conv.calls, conv.macs) == (2, 2 * 4 * 30 * 2 * 9)
    assert (conv.parameters, conv.output, conv.kind, conv.has_bias) == (
        4 * 2 * 9 + 4,
        [4, 5, 6],
        "grouped",
        True,
    )
    assert (head.calls, head.macs, head.parameters, head.has_bias) == (1, 8, 8, False)
    assert anatomy.macs == conv.macs + head.macs
    assert (anatomy.outputs, anatomy.unused, anatomy.untraceable) == (2, [], "")


def test_a_layer_has_its_own_parameters_and_not_those_of_a_module_inside():
    class Scaled(nn.Conv2d):
        def __init__(self) -> None:
            super().__init__(3, 4, 3, padding=1)
            self.inner = nn.BatchNorm2d(4)

        def forward(self, x):
            return self.inner(super().forward(x))

    net = ready(nn.Sequential(Scaled(), nn.Flatten(), nn.Linear(4 * 4, 2)))
    assert dissect(net, (3, 2, 2)).layers[0].parameters == 4 * 3 * 9 + 4


@pytest.mark.parametrize(
    ("biases", "said"), [((True, True), "each has a bias"), ((True, False), "1 have a bias")]
)
def test_convolutions_without_batchnorm_are_counted_without_linear_layers(biases, said):
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=biases[0]), nn.Conv2d(4, 4, 3, bias=biases[1]), nn.Flatten(),
        nn.Linear(4 * 16, 2),
    ).eval()  # fmt: skip
    (found,) = without_batchnorm(net, dissect(net, (3, 8, 8)))
    assert "2 convolutions, from 0 on" in found.message
    assert said in found.message
    only = nn.Sequential(nn.Flatten(), nn.Linear(192, 2)).eval()
    assert list(without_batchnorm(only, dissect(only, (3, 8, 8)))) == []
