"""GENIE-D's parts against the paper: generator, swing convolution, image prior, learning rates."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from engine.core.sampling.randomness import stream
from engine.synthesis.generators.networks.doubling import DoublingConv2d
from engine.synthesis.generators.networks.genie_generator import LATENT, Generator
from engine.synthesis.generators.networks.lean_generator import SEED_SIDE, LeanGenerator, doublings
from engine.synthesis.losses import statistics as statistics_loss
from engine.synthesis.losses.images import image_prior
from engine.synthesis.methods.genie import Genie, GenieSettings
from engine.synthesis.statistics.batchnorm import StoredStatistics, moment_distance
from engine.synthesis.swing import _Shifted, with_swing
from tests.contracts.nets import TinyResNet, ready, request


def make(images=4, **settings):
    given = {"steps": 1000, "batch": images} | settings
    return Genie(request(GenieSettings, shape=(images, 3, 8, 8), **given))


# --- generator ----------------------------------------------------------------------------------


def generated(height, width, channels=3, count=16):
    torch.manual_seed(0)
    return Generator(channels, height, width)(torch.randn(count, LATENT))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (12, 20), (30, 30), (7, 7)])
def test_generated_batches_have_mean_0_and_std_1_per_channel(height, width):
    made = generated(height, width)
    assert made.shape == (16, 3, height, width)
    std, mean = torch.std_mean(made, dim=(0, 2, 3), correction=0)
    assert torch.allclose(mean, torch.zeros(3), atol=1e-5)
    assert torch.allclose(std, torch.ones(3), atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(30, 30), (7, 9), (2, 2)])
def test_sides_need_not_be_multiples_of_4(height, width):
    made = generated(height, width, channels=1)
    assert made.shape == (16, 1, height, width)
    assert torch.isfinite(made).all()


def test_the_generator_has_the_papers_parameters():
    """At 32x32, 3 colours: 256 -> 128·8² linear, two convolutions, two affine BatchNorms."""
    linear = 256 * 128 * 64 + 128 * 64
    convolutions = (128 * 64 * 9 + 64) + (64 * 3 * 9 + 3)
    assert sum(p.numel() for p in Generator(3, 32, 32).parameters()) == (
        linear + convolutions + 2 * (128 + 64)
    )


@pytest.mark.parametrize("size", [(1, 1), (4, 5), (3, 2)])
def test_doubling_and_convolution_as_one_are_the_two_one_after_the_other(size):
    """Values and gradients, borders too, against nearest upsampling and a plain convolution."""
    as_one = DoublingConv2d(3, 5)
    plain = nn.Conv2d(3, 5, 3, padding=1)
    plain.load_state_dict(as_one.state_dict())
    x, other = (torch.randn(2, 3, *size).requires_grad_() for _ in range(2))
    other.data.copy_(x.data)
    y = as_one(x)
    wanted = plain(nn.functional.interpolate(other, scale_factor=2, mode="nearest"))
    assert torch.allclose(y, wanted, atol=1e-5)
    pull = torch.randn_like(y)
    (y * pull).sum().backward()
    (wanted * pull).sum().backward()
    assert torch.allclose(x.grad, other.grad, atol=1e-5)
    assert torch.allclose(as_one.weight.grad, plain.weight.grad, atol=1e-4)
    assert torch.allclose(as_one.bias.grad, plain.bias.grad, atol=1e-4)


# --- the lean generator -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "times"), [(8, 2), (32, 2), (56, 2), (57, 3), (112, 3), (224, 4), (300, 5)]
)
def test_the_lean_generator_begins_at_14_pixels_at_most(side, times):
    assert doublings(side, 8) == doublings(8, side) == times
    assert times == 2 or -(-side // 2**times) <= SEED_SIDE < -(-side // 2 ** (times - 1))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (60, 9), (113, 70)])
def test_images_of_the_lean_generator_have_mean_0_and_std_1_per_channel(height, width):
    torch.manual_seed(0)
    made = LeanGenerator(3, height, width)(torch.randn(6, LATENT))
    assert made.shape == (6, 3, height, width)
    std, mean = torch.std_mean(made, dim=(0, 2, 3), correction=0)
    assert torch.allclose(mean, torch.zeros(3), atol=1e-5)
    assert torch.allclose(std, torch.ones(3), atol=1e-3)


def test_where_images_are_small_the_lean_generator_is_genies():
    ours, theirs = LeanGenerator(3, 32, 32), Generator(3, 32, 32)
    weights = list(theirs.state_dict().values())
    ours.load_state_dict(dict(zip(ours.state_dict(), weights, strict=True)))
    z = torch.randn(4, LATENT)
    assert torch.equal(ours(z), theirs(z))


def test_at_224_pixels_the_lean_generator_has_a_tenth_of_the_weights():
    with torch.device("meta"):
        ours, theirs = LeanGenerator(3, 224, 224), Generator(3, 224, 224)
    count = [sum(p.numel() for p in one.parameters()) for one in (ours, theirs)]
    assert 10 * count[0] < count[1]


def test_genie_grows_its_images_out_of_the_generator_that_is_chosen():
    made = make(generator="lean")
    assert isinstance(made.parts.canvas.generator, LeanGenerator)
    assert isinstance(make().parts.canvas.generator, Generator)
    before = made.images()
    made.step()
    assert not torch.equal(made.images(), before)


# --- swing convolution --------------------------------------------------------------------------


def strided(kernel=1, padding=0, channels=1):
    return nn.Sequential(nn.Conv2d(channels, 2, kernel, 2, padding), nn.ReLU()).eval()


def nine_shifts(conv, x):
    """What the plain convolution makes of each of the nine shifted inputs, by their offsets."""
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    height, width = x.shape[-2:]
    return {
        (dy, dx): conv(torch.from_numpy(padded[..., dy : dy + height, dx : dx + width].copy()))
        for dy in range(3)
        for dx in range(3)
    }


@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (3, 1), (5, 2)])
@torch.no_grad()
def test_a_strided_convolution_sees_one_of_nine_shifts(kernel, padding):
    net, x = strided(kernel, padding), torch.randn(2, 1, 8, 8)
    swinging = with_swing(net, stream(0, "swing"))
    wanted = nine_shifts(net, x)
    assert torch.equal(wanted[1, 1], net(x)), "the offset (1, 1) is no shift at all"
    drawn = Counter()
    for _ in range(270):
        made = swinging(x)
        (offset,) = (key for key, value in wanted.items() if torch.equal(made, value))
        drawn[offset] += 1
    assert len(drawn) == 9
    assert all(10 <= count <= 55 for count in drawn.values()), drawn  # 30 each on average


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("size", [(2, 2), (5, 4)])
def test_the_gradient_of_every_shift_is_that_of_padding_and_cutting(size, order):
    rng = stream(0, "shift")
    given = torch.randint(
        -9, 9, (2, 3, *size), generator=rng
    ).float()  # whole, so that sums are exact
    grad = torch.randint(-9, 9, (2, 3, *size), generator=rng).float()
    x = given.contiguous(memory_format=order).requires_grad_()
    for dy, dx in itertools.product((-1, 0, 1), repeat=2):
        padded = nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
        wanted = padded[..., 1 + dy : 1 + dy + size[0], 1 + dx : 1 + dx + size[1]]
        made = _Shifted.apply(x, dy, dx)
        assert torch.equal(made, wanted)
        assert made.is_contiguous(memory_format=order)
        one, other = (torch.autograd.grad(y, x, grad)[0] for y in (made, wanted))
        assert torch.equal(one, other), (dy, dx)


@torch.no_grad()
def test_layers_swing_independently_of_each_other():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 1, 1, 2), nn.Conv2d(1, 1, 1, 2)
            self.b.load_state_dict(self.a.state_dict())

        def forward(self, x):
            return torch.equal(self.a(x), self.b(x))

    swinging, x = with_swing(Two(), stream(0, "swing")), torch.randn(1, 1, 8, 8)
    together = sum(swinging(x) for _ in range(180))
    assert 5 <= together <= 45  # one in nine: 20 on average


@torch.no_grad()
def test_only_strided_convolutions_swing():
    teacher = ready(TinyResNet())
    swinging = with_swing(teacher, stream(0, "swing"))
    changed = [
        path
        for (path, now), before in zip(swinging.named_modules(), teacher.modules(), strict=True)
        if type(now) is not type(before)
    ]
    assert changed == ["down.conv1", "down.shortcut.0"]
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(swinging.stem(x), teacher.stem(x))


@torch.no_grad()
def test_the_teacher_does_not_swing():
    teacher, x = ready(TinyResNet()), torch.randn(2, 3, 8, 8)
    before = teacher(x)
    swinging = with_swing(teacher, stream(0, "swing"))
    swinging(x)
    assert torch.equal(teacher(x), before)
    assert teacher.state_dict().keys() == swinging.state_dict().keys()


@torch.no_grad()
def test_a_single_pixel_cannot_be_reflected_and_stays():
    net, x = strided(), torch.randn(2, 1, 1, 1)
    assert torch.equal(with_swing(net, stream(0, "swing"))(x), net(x))


# --- losses and learning rates ------------------------------------------------------------------


def test_the_image_prior_by_hand():
    """Means 1 and 0; unbiased variances 4/3 and 0: each image by itself, then their average."""
    x = torch.tensor([[0.0, 2.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0]]).view(2, 1, 2, 2)
    one = 1 + ((4 / 3) ** 0.5 - 1) ** 2
    other = 0 + (0 - 1) ** 2
    assert image_prior(x).item() == pytest.approx((one + other) / 2, rel=1e-5)
    assert image_prior(x.expand(2, 3, 2, 2)).item() == pytest.approx(3 * (one + other) / 2)


def test_the_weights_of_the_losses():
    losses = make().step()
    doubled = make(image_weight=2.0).step()
    assert doubled["batchnorm"].item() == losses["batchnorm"].item()
    assert doubled["image"].item() == pytest.approx(2 * losses["image"].item())
    assert set(make(image_weight=0.0).step()) == {"batchnorm"}


def largest_change(before, after):
    return max(float((after[key] - before[key]).abs().max()) for key in before)


def test_the_first_step_is_as_long_as_the_effective_learning_rates():
    """Adam's first step is the learning rate wherever there is a gradient: z 0.1, generator 0.01."""
    machine = make()
    machine_parameters = {f"generator.{layer}.weight" for layer in ("project", "grow.2", "grow.6")}

    def parts():
        state = machine.state_dict()["canvas"]
        weights = {key: value.clone() for key, value in state.items() if key in machine_parameters}
        return {"z": state["z"].clone()}, weights

    (z, weights) = parts()
    machine.step()
    (new_z, new_weights) = parts()
    assert largest_change(z, new_z) == pytest.approx(0.1, rel=1e-3)
    assert largest_change(weights, new_weights) == pytest.approx(0.01, rel=1e-3)


