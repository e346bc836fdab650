"""The problem of one layer, told apart image by image: which patches, of which images, in which order."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.quantization.rounding.patches import LayerProblem, PatchSettings, layer_problem

ALL = PatchSettings(share=1.0, overlap=True, most=10**6)
BLOCK = SimpleNamespace(paths=("layer",), layers=("layer",), run=lambda model, x: model(x))


class Halves(nn.Module):
    """Stands for an input's grid: what the student's layer reads is not what the teacher's does."""

    def forward(self, x):
        return x / 2


def student(layer):
    """A network of this one layer, as a quantized one has it."""
    model = nn.Sequential()
    layer.input_quantizer = Halves()
    layer.float_weight = layer.weight
    rising = torch.arange(len(layer.weight) * 3.0).view(-1, 3)
    layer.weight_quantizer = SimpleNamespace(levels=lambda: rising)
    model.add_module("layer", layer)
    return model


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def posed(layer, x, settings=ALL, seen=None):
    return layer_problem(
        student(layer), BLOCK, "layer", x_teacher=x, x_student=x if seen is None else seen,
        settings=settings, rng=rng(),
    )  # fmt: skip


def of_each_image(x):
    """[images, ...] whose values tell the image: 1 for the first."""
    return torch.arange(1.0, len(x) + 1).view(-1, *[1] * (x.dim() - 1)) * torch.ones_like(x)


@torch.no_grad()
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_group_s_weights_times_its_patches_are_its_outputs(groups):
    layer = nn.Conv2d(4, 8, 3, padding=1, groups=groups, bias=False)
    x, seen = torch.randn(2, 3, 4, 5, 5, generator=rng())
    p = posed(layer, x, seen=seen)
    assert p.weight.shape == (groups, 8 // groups, 4 // groups * 9)
    assert p.levels.flatten().tolist() == list(range(24))
    assert p.levels.shape == (groups, 8 // groups, 3)
    for told, image in ((p.x_teacher, x), (p.x_student, seen / 2)):
        wanted = F.conv2d(image, layer.weight, padding=1, groups=groups)
        found = (p.weight @ told).flatten(0, 1).view(8, 3, 25)  # a patch behind another, by image
        by_size = found.sort(-1).values.movedim(1, 0)  # patches of one image are in an order drawn
        assert torch.allclose(by_size, wanted.flatten(2).sort(-1).values, atol=1e-5)
    assert p.held_teacher.shape == p.held_student.shape == (groups, 4 // groups * 9, 0)


@torch.no_grad()
def test_teacher_and_student_are_asked_for_the_same_patches_and_the_layer_is_as_it_was():
    layer, x = nn.Conv2d(2, 3, 3, bias=False), torch.randn(9, 2, 6, 6, generator=rng())
    settings = PatchSettings(share=0.4, overlap=True, most=10**6)
    p = posed(layer, x, settings)
    assert p.x_teacher.shape == (1, 18, 8 * round(0.4 * 16))
    assert torch.equal(p.x_student, p.x_teacher / 2)
    assert torch.equal(p.held_student, p.held_teacher / 2)
    assert isinstance(layer.input_quantizer, Halves)
    assert layer.weight_quantizer is not None
    other = posed(layer, x, settings)
    assert torch.equal(other.x_teacher, p.x_teacher), "the same draw, the same patches"


@torch.no_grad()
def test_every_eighth_image_is_kept_back():
    x = of_each_image(torch.ones(70, 2, 3, 3))  # more than are computed at a time
    p = posed(nn.Conv2d(2, 3, 3, bias=False), x)
    assert p.held_teacher[0, 0].tolist() == [8, 16, 24, 32, 40, 48, 56, 64]
    assert p.x_teacher[0, 0].tolist() == [k for k in range(1, 71) if k % 8]
    assert (p.x_teacher == p.x_teacher[:, :1]).all()


@torch.no_grad()
@pytest.mark.parametrize(
    ("share", "overlap", "most", "each"),
    [(1.0, True, 10**6, 16), (0.3, True, 10**6, 5), (1.0, False, 10**6, 4), (0.5, False, 10**6, 2),
     (1.0, True, 39, 13), (1.0, True, 2, 1), (0.01, True, 10**6, 1)],
)  # fmt: skip
def test_so_many_patches_of_each_image_and_none_twice(share, overlap, most, each):
    """A kernel of 3 at 6 x 6: 16 places where patches overlap, 4 side by side."""
    x = torch.arange(3 * 36.0).view(3, 1, 6, 6)
    settings = PatchSettings(share=share, overlap=overlap, most=most)
    p = posed(nn.Conv2d(1, 1, 3, bias=False), x, settings)
    corners = p.x_teacher[0, 0].view(3, each)  # the first value of each patch tells where it lies
    step = 1 if overlap else 3
    for k, found in enumerate(corners.tolist()):
        places = {
            36 * k + 6 * row + column for row in range(0, 4, step) for column in range(0, 4, step)
        }
        assert len(set(found)) == each
        assert set(found) <= places


@torch.no_grad()
def test_patches_are_drawn_for_each_image_alone():
    x = torch.arange(36.0).view(1, 1, 6, 6).repeat(3, 1, 1, 1)
    p = posed(nn.Conv2d(1, 1, 3, bias=False), x, PatchSettings(share=0.5, overlap=True, most=10**6))
    first, second, third = p.x_teacher[0, 0].view(3, 8).tolist()
    assert first != second != third != first


@torch.no_grad()
def test_a_linear_layer_reads_each_image_or_each_token():
    layer = nn.Linear(3, 2, bias=False)
    for shape in ((9, 3), (9, 4, 3)):
        x = torch.randn(shape, generator=rng())
        p = posed(layer, x)
        kept = x[[k for k in range(9) if k != 7]].reshape(-1, 3)
        assert p.weight.shape == (1, 2, 3)
        assert p.x_teacher.shape[2] == len(kept)
        found = {tuple(column) for column in p.x_teacher[0].T.tolist()}
        assert found == {tuple(row) for row in kept.tolist()}


def test_an_error_is_relative_to_the_output_and_told_of_either_images():
    weight = torch.tensor([[[1.0, 2.0]]])
    x, held = torch.tensor([[[1.0, 0.0], [1.0, 2.0]]]), torch.tensor([[[3.0], [0.0]]])
    p = LayerProblem(weight, torch.zeros(1, 1, 2), x, x + 1, held, held * 2)
    # outputs 3, 4; of weights 1, 1 on what the student sees: 4, 4
    other = torch.ones(1, 1, 2)
    assert p.error(other, held_out=False) == pytest.approx(1 / 5)
    assert p.error(other, held_out=True) == pytest.approx(1.0)  # 3 wanted, 6 computed
