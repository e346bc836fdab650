"""Competition: when the student's ranges are placed, on which images, and what a state brings back."""

import pytest
import torch

from engine.synthesis.loss import Scene
from engine.synthesis.losses.competition import Competition
from engine.synthesis.statistics.batchnorm import Observation
from engine.synthesis.student import FIT_EVERY


class Watched(torch.nn.Module):
    """A student that notes what it is fitted to, and answers evenly."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.fitted_to = torch.nn.Parameter(torch.ones(1)), []

    def fit(self, images):
        self.fitted_to.append(images)

    def forward(self, x):
        return torch.zeros(len(x), 2) * self.scale


def seen_at(loss, *steps):
    """How often it has fitted after each of these steps."""
    found = []
    for step in steps:
        shown = torch.full((2, 1, 2, 2), float(step), requires_grad=True)
        scene = Scene(
            images=shown * 0, shown=shown, seen=Observation([], torch.zeros(2, 2)), step=step
        )
        loss(scene)
        found.append(len(loss._student.fitted_to))
    return found


@pytest.mark.parametrize("first", [0, 1, 37, FIT_EVERY])
def test_ranges_are_placed_by_the_first_images_whenever_that_is_and_then_from_time_to_time(first):
    loss = Competition(Watched())
    last = 2 * FIT_EVERY
    assert seen_at(loss, first, first + 1, last - 1, last, last + 1) == [1, 1, 1, 2, 2]
    for images, step in zip(loss._student.fitted_to, (first, last), strict=True):
        assert torch.equal(images, torch.full((2, 1, 2, 2), float(step)))
        assert not images.requires_grad
    assert not loss._student.scale.requires_grad


def test_ranges_of_a_state_stay_until_they_are_due():
    first, second = Competition(Watched()), Competition(Watched())
    seen_at(first, 0)
    second.load_state_dict(first.state_dict())
    assert seen_at(second, 1, 37, FIT_EVERY) == [0, 0, 1]
