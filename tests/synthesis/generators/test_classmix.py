"""Labels, single and superposed: sums, shares, and what losses make of them."""

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.synthesis.generators.networks import classmix
from engine.synthesis.generators.networks.classmix import ClassMix

MIX = ClassMix(torch.tensor([[2, 0], [1, 1]]), torch.tensor([[0.75, 0.25], [0.4, 0.6]]))


def test_a_mix_as_a_distribution_by_hand():
    """A class that is drawn twice has both weights."""
    assert not MIX.single
    assert MIX.soft(3).tolist() == [[0.25, 0.0, 0.75], [0.0, 1.0, 0.0]]
    assert torch.equal(MIX.labels(3), MIX.soft(3))


def test_an_ordinary_label_is_a_mix_of_one():
    mix = classmix.of_labels(torch.tensor([2, 0]))
    assert mix.single
    assert mix.labels(3).tolist() == [2, 0]
    assert mix.soft(3).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_superposed_labels_sum_to_1_with_weights_that_are_softmax_of_gaussians():
    mix = classmix.superposed(4000, 7, 3, stream(0, "mix"))
    assert mix.classes.shape == mix.weights.shape == (4000, 3)
    assert torch.allclose(mix.soft(7).sum(1), torch.ones(4000), atol=1e-6)
    # Differences of log λ are differences of two N(0, 1): mean 0, variance 2.
    step = mix.weights.log().diff(dim=1)[:, 0]
    assert abs(float(step.mean())) < 0.1
    assert float(step.var()) == pytest.approx(2, abs=0.2)
    # with replacement: the second class repeats the first in 1 of 7
    repeats = (mix.classes[:, 0] == mix.classes[:, 1]).float().mean()
    assert float(repeats) == pytest.approx(1 / 7, abs=0.03)
