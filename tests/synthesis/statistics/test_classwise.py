"""Statistics per class, beside plain loops and values worked out by hand."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from engine.synthesis.loss import Scene
from engine.synthesis.losses.centres import Blur, ClassCentres
from engine.synthesis.losses.statistics import z_score
from engine.synthesis.statistics.batchnorm import Observation, StoredStatistics
from engine.synthesis.statistics.classwise import ClassMemory, class_gap, deep_half, gather
from engine.synthesis.statistics.moments import Moments, image_moments
from tests.contracts.nets import TinyResNet, images, ready


def naive(x, labels, label):
    """Mean and biased variance per channel over all pixels of one class."""
    mine = x[labels == label].transpose(0, 1).flatten(1)
    return mine.mean(1), mine.var(1, correction=0)


def test_the_deep_half_as_fdda_counts_it():
    assert list(deep_half(20)) == list(range(8, 20))
    assert list(deep_half(19)) == list(range(8, 19))
    assert list(deep_half(6)) == [1, 2, 3, 4, 5]
    assert list(deep_half(1)) == [0]
    assert list(deep_half(0)) == []


def test_a_memory_filled_in_parts_is_that_of_the_whole():
    x, labels = torch.randn(30, 5, 3, 4) * 3 + 7, torch.randint(0, 4, (30,))
    memory = ClassMemory(5)
    for part in (slice(0, 7), slice(7, 8), slice(8, 30)):
        memory.add([image_moments(x[part])], labels[part])
    for label in range(4):
        mean, variance = naive(x, labels, label)
        assert torch.allclose(memory.layers[0].mean[label], mean, atol=1e-4)
        assert torch.allclose(memory.layers[0].variance[label], variance, rtol=1e-3)
    assert memory.count.tolist() == [*torch.bincount(labels).tolist(), 0]


def filled(rows, count):
    memory = ClassMemory(len(count))
    memory.count = torch.tensor(count)
    memory.layers = [Moments(torch.tensor(rows), (10 * torch.tensor(rows)).sqrt())]
    return memory


def test_a_centroid_moves_by_beta_is_taken_whole_when_new_and_stays_when_unseen():
    centroids = filled([[1.0], [2.0], [0.0]], [4.0, 4.0, 0.0])
    centroids.move_towards(filled([[6.0], [9.0], [5.0]], [2.0, 0.0, 1.0]), beta=0.2)
    assert centroids.layers[0].mean.flatten().tolist() == [2.0, 2.0, 5.0]  # 0.8 · 1 + 0.2 · 6
    assert centroids.layers[0].variance.flatten().tolist() == pytest.approx([20, 20, 50])
    assert centroids.count.tolist() == [6.0, 4.0, 1.0]


def test_an_empty_memory_takes_all_that_there_is():
    centroids = ClassMemory(2)
    centroids.move_towards(filled([[6.0], [0.0]], [2.0, 0.0]), beta=0.2)
    assert centroids.layers[0].mean.flatten().tolist() == [6.0, 0.0]


def test_a_memory_comes_back_from_its_state():
    memory, other = filled([[1.0], [2.0]], [1.0, 1.0]), ClassMemory(2)
    other.load_state_dict(memory.state_dict())
    assert torch.equal(other.layers[0].mean, memory.layers[0].mean)
    assert torch.equal(other.count, memory.count)


def test_what_is_gathered_are_the_inputs_of_the_batchnorm_layers_whatever_the_batch():
    teacher = ready(TinyResNet())
    stored = StoredStatistics(teacher, (3, 8, 8))
    x, labels = images(9), torch.tensor([0, 1, 2] * 3)
    whole, logits = gather(stored, teacher, x, labels, classes=3, batch=9)
    parts, _ = gather(stored, teacher, x, labels, classes=3, batch=2)
    assert torch.allclose(logits, teacher(x), atol=1e-6)
    stem = teacher.stem[0](x)  # what arrives at the first BatchNorm
    mean, variance = naive(stem, labels, 1)
    assert torch.allclose(whole.layers[0].mean[1], mean, atol=1e-5)
    assert torch.allclose(whole.layers[0].variance[1], variance, atol=1e-4)
    for a, b in zip(whole.layers, parts.layers, strict=True):
        assert torch.allclose(a.mean, b.mean, atol=1e-5)
        assert torch.allclose(a.variance, b.variance, atol=1e-4)


def test_the_class_of_a_single_image_is_that_image():
    x = torch.randn(3, 5, 2, 2)
    memory = ClassMemory(3)
    memory.add([image_moments(x)], torch.tensor([0, 2, 0]))
    mean, variance = naive(x[1:2], torch.tensor([2]), 2)
    assert torch.allclose(memory.layers[0].mean[2], mean, atol=1e-5)
    assert torch.allclose(memory.layers[0].variance[2], variance, atol=1e-4)
    assert memory.known.tolist() == [True, False, True]


def test_a_batch_without_images_changes_nothing():
    memory = ClassMemory(3)
    none = Moments(torch.zeros(0, 5), torch.zeros(0, 5), 4)
    memory.add([none], torch.zeros(0, dtype=torch.int64))
    assert not memory.known.any()


# --- the distance from the centres --------------------------------------------------------------


def scene(x, labels):
    """One layer with the images themselves as what it sees."""
    seen = Observation([], torch.zeros(len(x), 4), per_image=[image_moments(x)])
    return Scene(images=x, shown=x, seen=seen, labels=labels, step=0)


def centres(mean, variance, known):
    memory = ClassMemory(len(known))
    memory.count = torch.tensor(known)
    memory.layers = [Moments(mean, variance.sqrt())]
    return memory


STORED = [Moments(torch.zeros(5), torch.full((5,), 2.0))]


def test_the_distance_is_that_of_a_loop_over_the_classes_that_are_known_and_there():
    x, labels = torch.randn(8, 5, 3, 3), torch.tensor([0, 1, 1, 3, 0, 2, 2, 2])
    mean, variance = torch.randn(5, 5), torch.rand(5, 5) + 0.5
    memory = centres(mean, variance, [1.0, 2.0, 0.0, 1.0, 9.0])  # 2 is not known, 4 is not there
    rng = torch.Generator().manual_seed(0)
    loss = ClassCentres(memory, STORED, [0], rng)(scene(x, labels))
    wanted = 0.0
    for label in (0, 1, 3):
        seen = naive(x, labels, label)
        gaps = (seen[0] - mean[label]).square() + (seen[1] - variance[label]).square()
        wanted += gaps.mean() / 3
    assert torch.allclose(loss, wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        (("var", "squared", "mean", "mean"), 14.0),  # (1² + 3² + 3² + 3²) / 2
        (("std", "squared", "mean", "mean"), 6.0),  # (1² + 1² + 3² + 1²) / 2
        (("var", "squared", "sum", "mean"), 28.0),
        (("std", "squared", "sum", "sum"), 24.0),
        (("var", "norm", "mean", "mean"), 10**0.5 + 18**0.5),
        (("std", "norm", "sum", "sum"), 2 * (10**0.5 + 2**0.5)),
        (("std", "z-score", "sum", "mean"), 4 / 5**0.5 + 2 / 3),
        (("var", "z-score", "mean", "sum"), 4 / 5**0.5 + 2 / 3),
    ],
)
def test_the_distance_worked_out_by_hand(form, wanted):
    """One class has means (1, 3) and deviations (1, 2), its centre (0, 0) and (2, 1); two layers alike."""
    x = torch.tensor([[[[0.0, 2.0]], [[1.0, 5.0]]]] * 2)
    memory = centres(torch.zeros(1, 2), torch.tensor([[4.0, 1.0]]), [1.0])
    memory.layers *= 2
    both = scene(x, torch.tensor([0, 0]))
    both.seen.per_image.append(both.seen.per_image[0])
    loss = ClassCentres(memory, STORED * 2, [0, 1], torch.Generator(), None, *form)
    assert float(loss(both)) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("second", ["std", "var"])
@pytest.mark.parametrize("metric", ["squared", "norm", "z-score"])
@pytest.mark.parametrize("over", ["mean", "sum"])
def test_every_form_of_the_distance_is_that_of_a_loop(second, metric, over):
    """Two layers that see the same images, with other centres."""
    x, labels = torch.randn(6, 5, 3, 3), torch.tensor([0, 1, 1, 0, 2, 2])
    means, spreads = torch.randn(2, 3, 5), torch.rand(2, 3, 5) + 0.5
    memory = centres(means[0], spreads[0].square(), [1.0, 2.0, 1.0])
    memory.layers.append(Moments(means[1], spreads[1]))
    both = scene(x, labels)
    both.seen.per_image.append(both.seen.per_image[0])
    loss = ClassCentres(
        memory, STORED * 2, [0, 1], torch.Generator(), None, second, metric, over, over
    )
    wanted = 0.0
    for layer, label in product(range(2), range(3)):
        mean, variance = naive(x, labels, label)
        there = (means[layer, label], spreads[layer, label])
        if metric == "z-score":
            wanted += reduced(z_score((mean, variance.sqrt()), there), over) / 3
            continue
        first = mean - there[0]
        last = variance - there[1] ** 2 if second == "var" else variance.sqrt() - there[1]
        if metric == "norm":
            wanted += (first.norm() + last.norm()) / 3
        else:
            wanted += reduced(first**2 + last**2, over) / 3
    wanted = wanted / 2 if over == "mean" else wanted
    assert torch.allclose(loss(both), wanted, rtol=1e-3)


def reduced(per_channel, over):
    return per_channel.mean() if over == "mean" else per_channel.sum()


def test_gradients_pass_to_known_classes_only():
    x, labels = torch.randn(4, 5, 3, 3, requires_grad=True), torch.tensor([0, 1, 1, 0])
    memory = centres(torch.zeros(2, 5), torch.ones(2, 5), [0.0, 1.0])
    ClassCentres(memory, STORED, [0], torch.Generator())(scene(x, labels)).backward()
    assert x.grad[labels == 1].abs().sum() > 0
    assert not x.grad[labels == 0].any()


def test_without_a_known_class_there_is_nothing_to_pay_and_no_gradient():
    x = torch.randn(4, 5, 3, 3, requires_grad=True)
    loss = ClassCentres(ClassMemory(4), STORED, [0], torch.Generator())
    unknown = scene(x, torch.tensor([0, 1, 1, 0]))
    paid = loss(replace(unknown, seen=replace(unknown.seen, logits=x.mean((2, 3)) + 1)))
    paid.backward()
    assert (paid.item(), float(x.grad.abs().max())) == (0, 0)


def test_the_layers_that_count_are_those_named():
    x, labels = torch.randn(4, 5, 3, 3), torch.tensor([0, 1, 1, 0])
    memory = centres(torch.zeros(2, 5), torch.ones(2, 5), [1.0, 1.0])
    memory.layers.append(Moments(torch.full((2, 5), 1e6), torch.ones(2, 5)))
    both = scene(x, labels)
    both.seen.per_image.append(both.seen.per_image[0])
    alone = ClassCentres(memory, STORED * 2, [0], torch.Generator())(both)
    assert float(alone) < 100
    assert float(ClassCentres(memory, STORED * 2, [1], torch.Generator())(both)) > 1e11


@pytest.mark.parametrize("relative", [True, False])
def test_gaussian_noise_has_the_scale_asked_for(relative):
    centre = Moments(torch.full((400, 5), 3.0), torch.full((400, 5), 10.0))
    blur = Blur(mean=0.25, variance=0.5, relative=relative)
    mean, variance = blur.of(centre, STORED[0], torch.Generator().manual_seed(0))
    # relative: of the stored deviation 2 and variance 4
    assert float(mean.std()) == pytest.approx(0.25 * (2 if relative else 1), rel=0.05)
    assert float(variance.std()) == pytest.approx(0.5 * (4 if relative else 1), rel=0.05)
    assert float(mean.mean()) == pytest.approx(3, abs=0.05)


def test_uniform_noise_stays_within_its_bounds_and_no_variance_falls_below_0():
    centre = Moments(torch.zeros(400, 5), torch.full((400, 5), 0.1))
    blur = Blur(mean=0.1, variance=0.1, shape="uniform")
    mean, variance = blur.of(centre, STORED[0], torch.Generator().manual_seed(0))
    assert 0.19 < float(mean.abs().max()) <= 0.2
    assert float(variance.min()) == 0
    assert float(variance.max()) <= 0.01 + 0.4


def test_noise_is_drawn_anew_for_every_call():
    memory = centres(torch.zeros(2, 5), torch.ones(2, 5), [1.0, 1.0])
    rng = torch.Generator().manual_seed(0)
    loss = ClassCentres(memory, STORED, [0], rng, Blur(mean=1, variance=1))
    here = scene(torch.randn(4, 5, 3, 3), torch.tensor([0, 1, 1, 0]))
    assert float(loss(here)) != float(loss(here))


# --- how far apart two sets are -----------------------------------------------------------------


def test_the_class_gap_by_hand():
    stored = StoredStatistics.__new__(StoredStatistics)
    stored.moments = [Moments(torch.zeros(2), torch.tensor([1.0, 3.0]))]  # mean variance 5
    real = filled([[0.0, 0.0], [1.0, 1.0], [9.0, 9.0]], [1.0, 1.0, 1.0])
    made = filled([[1.0, 3.0], [1.0, 1.0], [0.0, 0.0]], [1.0, 1.0, 0.0])  # the third was not made
    assert class_gap(made, real, stored, [0]) == pytest.approx(((1 + 9) / 2 + 0) / 2 / 5)
    assert class_gap(real, real, stored, [0]) == 0