def rate(machine, name):
    return machine.state_dict()["optimisers"][name]["optimizer"]["param_groups"][0]["lr"]


def test_the_generators_learning_rate_falls_by_5_percent_every_100_steps():
    machine, seen = make(images=1, swing=False), {}
    for step in range(1, 202):
        machine.step()
        seen[step] = rate(machine, "g")
    assert seen[99] == 0.01
    assert seen[100] == seen[199] == pytest.approx(0.01 * 0.95)
    assert seen[200] == pytest.approx(0.01 * 0.95**2)


def without_progress(monkeypatch):
    def loss(self, scene):
        return scene.seen.logits.sum() * 0 + 1

    monkeypatch.setattr(statistics_loss.StatisticsLoss, "__call__", loss)


def test_the_latents_learning_rate_falls_tenfold_after_100_steps_without_progress(monkeypatch):
    without_progress(monkeypatch)
    machine, seen = make(images=1, swing=False, image_weight=0.0), {}
    for step in range(1, 420):
        machine.step()
        seen[step] = rate(machine, "z")
    assert seen[101] == 0.1  # the first step was progress, a hundred were not
    assert seen[102] == pytest.approx(0.01)
    assert min(seen.values()) == pytest.approx(1e-4)
    assert seen[419] == pytest.approx(1e-4)


