"""A step of a distillation: what it minimises, number by number, and at which rates."""

import math

import numpy as np
import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.core.trace import first_value
from engine.quantization.distillation.learner import Learner, share
from engine.quantization.distillation.trainer import Distillation, DistillationSettings, divergence
from tests.contracts.nets import quantizing


class Plain(Learner):
    """The weights themselves, not quantized; it notes what it is told."""

    def __init__(self, student, blocks, lr=0.01):
        super().__init__(student, blocks)
        self.lr, self.told, self.penalty = lr, [], 0.0
        for layer in self.layers.values():
            layer.weight_quantizer = layer.input_quantizer = None
            layer.float_weight.requires_grad_()

    def groups(self):
        return [{"params": [layer.float_weight for layer in self.layers.values()], "lr": self.lr}]

    def begin(self, progress, rng):
        self.told.append(("begin", progress))

    def after(self, progress):
        self.told.append(("after", progress))

    def penalties(self, x, wanted, progress):
        self.seen = x, wanted
        weights = self.layers["head.2"].float_weight
        return {"penalty": self.penalty * weights.square().sum()} if self.penalty else {}

    def settle(self):
        pass


def machine_of(classifier=True, outputs=("down", "same", "same"), **chosen):
    work = quantizing(activation_bits=8)
    for module in work.student.modules():
        if getattr(module, "input_quantizer", None) is not None:
            module.input_quantizer = torch.nn.Identity()
    learner = Plain(work.student, work.blocks)
    with torch.no_grad():
        for layer in learner.layers.values():
            layer.float_weight.mul_(1.1)
    known = {"steps": 4, "batch": 8, "temperature": 2.0, "feature_weight": 0.0} | chosen
    return learner, Distillation(
        work.teacher, learner, work.images, outputs=outputs, settings=DistillationSettings(**known),
        classifier=classifier, rng=stream(0, "t"),
    )  # fmt: skip


def naive_divergence(got, wanted, temperature):
    total = 0.0
    for a, b in zip(got.tolist(), wanted.tolist(), strict=True):
        p, q = (np.exp(np.array(s) / temperature) for s in (b, a))
        p, q = p / p.sum(), q / q.sum()
        total += float((p * np.log(p / q)).sum())
    return temperature**2 * total / len(got)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_divergence_of_softened_scores_is_that_of_a_loop(temperature):
    rng = torch.Generator().manual_seed(0)
    got, wanted = torch.randn(2, 5, 4, generator=rng)
    found = float(divergence(got, wanted, temperature))
    assert found == pytest.approx(naive_divergence(got, wanted, temperature), rel=1e-4)


def test_a_share_of_the_energy_by_hand():
    assert float(share(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))) == pytest.approx(4 / 5)
    assert float(share(torch.zeros(2), torch.zeros(2))) == 0


@pytest.mark.parametrize("classifier", [True, False])
def test_answers_are_compared_by_divergence_or_by_their_share_of_energy(classifier):
    learner, machine = machine_of(classifier)
    found = machine.step()
    x, wanted = learner.seen
    _, again = machine_of(classifier)  # as it was before the step
    got = again._learner.student(x).detach()
    assert torch.allclose(wanted, again._teacher(x), atol=1e-6)
    by_hand = (
        naive_divergence(got, wanted, 2.0) if classifier
        else float((got - wanted).square().sum() / wanted.square().sum())
    )  # fmt: skip
    assert set(found) == {"answers"}
    assert float(found["answers"]) == pytest.approx(by_hand, rel=1e-3)


def test_features_count_as_the_mean_over_blocks_times_their_weight():
    learner, machine = machine_of(feature_weight=3.0)
    found = machine.step()
    x, _ = learner.seen
    _, again = machine_of(feature_weight=3.0)
    errors = []
    for path in ("down", "same"):  # each once
        got = first_value(again._learner.student, path, "output", x).detach()
        wanted = first_value(again._teacher, path, "output", x)
        errors.append(float((got - wanted).square().sum() / wanted.square().sum()))
    assert float(found["features"]) == pytest.approx(3 * sum(errors) / 2, rel=1e-4)


def test_a_step_goes_down_the_sum_of_all_losses():
    """With Adam a first step is the rate times the sign of the slope."""
    learner, machine = machine_of(feature_weight=1.0)
    learner.penalty = 50.0  # far more than the rest, and of the head alone
    before = learner.layers["head.2"].float_weight.detach().clone()
    losses = machine.step()
    assert set(losses) == {"answers", "features", "penalty"}
    moved = learner.layers["head.2"].float_weight.detach() - before
    assert torch.allclose(moved, -0.01 * before.sign(), atol=1e-5)


def test_rates_fall_along_half_a_cosine_and_the_learner_is_told_how_far_it_is():
    learner, machine = machine_of()
    rates = []
    for _ in range(4):
        rates.append(machine._optimiser.param_groups[0]["lr"])
        machine.step()
    assert rates == pytest.approx([0.01 * (1 + math.cos(math.pi * k / 4)) / 2 for k in range(4)])
    assert learner.told == [(when, k / 4) for k in range(4) for when in ("begin", "after")]


def test_every_image_s_answer_is_the_teacher_s_own_in_whichever_batch():
    _, machine = machine_of(batch=3)
    for _ in range(4):
        machine.step()
        x, wanted = machine._learner.seen
        assert torch.allclose(machine._teacher(x), wanted, atol=1e-6)
        assert len(x) == 3
