"""The statistics term: every form by hand, on one or two layers of two channels."""

import pytest
import torch

from engine.synthesis.loss import Scene
from engine.synthesis.losses.statistics import (
    StatisticsLoss,
    layer_emphasis,
    share_inside,
    z_score,
)
from engine.synthesis.statistics.batchnorm import Observation, moment_distance
from engine.synthesis.statistics.moments import Moments
from tests.contracts.nets import TinyResNet, images, ready
from tests.synthesis.scenes import scene_of


def moments(mean, std, count=0):
    return Moments(torch.tensor(mean), torch.tensor(std), count)


def scene(*layers, **more):
    """Gaps of (1, 2) in the means and (2, 0) in the deviations, unless layers are given."""
    layers = layers or (moments([1.0, 2.0], [3.0, 1.0]),)
    empty = torch.empty(0)
    return Scene(images=empty, shown=empty, seen=Observation(list(layers), empty), step=0, **more)


TARGET = moments([0.0, 0.0], [1.0, 1.0])


def value(seen, **settings):
    return float(StatisticsLoss(targets=[TARGET] * len(seen.seen.moments), **settings)(seen))


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, (1 + 4 + 4 + 0) / 2),  # GENIE: divided by the channels
        ({"over_channels": "sum"}, 9),
        ({"second": "var"}, (1 + 4 + 64 + 0) / 2),  # variances 9 and 1, against 1 and 1
        ({"metric": "norm"}, 5**0.5 + 2),  # DeepInversion: not squared
        ({"metric": "norm", "second": "var"}, 5**0.5 + 8),
        ({"slack": [(1.5, 0.5)], "over_channels": "sum"}, 0 + 0.5**2 + 1.5**2 + 0),  # DSG
        ({"slack": [(2.0, 2.0)]}, 0),
    ],
)
def test_one_layer_by_hand(settings, wanted):
    assert value(scene(), **settings) == pytest.approx(wanted)


def test_layers_are_added_or_averaged_chosen_and_weighed():
    seen = scene(TARGET, moments([1.0, 2.0], [3.0, 1.0]), moments([2.0, 0.0], [1.0, 1.0]))
    assert value(seen) == 0 + 4.5 + 2
    assert value(seen, over_layers="mean") == pytest.approx(6.5 / 3)
    assert value(seen, layers=[0, 2]) == 2
    assert value(seen, layer_weights=[7.0, 10.0, 1.0]) == 47


def test_it_is_genie_s_loss_in_genie_s_form():
    """The plain sum over layers, of different width, of their moment distances."""
    teacher = ready(TinyResNet())
    whole, stored = scene_of(teacher, images(6))
    assert len({len(target.mean) for target in stored.moments}) > 1
    pairs = zip(whole.seen.moments, stored.moments, strict=True)
    wanted = sum(moment_distance(seen, target) for seen, target in pairs)
    assert float(StatisticsLoss(targets=stored.moments)(whole)) == pytest.approx(float(wanted))


def test_every_image_by_itself_is_zeroq_s_loss_in_a_naive_loop():
    teacher, x = ready(TinyResNet()), images(5)
    whole, stored = scene_of(teacher, x, per_image=True)
    wanted = 0.0
    for k in range(len(x)):
        alone, _ = scene_of(teacher, x[k : k + 1])
        for seen, target in zip(alone.seen.moments, stored.moments, strict=True):
            wanted += float(((seen.mean - target.mean) ** 2 + (seen.std - target.std) ** 2).sum())
    loss = StatisticsLoss(targets=stored.moments, scope="image", over_channels="sum")
    assert float(loss(whole)) == pytest.approx(wanted / len(x), rel=1e-4)
    assert loss.reads == {"per-image"}


def test_inside_the_slack_there_is_no_gradient_and_beyond_it_there_is():
    mean = torch.tensor([0.9, 1.1, -0.9, -1.1], requires_grad=True)
    std = torch.tensor([1.4, 1.6, 0.6, 0.4], requires_grad=True)
    target = moments([0.0] * 4, [1.0] * 4)
    loss = StatisticsLoss(targets=[target], slack=[(1.0, 0.5)], over_channels="sum")
    loss(scene(Moments(mean, std))).backward()
    assert mean.grad.tolist() == pytest.approx([0, 0.2, 0, -0.2], abs=1e-6)
    assert std.grad.tolist() == pytest.approx([0, 0.2, 0, -0.2], abs=1e-6)


