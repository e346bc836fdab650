"""Corrections: what they must leave alone, and what they must bring back."""

import pytest
import torch
from torch import nn

from engine.core.trace import count_hooks, watch_inputs, watch_outputs
from engine.quantization.student import fit_block, make_student, restore_block, stored_block
from engine.quantization.transforms.bias_and_batchnorm_correction import correct_block
from engine.quantization.transforms.equalisation import equalised, find_pairs
from tests.contracts.nets import TinyResNet, images, quantizing, ready

MODES = ("replace", "momentum", "delta")


def fitted(bits: int = 2):
    """A student whose second block is fitted, and that block's input."""
    work = quantizing(weight_bits=bits, activation_bits=8, rule="all")
    x = images(8, seed=3)[:, :1].expand(8, 4, 8, 8).relu()
    fit_block(work.student, work.blocks[1], x)
    return work, work.blocks[1], x


def correct(work, block, x, student=None, *, bias=False, batchnorm="none"):
    return correct_block(
        work.student if student is None else student, work.teacher, block,
        x_teacher=x, x_student=x, bias=bias, batchnorm=batchnorm,
    )  # fmt: skip


def at(model, block, path, x, watch):
    seen = {}
    with watch(model, [path], seen.__setitem__):
        block.run(model, x)
    return seen[path]


@torch.no_grad()
def test_delta_changes_nothing_in_a_network_that_is_not_quantized():
    work, block, x = fitted()
    for path in block.layers:
        work.student.get_submodule(path).weight_quantizer = None
    for path in (*block.layers, *block.paths):
        module = work.student.get_submodule(path)
        if getattr(module, "input_quantizer", None) is not None:
            module.input_quantizer = nn.Identity()
    before = block.run(work.student, x)
    shifts = correct(work, block, x, batchnorm="delta")
    assert torch.equal(block.run(work.student, x), before)
    assert [shift.of_bits for shift in shifts] == [0.0, 0.0, 0.0]
    correct(work, block, x, batchnorm="replace")
    assert not torch.allclose(block.run(work.student, x), before)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["none", "delta", "replace"])
def test_statistics_of_images_unlike_data_are_worse_than_none_where_they_replace_those_stored(mode):
    """At 8 bits hardly anything is lost; images a third as bright take `replace` far away from that."""
    work, block, data = fitted(bits=8)
    unlike = 0.3 * data  # within the range that inputs are quantized in
    wanted, before = block.run(work.teacher, data), block.run(work.student, data)
    correct(work, block, unlike, batchnorm=mode)

    def error(y):
        return float((y - wanted).square().mean() / wanted.square().mean())

    after = error(block.run(work.student, data))
    assert error(before) < 1e-2
    if mode == "replace":
        assert after > 0.1
    else:
        assert after < 2 * error(before) + 1e-4


@torch.no_grad()
def test_bias_correction_gives_every_channel_its_mean_back():
    work, block, x = fitted()
    correct(work, block, x, bias=True)
    for path in block.layers:
        wanted = at(work.teacher, block, path, x, watch_outputs).mean((0, 2, 3))
        got = at(work.student, block, path, x, watch_outputs).mean((0, 2, 3))
        assert torch.allclose(got, wanted, atol=1e-5)
    assert work.teacher.down.conv1.bias is None


@torch.no_grad()
def test_replace_takes_the_statistics_that_the_student_has_on_the_images():
    work, block, x = fitted()
    correct(work, block, x, batchnorm="replace")
    for path in ("down.bn1", "down.bn2", "down.shortcut.1"):
        seen = at(work.student, block, path, x, watch_inputs)
        norm = work.student.get_submodule(path)
        assert torch.allclose(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-5)
        assert torch.allclose(norm.running_var, seen.var((0, 2, 3), unbiased=False), rtol=1e-3)


