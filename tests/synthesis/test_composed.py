"""A step of a composed method: down the weighted sum of its losses, and what it keeps of it."""

from dataclasses import dataclass

import pytest
import torch

from engine.core.layout import channels_last
from engine.core.method import MethodCard, Settings, knob
from engine.core.optimisers import SGD
from engine.synthesis.canvas import Pixels
from engine.synthesis.composed import ComposedMethod, Composition
from engine.synthesis.loss import Loss
from engine.synthesis.schedules import Optimiser, steady
from tests.contracts.nets import TinyResNet, images, ready, request


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoSettings(Settings):
    steps: int = knob(4, label="Steps", help="steps", low=1, high=9, quick=4, standard=4)


class Power(Loss):
    """The mean of the pixels to a power: its slope is known."""

    def __init__(self, power):
        self.power = power

    def __call__(self, scene):
        return scene.shown.pow(self.power).mean()


class Heard:
    """A schedule that only listens."""

    def __init__(self):
        self.told = []

    def after_step(self, total, steps_done):
        self.told.append((float(total), steps_done))


class Two(ComposedMethod):
    """2 · mean x² + 3 · mean x, by plain gradient descent; a loss of weight 0 beside them."""

    card = MethodCard(name="two", title="Two", summary="two", paper="none", url="none")
    Settings = TwoSettings
    rate, keeps, half = 0.5, False, False

    def compose(self):
        self.start = images(2).clone()
        canvas, self.heard = Pixels(self.start.clone()), Heard()
        sgd = SGD(canvas.parameters(), self.rate)
        return Composition(
            canvas=canvas,
            losses={"square": (2.0, Power(2)), "mean": (3.0, Power(1)), "off": (0.0, Power(3))},
            optimisers={"pixels": Optimiser(sgd, self.heard)},
            transforms=[lambda x, rng, step: x * (step + 1)],
            keep_best=self.keeps,
            bfloat16=self.half,
        )


def made(**changes):
    cls = type("Made", (Two,), changes)
    return cls(request(TwoSettings, shape=(2, 3, 8, 8)))


def test_a_step_goes_down_the_sum_of_the_losses_each_times_its_weight():
    machine = made()
    x, n = machine.start, machine.start.numel()
    for factor in (1, 2):  # the transform's: it is told how many steps were taken before
        seen = factor * x
        square, mean = 2 * float(seen.square().mean()), 3 * float(seen.mean())
        losses = machine.step()
        assert set(losses) == {"square", "mean"}
        assert float(losses["square"]) == pytest.approx(square, rel=1e-5)
        assert float(losses["mean"]) == pytest.approx(mean, rel=1e-4)
        assert machine.heard.told[-1] == (pytest.approx(square + mean, rel=1e-5), factor)
        # What is kept is what the losses were measured on.
        assert torch.allclose(machine.images(), x, atol=1e-6)
        x = x - 0.5 * factor * (4 * seen + 3) / n
        assert torch.allclose(machine.parts.canvas.pixels.detach(), x, atol=1e-6)


def test_the_best_images_are_those_of_the_least_sum_so_far():
    """The rate throws the pixels away from where they begin, so that the first images stay the best."""
    far = {"rate": 1e6}
    kept, last = made(keeps=True, **far), made(**far)
    for machine in (kept, last):
        for _ in range(3):
            machine.step()
    totals = [total for total, _ in kept.heard.told]
    assert totals[0] == min(totals)
    assert torch.equal(kept.images(), kept.start)
    assert not torch.equal(last.images(), last.start)
    falling = made(keeps=True)
    falling.parts.transforms = ()
    for _ in range(3):
        before = falling.parts.canvas.pixels.detach().clone()
        falling.step()
        assert torch.equal(falling.images(), before)


def test_a_pass_in_half_the_width_gives_floats_that_differ_by_its_rounding_alone():
    whole, half = made(), made(half=True)
    for machine in (whole, half):
        machine.step()
    assert half.latest.logits.dtype == torch.float32
    assert not torch.equal(half.latest.logits, whole.latest.logits)
    assert torch.allclose(half.latest.logits, whole.latest.logits, atol=0.1, rtol=0.05)
    assert torch.equal(half.latest.logits, half.latest.logits.bfloat16().float())
    assert not torch.equal(whole.latest.logits, whole.latest.logits.bfloat16().float())


def test_a_steady_rate_is_the_initial_one():
    optimizer = SGD([torch.zeros(1, requires_grad=True)], 0.7)
    schedule = steady(optimizer)
    for done in range(1, 4):
        optimizer.step()
        schedule.after_step(torch.zeros(()), done)
        assert optimizer.param_groups[0]["lr"] == 0.7


def test_what_is_kept_does_not_move_with_the_pixels_where_the_network_reads_them_as_they_lie():
    """Channels last, nothing is copied on the way to the network."""
    teacher = ready(TinyResNet())
    channels_last(teacher)
    machine = type("Made", (Two,), {})(request(TwoSettings, teacher, shape=(2, 3, 8, 8)))
    machine.step()
    assert torch.equal(machine.images(), machine.start)
    assert not torch.equal(machine.parts.canvas.pixels, machine.start)


def test_labels_have_a_reading_the_share_that_the_teacher_takes_for_them():
    machine = made()
    machine.step()
    assert machine.readings() == {}
    said = machine.latest.logits.argmax(1)
    machine.parts.labels = torch.stack([said[0], (said[1] + 1) % 3])
    assert machine.readings() == {"teacher_share": 0.5}
    machine.parts.labels = said[:1]  # of other images than it saw
    assert machine.readings() == {}
