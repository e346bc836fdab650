"""What is minimised: Fisher weights against finite differences, the prediction difference by hand."""

import pytest
import torch

from engine.models.graph.rest_of_network import Rest
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization.reconstruction.objectives import (
    EmbeddingDistance,
    PredictionDifference,
    embedding_distances,
    fisher_distance,
    fisher_gradient,
    power_distance,
    squared_distance,
)
from engine.quantization.reconstruction.reconstruction_method import JointSettings, prediction_of
from engine.quantization.student import fit_block
from tests.contracts.nets import quantizing


class Cut:
    """A teacher and its student, cut behind one block."""

    def __init__(self, at=1):
        self.work = work = quantizing(rule="all")
        work.teacher.double()
        work.student.double()
        work.images = work.images.double()
        plan = WalkPlan(work.teacher, work.blocks)
        walks = [Walk(model, plan, work.images, 4) for model in (work.teacher, work.student)]
        for block in work.blocks[: at + 1]:
            self.block, self.x = block, walks[1].to(block)
            fit_block(work.student, block, self.x)
            walks[1].through(block)
        self.y = walks[0].through(self.block)
        self.rest = Rest(work.teacher, plan, self.block, work.images)
        self.all = torch.arange(len(self.y))


def kl(cut, out):
    """Σ over classes of p·ln(p / q), written out, for each image."""
    p = cut.rest(cut.y, cut.all).softmax(1)
    q = cut.rest(out, cut.all).softmax(1)
    return (p * (p / q).log()).sum(1)


def test_fisher_gradients_are_those_of_finite_differences():
    cut = Cut()
    found = fisher_gradient(cut.work.student, cut.block, cut.x, cut.y, cut.rest)
    out = cut.block.run(cut.work.student, cut.x)
    assert found.shape == out.shape
    for place in [(0, 0, 0, 0), (3, 2, 1, 1), (7, 5, 3, 2), (7, 5, 3, 3)]:
        up, down = out.clone(), out.clone()
        up[place] += 1e-5
        down[place] -= 1e-5
        slopes = (kl(cut, up) - kl(cut, down)) / 2e-5
        image = place[0]
        assert float(found[place]) == pytest.approx(float(slopes[image]), rel=1e-4, abs=1e-9)
        others = torch.arange(len(out)) != image
        assert float(slopes[others].abs().max()) == 0.0


def test_fisher_weights_are_squared_gradients_of_the_mean_1():
    gradient = torch.tensor([[[[1.0]], [[3.0]]], [[[0.0]], [[0.0]]]])  # two images of two channels
    distance = fisher_distance(gradient)
    ones, none = torch.ones(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)
    # squares 1, 9, 0, 0 of the mean 2.5: weights 0.4, 3.6 and nothing
    assert distance(ones, none, torch.tensor([0])).item() == pytest.approx(4.0)
    assert distance(ones, none, torch.tensor([1])).item() == 0.0
    # with the floor 1, (1 + |g| / mean |g|)² = 4, 16, 1, 1 of the mean 5.5
    floored = fisher_distance(gradient, 1.0)
    assert floored(ones, none, torch.tensor([0])).item() == pytest.approx(20 / 5.5)
    assert floored(ones, none, torch.tensor([1])).item() == pytest.approx(2 / 5.5)


def test_where_nothing_is_lost_errors_count_alike():
    assert fisher_distance(torch.zeros(2, 3)) is squared_distance


def test_a_power_of_2_is_the_squared_distance():
    rng = torch.Generator().manual_seed(0)
    out, target = (torch.randn(4, 3, 2, 2, generator=rng) for _ in range(2))
    index = torch.arange(4)
    squared = squared_distance(out, target)
    assert torch.allclose(power_distance(2.0)(out, target, index), squared)
    assert not torch.allclose(power_distance(2.4)(out, target, index), squared)


def test_the_prediction_difference_is_nothing_where_student_and_teacher_agree():
    cut = Cut()
    lost = PredictionDifference(cut.rest, cut.y, temperature=4.0, weight=10.0)
    assert lost(cut.y, cut.all).item() == pytest.approx(0.0, abs=1e-12)
    assert lost(cut.y + 1.0, cut.all).item() > 1e-6


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_prediction_difference_is_the_mean_kl_at_its_temperature(temperature):
    cut = Cut()
    index = torch.tensor([6, 2, 3])
    out = cut.block.run(cut.work.student, cut.x)[index]
    p = (cut.rest(cut.y[index], index) / temperature).softmax(1)
    q = (cut.rest(out, index) / temperature).softmax(1)
    wanted = 10.0 * float((p * (p / q).log()).sum()) / 3
    lost = PredictionDifference(cut.rest, cut.y, temperature=temperature, weight=10.0)
    assert lost(out, index).item() == pytest.approx(wanted, rel=1e-6)


class Alike:
    """A network that ends with the block: its answer is the block's output."""

    teacher = torch.nn.Identity()

    def __init__(self, *, classifier=False):
        self.classifier = classifier

    def __call__(self, y, index):
        return y


def test_the_distance_of_embeddings_by_hand():
    wanted = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]])
    out = torch.tensor([[4.0, 3.0], [7.0, 0.0], [0.0, -1.0]])
    # directions (.8, .6) for (.6, .8): 2 · .2²; only longer: 0; the other way round: 2² = 4
    assert embedding_distances(out, wanted).tolist() == pytest.approx([0.08, 0.0, 4.0], abs=1e-6)
    lost = EmbeddingDistance(Alike(), wanted, weight=10.0)
    assert lost(out, torch.arange(3)).item() == pytest.approx(10 * 4.08 / 3, rel=1e-6)
    assert lost(out[[0]], torch.tensor([0])).item() == pytest.approx(0.8, rel=1e-6)


def test_gradients_of_the_distance_of_embeddings_are_those_of_finite_differences():
    cut = Cut()
    lost = EmbeddingDistance(cut.rest, cut.y, weight=10.0)
    index = torch.tensor([1, 6])
    out = cut.block.run(cut.work.student, cut.x)[index].detach()
    assert lost(cut.y, cut.all).item() == pytest.approx(0.0, abs=1e-12)
    assert torch.autograd.gradcheck(lambda y: lost(y, index), (out.requires_grad_(),))


def test_fisher_gradients_without_classes_are_those_of_embeddings():
    cut = Cut()
    cut.rest.classifier = False
    found = fisher_gradient(cut.work.student, cut.block, cut.x, cut.y, cut.rest)
    out = cut.block.run(cut.work.student, cut.x)
    wanted = cut.rest(cut.y, cut.all)
    for place in [(0, 0, 0, 0), (7, 5, 3, 2)]:
        up, down = out.clone(), out.clone()
        up[place] += 1e-5
        down[place] -= 1e-5
        at = [embedding_distances(cut.rest(y, cut.all), wanted)[place[0]] for y in (up, down)]
        assert float(found[place]) == pytest.approx(float(at[0] - at[1]) / 2e-5, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize(
    ("chosen", "classifier", "wanted"),
    [
        ("auto", True, PredictionDifference),
        ("auto", False, EmbeddingDistance),
        ("kl", False, PredictionDifference),
        ("embedding", True, EmbeddingDistance),
    ],
)
def test_answers_are_compared_as_chosen_or_as_suits_the_network(chosen, classifier, wanted):
    settings = JointSettings(prediction=chosen, prediction_weight=1.0)
    made = prediction_of(settings, torch.randn(2, 3), Alike(classifier=classifier))
    assert type(made) is wanted