def test_a_resumed_method_does_not_count_its_steps_anew(monkeypatch):
    """Saved at 60: both learning rates fall a little later, where they would have without a break."""
    without_progress(monkeypatch)
    first, second = (make(images=1, swing=False, image_weight=0.0) for _ in range(2))
    for _ in range(60):
        first.step()
    second.load_state_dict(first.state_dict())
    seen = {}
    for step in range(61, 104):
        second.step()
        seen[step] = (rate(second, "z"), rate(second, "g"))
    assert seen[99] == (0.1, 0.01)
    assert seen[101] == pytest.approx((0.1, 0.0095))
    assert seen[102] == pytest.approx((0.01, 0.0095))


def test_the_images_are_those_that_the_losses_were_measured_on():
    """An independent evaluation of them must give the reported losses."""
    machine = make(swing=False)
    for _ in range(3):
        losses = machine.step()
    teacher = ready(TinyResNet())
    stored = StoredStatistics(teacher, (3, 8, 8))
    seen = stored.observe(teacher, machine.images())
    again = sum(moment_distance(a, b) for a, b in zip(seen.moments, stored.moments, strict=True))
    assert again.item() == pytest.approx(losses["batchnorm"].item(), rel=1e-4)
    assert image_prior(machine.images()).item() == pytest.approx(losses["image"].item(), rel=1e-4)


def test_bfloat16_is_near_float32():
    exact, fast = make(swing=False).step(), make(swing=False, precision="bfloat16").step()
    for name, loss in exact.items():
        assert fast[name].item() == pytest.approx(loss.item(), rel=0.05)
        assert fast[name].dtype == torch.float32
