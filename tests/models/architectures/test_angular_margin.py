"""ArcFace's loss by hand: angles in the plane, where cosines are known."""

import itertools
import math

import pytest
import torch

from engine.models.architectures.angular_margin import AngularMargin


def head(scale=2.0, margin=0.4):
    """Two classes: along x, and along y."""
    made = AngularMargin(2, 2, scale=scale, margin=margin)
    made.directions.data = torch.tensor([[3.0, 0.0], [0.0, 0.5]])
    return made


def at(angle, length=1.0):
    return length * torch.tensor([[math.cos(angle), math.sin(angle)]])


@pytest.mark.parametrize("length", [1.0, 7.0])
def test_the_angle_to_the_own_class_is_made_wider(length):
    scores = torch.tensor([2 * math.cos(0.3 + 0.4), 2 * math.cos(math.pi / 2 - 0.3)])
    wanted = -scores.log_softmax(0)[0]
    assert head()(at(0.3, length), torch.tensor([0])).item() == pytest.approx(
        wanted.item(), abs=1e-5
    )


def test_without_margin_it_is_a_softmax_over_cosines():
    x, y = torch.randn(6, 2), torch.tensor([0, 1, 0, 1, 1, 0])
    cosines = torch.stack([x[:, 0], x[:, 1]], 1) / x.norm(dim=1, keepdim=True)
    wanted = torch.nn.functional.cross_entropy(2 * cosines, y)
    assert head(margin=0.0)(x, y).item() == pytest.approx(wanted.item(), abs=1e-5)


def test_the_loss_grows_with_the_angle_all_the_way():
    """A cosine alone would fall again once the widened angle passes half a turn."""
    made = AngularMargin(3, 2, scale=2.0, margin=0.4)
    made.directions.data = torch.eye(3)[
        [0, 2]
    ]  # the other class is at a right angle to all that comes
    angles = torch.linspace(0, math.pi, 60)
    turned = torch.stack([angles.cos(), angles.sin(), 0 * angles], 1)
    losses = [made(one[None], torch.tensor([0])).item() for one in turned]
    assert all(later > earlier for earlier, later in itertools.pairwise(losses))
