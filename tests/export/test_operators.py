"""Each operator that networks are made of, in ONNX Runtime beside torch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.core.errors import UserError
from engine.export.graph.levels import EvenLevels, ListedLevels
from engine.export.graph.write import write_graph
from tests.export.graphs import network, ran
from tests.thorough import thorough

SHAPE = (4, 9, 9)


class Made(nn.Module):
    """A function as a network."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x):
        return self.function(x, *self.parts)


def f(function, *parts):
    return Made(function, *parts)


def class_token(x):
    tokens = torch.ones(1, 1, 9).expand(len(x), -1, -1)
    return torch.cat([tokens, x.flatten(2).view(len(x), 36, 9)], 1)


def shuffled(x):
    return x.view(len(x), 2, 2, 9, 9).transpose(1, 2).reshape(len(x), -1, 9, 9)


LAYERS = {
    "strided": nn.Conv2d(4, 6, 3, stride=2, padding=1),
    "grouped, no bias": nn.Conv2d(4, 6, 3, groups=2, bias=False),
    "depthwise": nn.Conv2d(4, 4, 3, padding=1, groups=4),
    "dilated, uneven": nn.Conv2d(4, 3, (3, 1), padding=(2, 0), dilation=(2, 1)),
    "same": nn.Conv2d(4, 3, 4, padding="same"),
    "reflected": nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"),
    "circular": nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"),
    "transposed": nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
    "linear of rows": nn.Linear(9, 5),
    "flat linear": nn.Sequential(nn.Flatten(), nn.Linear(4 * 81, 5)),
    "batchnorm": nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4)),
    "batchnorm, not affine": nn.BatchNorm2d(4, affine=False),
    "layer norm": nn.LayerNorm((9, 9)),
    "group norm": nn.GroupNorm(2, 4),
}
FEW = ("strided", "grouped, no bias", "depthwise", "same", "linear of rows", "flat linear")
ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.ReLU(inplace=True), nn.LeakyReLU(0.2), nn.ELU(), nn.SELU(), nn.CELU(0.5),
    nn.SiLU(), nn.GELU(),
    nn.GELU("tanh"), nn.Hardswish(), nn.Hardsigmoid(), nn.Hardtanh(-0.5, 0.7), nn.Sigmoid(), nn.Tanh(),
    nn.Mish(), nn.Softplus(), nn.PReLU(4), nn.Softmax(1), nn.LogSoftmax(-1), nn.Dropout(),
]  # fmt: skip
POOLS = {
    "max": nn.MaxPool2d(3, 2, 1), "max, ceil": nn.MaxPool2d(2, ceil_mode=True),
    "average": nn.AvgPool2d(3, 2, 1), "average, no pad": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "global": nn.AdaptiveAvgPool2d(1), "adaptive": nn.AdaptiveAvgPool2d(3),
    "adaptive, uneven": nn.AdaptiveAvgPool2d((4, 2)), "adaptive, larger": nn.AdaptiveAvgPool2d(12),
    "adaptive max": nn.AdaptiveMaxPool2d(1), "pad": nn.ZeroPad2d((1, 2, 0, 3)),
    "nearest": nn.Upsample(scale_factor=2), "bilinear": nn.Upsample(size=(13, 17), mode="bilinear"),
    "corners": nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    "shuffle": nn.PixelShuffle(2),
}  # fmt: skip
FLOWS = {
    "residual": f(lambda x, c: F.relu(x + c(x)), nn.Conv2d(4, 4, 3, padding=1)),
    "in place": f(lambda x, c: c(x).add_(x).relu_().mul_(2), nn.Conv2d(4, 4, 3, padding=1)),
    "sum with a factor": f(lambda x: torch.add(x, x * 2, alpha=3)),
    "concatenation": f(lambda x, c: torch.cat([x, c(x), x], 1), nn.Conv2d(4, 2, 3, padding=1)),
    "channel shuffle": f(shuffled),
    "chunks": f(lambda x: torch.mul(*x.chunk(2, 1))),
    "uneven split": f(lambda x: x.split([1, 3], 1)[1]),
    "channels taken apart": f(lambda x: torch.stack([x[:, 0] * 2, x[:, 3] + 1], 1)),
    "slice": f(lambda x: x[:, 1:3, ::2, :-1]),
    "squeeze and excite": f(lambda x, c: x * c(x.mean((2, 3), keepdim=True)).sigmoid(), nn.Conv2d(4, 4, 1)),
    "means": f(lambda x: x.mean((2, 3)) - x.amax((2, 3)) + x.sum(dim=(2, 3))),
    "permuted": f(lambda x, m: m(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), nn.LayerNorm(4)),
    "attention": f(lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1)),
    "class token": f(class_token),
    "arithmetic": f(lambda x: (1 - x) / (x.abs() + 1).sqrt() - x.pow(2) * torch.where(x > 0, x, -x)),
    "rounding by hand": f(lambda x: (x.floor() + (x - x.floor() >= 0.3)).clamp(-1, 1)),
}  # fmt: skip


