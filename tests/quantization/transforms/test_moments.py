"""The moments that corrections are made from, and what each makes of them, number by number."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from engine.core.trace import watch_inputs, watch_outputs
from engine.quantization.transforms.bias_and_batchnorm_correction import (
    _CORRECT,
    CHUNK,
    Moments,
    Watcher,
    _move,
    _shift,
    correct_block,
)
from tests.contracts.nets import images, quantizing

WHOLE = SimpleNamespace(paths=("down",), layers=(), run=lambda model, x: model(x))


def norm_of(mean, var):
    norm = nn.BatchNorm2d(len(mean)).eval()
    norm.running_mean.copy_(torch.tensor(mean))
    norm.running_var.copy_(torch.tensor(var))
    return norm


def moments(mean, var):
    return Moments(torch.tensor(mean, dtype=torch.float64), torch.tensor(var, dtype=torch.float64))


@torch.no_grad()
@pytest.mark.parametrize("path", ["down.bn1", "down.conv2", "head.2"])
def test_moments_are_those_of_each_channel_over_all_images_and_places(path):
    work, x = quantizing(), images(CHUNK + 3, seed=4)
    seen = {}
    watch = watch_inputs if path == "down.bn1" else watch_outputs
    with watch(work.teacher, [path], seen.__setitem__):
        work.teacher(x)
    values = seen[path].double().numpy()
    rows = values.transpose(1, 0, *range(2, values.ndim)).reshape(values.shape[1], -1)
    found = Watcher(work.teacher, WHOLE, path).moments(x)
    assert found.mean.numpy() == pytest.approx(rows.mean(1), rel=1e-4, abs=1e-6)
    assert found.var.numpy() == pytest.approx(rows.var(1), rel=1e-4)


@torch.no_grad()
def test_a_constant_channel_has_no_variance_below_0():
    net = nn.Sequential(nn.Identity(), nn.BatchNorm2d(1)).eval()
    whole = SimpleNamespace(paths=("1",), layers=(), run=lambda model, x: model(x))
    found = Watcher(net, whole, "1").moments(torch.full((3, 1, 5, 5), 0.1))
    assert 0 <= float(found.var) < 1e-12


@torch.no_grad()
def test_delta_moves_the_mean_by_the_shift_and_the_variance_by_the_ratio_within_four_times():
    # Student over teacher: 2, a tenth, a thousand, and both at nothing.
    norm = norm_of([1.0, 1.0, 1.0, 1.0], [3.0, 3.0, 3.0, 3.0])
    _CORRECT["delta"](
        norm, moments([0, 0, 5, 0], [1, 10, 1, 0]), moments([2, -1, 5, 0], [2, 1, 1000, 0])
    )
    assert norm.running_mean.tolist() == pytest.approx([3, 0, 1, 1])
    assert norm.running_var.tolist() == pytest.approx([6, 0.75, 12, 3], rel=1e-4)


@torch.no_grad()
def test_eps_keeps_a_channel_that_is_constant_in_the_images_from_exploding():
    norm = norm_of([0.0], [1.0])
    _CORRECT["delta"](norm, moments([0.0], [0.0]), moments([0.0], [norm.eps]))
    assert float(norm.running_var) == pytest.approx(2)


@torch.no_grad()
def test_replace_and_momentum_take_all_and_a_tenth_of_what_is_seen():
    norm = norm_of([1.0], [4.0])
    _move(norm, moments([3.0], [9.0]))
    assert (float(norm.running_mean), float(norm.running_var)) == pytest.approx((1.2, 4.5))
    _CORRECT["replace"](norm, moments([7.0], [7.0]), moments([3.0], [9.0]))
    assert (float(norm.running_mean), float(norm.running_var)) == (3, 9)


@torch.no_grad()
def test_momentum_sees_one_mini_batch_after_another():
    work, x = quantizing(weight_bits=8), images(CHUNK + 8, seed=3)[:, :1].expand(-1, 4, 8, 8).relu()
    block, norm = work.blocks[1], work.student.down.bn1
    seen = {}
    with watch_inputs(work.teacher, ["down.bn1"], seen.__setitem__):
        block.run(work.teacher, x)
    for path in block.layers:  # all is as in the teacher
        work.student.get_submodule(path).weight_quantizer = None
    for path in (*block.layers, *block.paths):
        if getattr(work.student.get_submodule(path), "input_quantizer", None) is not None:
            work.student.get_submodule(path).input_quantizer = nn.Identity()
    mean, var = norm.running_mean.double(), norm.running_var.double()
    for part in seen["down.bn1"].double().split(CHUNK):
        mean = 0.9 * mean + 0.1 * part.mean((0, 2, 3))
        var = 0.9 * var + 0.1 * part.var((0, 2, 3), correction=0)
    correct_block(work.student, work.teacher, block, x_teacher=x, x_student=x, bias=False,
                  batchnorm="momentum")  # fmt: skip
    assert torch.allclose(norm.running_mean.double(), mean, atol=1e-5)
    assert torch.allclose(norm.running_var.double(), var, rtol=1e-5)


@torch.no_grad()
def test_shifts_are_told_in_the_norm_s_own_deviations_as_the_mean_over_channels():
    norm = norm_of([1.0, -1.0], [4.0, 9.0])
    found = _shift("n", norm, moments([3.0, 5.0], [1, 1]), moments([2.0, 8.0], [1, 1]))
    assert found.path == "n"
    assert found.of_images == pytest.approx(np.mean([2 / 2, 6 / 3]), rel=1e-4)
    assert found.of_bits == pytest.approx(np.mean([1 / 2, 3 / 3]), rel=1e-4)
