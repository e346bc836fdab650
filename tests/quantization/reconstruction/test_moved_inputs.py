"""PD-Quant's correction of inputs: what a step minimises, image by image, and how it moves."""

import pytest
import torch

from engine.quantization.reconstruction.distribution_correction import DistributionCorrection
from tests.contracts.nets import quantizing, smooth_images


def machine_of(images, rate=2e-2, leash=0.5, block=0):
    work = quantizing()
    return work.teacher, DistributionCorrection(
        work.teacher, work.blocks[block], images, steps=4, rate=rate, leash=leash
    )


def by_hand(teacher, start, moved, leash):
    """(statistics, distance): means over images, each by itself."""
    kept, statistics, distance = teacher.stem[1], 0.0, 0.0
    for image, now in zip(start, moved, strict=True):
        seen = teacher.stem[0](now[None])[0]
        mean, std = seen.mean((1, 2)), seen.var((1, 2), correction=0).sqrt()
        statistics = statistics + (mean - kept.running_mean).square().sum()
        statistics = statistics + (std - kept.running_var.sqrt()).square().sum()
        distance = distance + (now - image).square().sum(0).mean() / leash
    return statistics / len(start), distance / len(start)


@pytest.mark.parametrize("count", [3, 35])
def test_a_step_goes_down_statistics_and_distance_of_every_image(count):
    """With Adam a first step is the rate times the sign of the slope; images are taken in chunks."""
    start = 2 * smooth_images(count)
    teacher, machine = machine_of(start)
    for turn in range(2):
        now = machine.inputs.clone().requires_grad_()
        statistics, distance = by_hand(teacher, start, now, 0.5)
        (slope,) = torch.autograd.grad(statistics + distance, [now])
        losses = machine.step()
        assert float(losses["statistics"]) == pytest.approx(float(statistics.detach()), rel=1e-3)
        assert float(losses["distance"]) == pytest.approx(float(distance.detach()), rel=1e-3)
        if turn == 0:
            moved = machine.inputs - now.detach()
            clear = slope.abs() > 1e-4
            assert torch.allclose(moved[clear], -2e-2 * slope[clear].sign(), atol=1e-4)


def test_a_block_without_batchnorm_has_nothing_to_correct():
    x = torch.randn(4, 6, 4, 4)
    _, machine = machine_of(x, block=-1)
    assert float(machine.step()["statistics"]) == 0
    assert torch.equal(machine.inputs, x)


def test_it_goes_on_where_it_was_saved():
    start = smooth_images(4)
    _, straight = machine_of(start)
    _, resumed = machine_of(start)
    for _ in range(2):
        straight.step()
    state = straight.state_dict()
    resumed.load_state_dict(
        {name: value.clone() if name == "moved" else value for name, value in state.items()}
    )
    assert {k: float(v) for k, v in straight.step().items()} == {
        k: float(v) for k, v in resumed.step().items()
    }