class Beside(nn.Module):
    """Modules side by side on the same images, each one's output as a row: one file for all of them."""

    def __init__(self, modules):
        super().__init__()
        self.side = nn.ModuleList(modules)
        self.widths = []

    def forward(self, x):
        rows = [module(x + 0).flatten(1) for module in self.side]
        self.widths = [row.shape[1] for row in rows]
        return torch.cat(rows, 1)


def check(modules, **options):
    """Every one of the named modules computes in ONNX Runtime what it computes in torch."""
    images = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    of = network(Beside(modules.values()), SHAPE, **options)
    theirs, ours = ran(of, images)
    assert theirs.shape == ours.shape
    ends = np.cumsum(of.module.widths)[:-1]
    for name, a, b in zip(modules, np.split(theirs, ends, 1), np.split(ours, ends, 1), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5, err_msg=name)


def test_layers():
    check(LAYERS)


@pytest.mark.parametrize("bits", [8, 2, *thorough(4)])
def test_layers_of_few_bits(bits):
    check({name: LAYERS[name] for name in FEW}, bits=bits)


@pytest.mark.parametrize("bits", [8, 2, *thorough(None, 4, 3)])
@pytest.mark.parametrize("levels", [(0, 255), (-8, 7), (-20, 235)])
def test_layers_of_few_bits_whose_inputs_have_few_too(bits, levels):
    """What a runtime has integer kernels for, and may take for what it is not."""
    rounded = EvenLevels(0.05, *levels)
    check(
        {
            "convolution": nn.Sequential(rounded, LAYERS["strided"], nn.ReLU(), rounded),
            "depthwise": nn.Sequential(rounded, LAYERS["depthwise"], nn.ReLU(), rounded),
            "linear": nn.Sequential(nn.Flatten(), rounded, nn.Linear(324, 5)),
            "linear, rounded": nn.Sequential(
                nn.Flatten(), rounded, nn.Linear(324, 5), nn.ReLU(), rounded
            ),
            "linear of rows": nn.Sequential(rounded, nn.Linear(9, 5, bias=False), rounded),
            "past a change of shape": nn.Sequential(
                rounded, nn.Flatten(), nn.Linear(324, 5), nn.ReLU(), rounded
            ),
            "transposed": nn.Sequential(rounded, LAYERS["transposed"], nn.ReLU(), rounded),
        },
        bits=bits,
    )


def test_activations():
    check({str(module): module for module in ACTIVATIONS})


def test_pools():
    check(POOLS)


def test_flows():
    check(FLOWS)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0, 255),
        (-128, 127),
        (0, 15),
        (-8, 7),
        (-2, 1),
        (0, 3),
        (-20, 235),
        (-200, 55),
        (-3, 12),
        (-255, 0),
    ],
)
def test_an_input_grid_rounds_as_torch_does_and_clips_at_its_ends(low, high):
    images = torch.linspace(0.1 * low - 0.3, 0.1 * high + 0.3, 4 * 81).view(1, *SHAPE)
    theirs, ours = ran(network(EvenLevels(0.1, low, high), SHAPE), images)
    np.testing.assert_array_equal(theirs, ours)
    assert np.unique(np.rint(ours / 0.1)).tolist() == list(range(low, high + 1))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_listed_levels_are_found_by_halving_ties_going_up(bits):
    levels = torch.tensor([-1.5, -0.5, 0.5, 1.5, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])[: 2**bits]
    images = torch.cat([torch.linspace(-3, 20, 4 * 81 - 3), torch.tensor([-1.0, 0.0, 1.0])]).view(
        1, *SHAPE
    )
    theirs, ours = ran(network(ListedLevels(levels), SHAPE), images)
    np.testing.assert_array_equal(theirs, ours)
    assert set(np.unique(ours)) == set(levels.tolist())


def test_what_has_no_form_in_onnx_is_refused_with_its_place():
    with pytest.raises(UserError, match=r"operator aten.cumsum.default in 'parts.0'"):
        write_graph(network(f(lambda x, c: c(x), Made(lambda x: x.cumsum(1))), SHAPE), "n")
    with pytest.raises(UserError, match="cannot be followed operator by operator"):
        write_graph(network(f(lambda x: x if float(x.sum()) > 0 else -x), SHAPE), "n")


def test_a_network_whose_code_fixes_the_batch_takes_one_image_at_a_time():
    module = f(lambda x: x.view(1, -1) if len(x) == 1 else x.flatten(1) * 1)
    of = network(module, SHAPE)
    written = write_graph(of, "n")
    assert not written.any_batch
    theirs, ours = ran(of, torch.randn(3, *SHAPE), written)
    np.testing.assert_array_equal(theirs, ours)