@torch.no_grad()
def test_delta_moves_the_stored_mean_by_the_shift_alone():
    work, block, x = fitted()
    stored = work.teacher.down.bn1.running_mean
    shift = at(work.student, block, "down.bn1", x, watch_inputs).mean((0, 2, 3)) - at(
        work.teacher, block, "down.bn1", x, watch_inputs
    ).mean((0, 2, 3))
    correct(work, block, x, batchnorm="delta")
    assert torch.allclose(work.student.down.bn1.running_mean, stored + shift, atol=1e-5)
    assert shift.abs().max() > 1e-3


@torch.no_grad()
def test_momentum_is_a_running_mean_of_stored_and_seen():
    work, block, x = fitted()
    correct(work, block, x, batchnorm="momentum")
    seen = at(work.student, block, "down.bn1", x, watch_inputs).mean((0, 2, 3))
    stored = work.teacher.down.bn1.running_mean
    wanted = 0.9 * stored + 0.1 * seen  # eight images are one mini-batch
    assert torch.allclose(work.student.down.bn1.running_mean, wanted, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("mode", MODES)
def test_corrections_are_stored_with_their_block(mode):
    work, block, x = fitted()
    plain = block.run(work.student, x)
    correct(work, block, x, bias=True, batchnorm=mode)
    wanted = block.run(work.student, x)
    assert not torch.equal(wanted, plain)
    fresh = make_student(work.teacher, work.blocks, work.plan)
    restore_block(fresh, block, stored_block(work.student, block))
    assert torch.equal(block.run(fresh, x), wanted)
    assert count_hooks(work.student) == count_hooks(work.teacher) == 0
    assert not any(p.requires_grad for p in work.student.parameters())


# --- equalisation -------------------------------------------------------------------------------


class Chain(nn.Module):
    """Convolution, BatchNorm, ReLU, a depthwise one, a pooling, a last one; then a bounded ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.dw = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.pool = nn.MaxPool2d(2)
        self.b = nn.Conv2d(6, 4, 1)
        self.six = nn.ReLU6()
        self.c = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = self.pool(torch.relu(self.dw(torch.relu(self.bn(self.a(x))))))
        return self.c(self.six(self.b(x)))


def spread(model, seed=0):
    """The same model with channels of very unlike sizes."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                shape = (len(module.weight), 1, 1, 1)
                module.weight.mul_(torch.exp(2 * torch.randn(shape, generator=rng)))
    return model


@torch.no_grad()
@pytest.mark.parametrize("model", [Chain, TinyResNet])
def test_equalisation_keeps_the_float_function(model):
    teacher = spread(ready(model()))
    x = images(4, seed=5)
    wanted = teacher(x)
    other, pairs = equalised(teacher)
    assert pairs == 2
    assert torch.allclose(other(x), wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))
    assert torch.equal(teacher(x), wanted)
    changed = [
        name
        for name, value in teacher.state_dict().items()
        if not torch.equal(value, other.state_dict()[name])
    ]
    assert changed
    assert not any("running" in name for name in changed)


def test_pairs_stop_at_bounded_functions_and_at_shared_tensors():
    found = [(pair.writer, pair.norm, pair.reader) for pair in find_pairs(ready(Chain()))]
    assert found == [("a", "bn", "dw"), ("dw", None, "b")]
    found = [(pair.writer, pair.reader) for pair in find_pairs(ready(TinyResNet()))]
    assert found == [("down.conv1", "down.conv2"), ("same.conv1", "same.conv2")]


@torch.no_grad()
def test_equalised_neighbours_have_the_same_range_in_each_channel():
    model, _ = equalised(spread(ready(Chain())))
    written = model.dw.weight.flatten(1).abs().amax(1)
    read = model.b.weight.abs().amax((0, 2, 3))
    assert torch.allclose(written, read, rtol=0.05)
    gain = (model.bn.weight / (model.bn.running_var + model.bn.eps).sqrt()).abs()
    folded = model.a.weight.flatten(1).abs().amax(1) * gain
    assert torch.allclose(folded, written, rtol=0.05)


def test_a_module_that_runs_twice_is_left_alone():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(3, 3, 1)
            self.b = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.b(torch.relu(self.a(torch.relu(self.a(x)))))

    assert find_pairs(ready(Twice())) == []
