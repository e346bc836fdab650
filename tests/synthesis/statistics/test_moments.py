"""Moments of images and classes beside naive loops."""

import pytest
import torch
from torch import nn

from engine.quantization.transforms.bias_and_batchnorm_correction import _Sums
from engine.synthesis.statistics.batchnorm import StoredStatistics
from engine.synthesis.statistics.moments import (
    EPS,
    Moments,
    as_maps,
    batch_moments,
    class_moments,
    image_moments,
    pooled,
)
from tests.contracts.nets import TinyResNet, images, ready
from tests.toys import ConvWithoutBn

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def naive(x):
    """Mean and sqrt(unbiased variance + EPS) of every image and channel, one at a time."""
    mean, std = torch.empty(2, *x.shape[:2], dtype=torch.float64)
    for n, image in enumerate(x.double()):
        for c, channel in enumerate(image):
            values = channel.flatten()
            mean[n, c] = sum(values) / len(values)
            squares = sum((values - mean[n, c]) ** 2)
            std[n, c] = (squares / max(len(values) - 1, 1) + EPS) ** 0.5
    return mean, std


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (2, 5, 1, 1), (1, 2, 3, 3)])
def test_moments_of_each_image_are_those_of_a_loop(layout, shape):
    x = (1.5 * torch.randn(shape) - 2).contiguous(memory_format=layout)
    seen = image_moments(x)
    mean, std = naive(x)
    assert seen.count == shape[2] * shape[3]
    assert torch.allclose(seen.mean.double(), mean, atol=1e-5)
    assert torch.allclose(seen.std.double(), std, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_of_each_image_s_moments_are_autograd_s_own(layout):
    x = torch.randn(3, 2, 4, 5).contiguous(memory_format=layout).requires_grad_()
    weights = torch.randn(2, 3, 2)
    seen = image_moments(x)
    (weights[0] * seen.mean + weights[1] * seen.std).sum().backward()
    y = x.detach().double().requires_grad_()
    std = (y.var((2, 3)) + EPS).sqrt()
    (weights[0] * y.mean((2, 3)) + weights[1] * std).sum().backward()
    assert torch.allclose(x.grad.double(), y.grad, atol=1e-5)


def spoilt(ratio, layout=torch.contiguous_format):
    """Values of deviation 1 around `ratio`, exactly in float32: channel 0; around 0: channel 1."""
    steps = torch.tensor([-1.5, -0.5, 0.5, 1.5]).repeat(32).view(4, 2, 4, 4)
    return (steps + torch.tensor([ratio, 0.0]).view(1, 2, 1, 1)).contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ratio", [100.0, 1000.0, -3e4, 1e6])
def test_a_variance_far_from_0_is_exact(layout, ratio):
    """E[x²] − m² in float32 was 4 to 221 % off there."""
    x = spoilt(ratio, layout)
    wanted = 1.25 * 64 / 63
    seen = batch_moments(x)
    assert seen.std.square().tolist() == pytest.approx([wanted, wanted], rel=1e-5)
    rows = image_moments(x)
    assert rows.std.square() == pytest.approx(torch.full((4, 2), 1.25 * 16 / 15), rel=1e-5)
    assert pooled(rows).std.square().tolist() == pytest.approx([wanted, wanted], rel=1e-3)
    _, classes = class_moments(rows, torch.tensor([0, 1, 0, 1]))
    assert classes.variance == pytest.approx(torch.full((2, 2), 1.25), rel=1e-3)
    x.requires_grad_()
    batch_moments(x).std.sum().backward()
    assert torch.allclose(x.grad[:, 0], x.grad[:, 1], rtol=0.3, atol=1e-4)


def test_ordinary_variances_take_one_pass_and_keep_every_bit():
    x = torch.randn(4, 5, 6, 6) + 2
    flat = x.permute(0, 2, 3, 1).reshape(-1, 5)
    plain = (flat.square().mean(0) - flat.mean(0).square()) * (len(flat) / (len(flat) - 1))
    assert torch.equal(batch_moments(x).std, plain.sqrt())


@pytest.mark.parametrize("ratio", [1e3, 1e6])
def test_corrections_measure_variances_far_from_0(ratio):
    sums = _Sums(1)
    for chunk in spoilt(ratio).split(2):
        sums.add("", chunk)
    assert sums.moments().var.tolist() == pytest.approx([1.25, 1.25], rel=1e-3)


def test_an_even_image_has_a_finite_gradient():
    x = torch.full((2, 1, 3, 3), 5.0, requires_grad=True)
    image_moments(x).std.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_moments_of_the_batch_follow_from_those_of_its_images():
    x = torch.randn(5, 3, 4, 4) * torch.rand(5, 3, 1, 1) + torch.randn(5, 3, 1, 1)
    together, direct = pooled(image_moments(x)), batch_moments(x)
    assert together.count == direct.count == 80
    assert torch.allclose(together.mean, direct.mean, atol=1e-5)
    assert torch.allclose(together.std, direct.std, atol=1e-4)


def test_moments_of_each_class_are_those_of_its_images_alone():
    x, labels = torch.randn(6, 2, 3, 3), torch.tensor([4, 1, 4, 4, 1, 7])
    classes, seen = class_moments(image_moments(x), labels)
    assert classes.tolist() == [1, 4, 7]
    for row, label in enumerate(classes):
        alone = x[labels == label]
        assert torch.allclose(seen.mean[row], alone.mean((0, 2, 3)), atol=1e-5)
        biased = alone.var((0, 2, 3), correction=0)
        assert torch.allclose(seen.variance[row], biased, atol=1e-4)


def test_soft_labels_count_for_their_most_probable_class():
    x, soft = torch.randn(2, 1, 2, 2), torch.tensor([[0.6, 0.4], [0.1, 0.9]])
    classes, seen = class_moments(image_moments(x), soft)
    assert classes.tolist() == [0, 1]
    assert torch.allclose(seen.mean, x.mean((2, 3)), atol=1e-6)


def test_the_variance_is_divided_by_the_number_of_values():
    x = torch.tensor([1.0, 2.0, 3.0, 6.0]).view(1, 1, 2, 2)
    assert batch_moments(x).variance.item() == pytest.approx(3.5)  # (4 + 1 + 0 + 9) / 4
    assert Moments(torch.zeros(1), torch.tensor([3.0])).variance.item() == 9.0


def test_one_pass_observes_everything_alike():
    teacher, x = ready(TinyResNet()), images(6)
    stored = StoredStatistics(teacher, (3, 8, 8))
    assert (stored.outputs, stored.classifier) == (3, "head.2")
    passes = []
    handle = teacher.register_forward_hook(lambda *_: passes.append(1))
    seen = stored.observe(teacher, x, per_image=True, features=True, outputs=["stem.0"])
    handle.remove()
    assert len(passes) == 1
    plain = stored.observe(teacher, x)
    assert (plain.per_image, plain.features, plain.outputs) == (None, None, None), "not asked for"
    for a, b in zip(seen.moments, plain.moments, strict=True):
        assert torch.allclose(a.mean, b.mean, atol=1e-5)
        assert torch.allclose(a.std, b.std, atol=1e-4)
    assert torch.allclose(teacher.head[2](seen.features), seen.logits)
    assert torch.allclose(seen.outputs[0].mean, teacher.stem[0](x).mean((0, 2, 3)), atol=1e-5)


def test_what_is_no_classifier_has_no_scores():
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 1)

        def forward(self, x):
            return self.conv(x)

    stored = StoredStatistics(Dense().eval(), (1, 4, 4))
    assert (stored.outputs, stored.classifier) == (0, "")
    assert StoredStatistics(ConvWithoutBn().eval(), (1, 4, 4)).classifier == ""


def test_tokens_are_maps_of_one_column_and_channels_come_second():
    tokens = torch.arange(24.0).view(2, 4, 3)  # 2 images, 4 tokens, 3 channels
    maps = as_maps(tokens)
    assert maps.shape == (2, 3, 4, 1)
    assert torch.equal(maps[1, 2, :, 0], tokens[1, :, 2])
    assert as_maps(maps) is maps