def test_the_share_inside_the_slack_counts_means_and_deviations():
    seen = [moments([0.5, 2.0], [1.0, 1.0]), moments([0.0], [9.0])]
    targets = [TARGET, moments([0.0], [1.0])]
    assert share_inside(seen, targets, [(1.0, 0.1), (1.0, 1.0)]) == pytest.approx(4 / 6)


def test_layer_emphasis_is_one_everywhere_and_two_on_the_diagonal():
    assert torch.equal(layer_emphasis(4, 4), torch.ones(4, 4) + torch.eye(4))
    assert layer_emphasis(5, 2).tolist() == [[2, 1], [1, 2], [2, 1], [1, 2], [2, 1]]


def test_an_image_counts_twice_in_its_own_layer():
    rows = [Moments(torch.tensor([[1.0], [2.0]]), torch.ones(2, 1)) for _ in range(2)]
    seen = Observation(rows, torch.empty(0), per_image=rows)
    two = Scene(images=torch.empty(0), shown=torch.empty(0), seen=seen, step=0)
    loss = StatisticsLoss(
        targets=[moments([0.0], [1.0])] * 2, scope="image", image_weights=layer_emphasis(2, 2)
    )
    # Layer 0: (2·1 + 4) / 2; layer 1: (1 + 2·4) / 2.
    assert float(loss(two)) == pytest.approx(3 + 4.5)


def test_the_z_score_by_hand():
    seen, target = (
        (torch.tensor([3.0]), torch.tensor([3.0])),
        (torch.tensor([1.0]), torch.tensor([4.0])),
    )
    assert float(z_score(seen, target, 0.0)) == pytest.approx(2 / 5, rel=1e-5)
    assert float(z_score(seen, target, 2.0)) == pytest.approx(2 / 5 + 2 * 1 / 7, rel=1e-5)
    assert float(z_score(target, target)) == 0


def test_as_published_the_z_score_rewards_large_deviations():
    """The reason for the second half, which makes the same excess of deviation expensive."""
    target = (torch.tensor([0.0]), torch.tensor([1.0]))
    near, far = ((torch.tensor([1.0]), torch.tensor([std])) for std in (1.0, 100.0))
    assert z_score(far, target, 0.0) < z_score(near, target, 0.0)
    assert z_score(far, target) > z_score(near, target)


def test_the_moving_average_passes_only_the_share_of_the_present():
    loss = StatisticsLoss(targets=[moments([0.0], [0.0])], scope="moving", momentum=0.25)
    loss(scene(moments([4.0], [0.0])))
    mean = torch.tensor([8.0], requires_grad=True)
    second = loss(scene(Moments(mean, torch.zeros(1))))
    assert float(second.detach()) == (0.75 * 4 + 0.25 * 8) ** 2  # 25
    second.backward()
    assert mean.grad.item() == 2 * 5 * 0.25


def test_both_moments_are_averaged_and_each_by_itself():
    """Means 4, 8, 2 and deviations 1, 5, 3, of which a quarter is new each time."""
    loss = StatisticsLoss(targets=[moments([0.0], [0.0])], scope="moving", momentum=0.25)
    mean = std = None
    for new_mean, new_std in ((4.0, 1.0), (8.0, 5.0), (2.0, 3.0)):
        mean = new_mean if mean is None else 0.75 * mean + 0.25 * new_mean
        std = new_std if std is None else 0.75 * std + 0.25 * new_std
        found = float(loss(scene(moments([new_mean], [new_std]))))
        assert found == pytest.approx(mean**2 + std**2, rel=1e-5)


def test_the_moving_average_is_saved():
    first, second = (
        StatisticsLoss(targets=[TARGET], scope="moving", momentum=0.5) for _ in range(2)
    )
    first(scene())
    second.load_state_dict(first.state_dict())
    later = scene(moments([0.5, 0.5], [2.0, 2.0]))
    assert second(later) == first(later)


def test_what_keeps_a_z_score_finite_hardly_bends_that_of_a_deviation_of_a_thousandth():
    seen, target = (
        (torch.tensor([0.5]), torch.tensor([1e-3])),
        (torch.tensor([0.0]), torch.tensor([1e-3])),
    )
    assert float(z_score(seen, target)) == pytest.approx(0.5 / (2**0.5 * 1e-3), rel=1e-3)
    still = (torch.zeros(1), torch.zeros(1))
    assert float(z_score(still, still)) == 0
