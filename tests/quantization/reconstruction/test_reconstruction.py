"""Block reconstruction, step by step: what is drawn, what is minimised, how fast things move."""

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.core.trace import watch_inputs
from engine.quantization.reconstruction.block_reconstruction import BlockReconstruction, settle
from engine.quantization.reconstruction.objectives import squared_distance
from engine.quantization.reconstruction.settings import ReconstructionSettings
from engine.quantization.student import fit_block
from tests.contracts.nets import quantizing

SETTINGS = ReconstructionSettings(
    steps=20, batch=4, lr_rounding=1e-2, lr_weight_step=1e-4, lr_activation_step=4e-5,
    rounding_weight=0.1, warm_up=0.2, sharpness=(20.0, 2.0), keep_float=0.5, mix_input=0.5,
    relative_steps=False,
)  # fmt: skip
BLOCK = 1  # "down": a residual with a projection


class Bench:
    """One block under reconstruction; image k is of the constant k + 1, negative in the student."""

    def __init__(self, count=8, **changes):
        self.work = quantizing()
        self.block = self.work.blocks[BLOCK]
        values = torch.arange(1.0, count + 1).view(-1, 1, 1, 1)
        x = values.expand(count, 4, 8, 8).contiguous()
        self.y = self.block.run(self.work.teacher, x)
        fit_block(self.work.student, self.block, torch.randn(4, 4, 8, 8))
        self.machine = BlockReconstruction(
            self.work.student, self.block, x_teacher=x, x_student=-x, y_teacher=self.y,
            settings=replace(SETTINGS, **changes), rng=stream(0, "bench"),
        )  # fmt: skip

    def inputs(self, steps):
        """What arrives at the block, for so many steps."""
        seen = []
        with watch_inputs(self.work.student, ["down"], lambda path, x: seen.append(x.clone())):
            for _ in range(steps):
                self.machine.step()
        return seen

    def drawn(self, steps):
        return [x.abs()[:, 0, 0, 0].int().sub(1).tolist() for x in self.inputs(steps)]

    def weights(self):
        return [
            self.work.student.get_submodule(path).weight_quantizer for path in self.block.layers
        ]


# --- mini-batches -------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "batch"), [(8, 4), (10, 4), (7, 3), (8, 8), (5, 1)])
def test_batches_are_full_and_every_image_comes_once_an_epoch(count, batch):
    steps = 3 * count  # batch epochs of three: 3 · batch of them
    drawn = Bench(count, batch=batch).drawn(steps)
    assert {len(index) for index in drawn} == {batch}
    order = [k for index in drawn for k in index]
    epochs = [order[start : start + count] for start in range(0, len(order), count)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    if count > 4:
        assert len({tuple(epoch) for epoch in epochs}) > 1, "each epoch has an order of its own"


def test_fewer_images_than_a_batch_are_all_taken_every_time():
    drawn = Bench(3, batch=32).drawn(5)
    assert all(sorted(index) == [0, 1, 2] for index in drawn)


def test_a_step_goes_down_the_sum_of_the_losses_that_it_tells(monkeypatch):
    machine, down = Bench(warm_up=0.0).machine, []
    monkeypatch.setattr(machine._learners, "descend", down.append)
    losses = machine.step()
    assert set(losses) == {"reconstruction", "rounding"}
    assert down[0].item() == pytest.approx(sum(float(loss) for loss in losses.values()))


# --- the input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (1.0, 1, 1), (0.5, 0.4, 0.6)])
def test_elements_of_the_input_come_from_the_student_with_their_probability(share, low, high):
    for x in Bench(mix_input=share).inputs(4):
        students = (x < 0).float().mean()
        assert low <= float(students) <= high


def test_teacher_and_student_are_mixed_elementwise():
    (x,) = Bench().inputs(1)
    per_image = Counter(((x < 0).float().mean((1, 2, 3)) * 1000).int().tolist())
    assert all(300 < share < 700 for share in per_image)


# --- losses -------------------------------------------------------------------------------------


def test_the_distance_is_summed_over_channels_and_averaged_over_the_rest():
    out, target = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    assert squared_distance(out, target).item() == 3.0
    assert squared_distance(torch.zeros(2, 5), 2 * torch.ones(2, 5)).item() == 20.0


def naive_penalty(quantizers, sharpness):
    total = 0.0
    for quantizer in quantizers:
        for value in quantizer.rounding.detach().flatten().tolist():
            h = min(max(1.2 / (1 + math.exp(-value)) - 0.1, 0.0), 1.0)
            total += 1 - abs(2 * h - 1) ** sharpness
    return total


def test_the_rounding_penalty_sets_in_after_the_warm_up_and_sharpens_from_20_to_2():
    bench = Bench(lr_rounding=0.0, lr_weight_step=0.0, lr_activation_step=0.0)
    for step in range(20):
        losses = bench.machine.step()
        assert ("rounding" in losses) is (step >= 4)  # a fifth of 20 steps
        if "rounding" in losses:
            sharpness = 20 - 18 * (step - 4) / 16
            wanted = 0.1 * naive_penalty(bench.weights(), sharpness)
            assert losses["rounding"].item() == pytest.approx(wanted, rel=1e-3)


def test_the_penalty_is_nothing_once_all_is_decided():
    bench = Bench(warm_up=0.0, lr_rounding=0.0)
    with torch.no_grad():
        for quantizer in bench.weights():
            quantizer.rounding.copy_(torch.where(quantizer.rounding >= 0, 10.0, -10.0))
    assert bench.machine.step()["rounding"].item() == 0.0


def undecided(rounding_weight):
    bench = Bench(steps=200, lr_rounding=5e-2, warm_up=0.0, rounding_weight=rounding_weight)
    for _ in range(200):
        bench.machine.step()
    soft = torch.cat([quantizer.soft_rounding().flatten() for quantizer in bench.weights()])
    return float((1 - (2 * soft - 1).abs()).mean().detach())


def test_the_penalty_makes_weights_decide():
    assert undecided(1.0) < undecided(0.0) / 2


def test_the_reported_reconstruction_is_that_of_the_block():
    """With nothing mixed or dropped it can be computed again from outside."""
    bench = Bench(batch=8, keep_float=0.0, mix_input=0.0)
    student, block = bench.work.student, bench.block
    x = torch.arange(1.0, 9.0).view(-1, 1, 1, 1).expand(8, 4, 8, 8).contiguous()
    with torch.no_grad():
        wanted = (block.run(student, x) - bench.y).square().sum(1).mean()
    assert bench.machine.step()["reconstruction"].item() == pytest.approx(wanted.item(), rel=1e-4)


# --- learning rates -----------------------------------------------------------------------------


def snapshot(bench):
    state = bench.machine.state_dict()
    names = ("rounding", "weight_scales", "activation_scales")
    return {name: [tensor.clone() for tensor in state[name]] for name in names}


def moves(bench):
    before = snapshot(bench)
    bench.machine.step()
    after = snapshot(bench)
    return {
        name: max(
            float((b - a).abs().max()) for a, b in zip(before[name], after[name], strict=True)
        )
        for name in before
    }


def test_the_first_step_is_as_long_as_the_learning_rates():
    found = moves(Bench(keep_float=0.0))
    assert found["rounding"] == pytest.approx(1e-2, rel=1e-2)
    assert found["weight_scales"] == pytest.approx(1e-4, rel=1e-2)
    assert found["activation_scales"] == pytest.approx(4e-5, rel=2e-2)


def test_learning_rates_of_0_keep_step_sizes_as_fitted():
    bench = Bench(lr_weight_step=0.0, lr_activation_step=0.0)
    for _ in range(3):
        found = moves(bench)
        assert found["weight_scales"] == found["activation_scales"] == 0.0


def test_step_sizes_follow_a_cosine_to_0_and_roundings_do_not():
    bench = Bench()
    for step in range(20):
        rounding, steps = bench.machine.state_dict()["optimisers"]
        cosine = (1 + math.cos(math.pi * step / 20)) / 2
        # weights' steps, activations' steps, and (for AQuant) borders, of which there are none here
        rates = [group["lr"] for group in steps["param_groups"]]
        assert rates == pytest.approx([1e-4 * cosine, 4e-5 * cosine, 0.0])
        assert [group["lr"] for group in rounding["param_groups"]] == [1e-2]
        bench.machine.step()


def test_relative_steps_move_in_proportion_to_the_fitted_step_size():
    bench = Bench(keep_float=0.0, relative_steps=True, lr_weight_step=1e-2)
    before = snapshot(bench)["weight_scales"]
    bench.machine.step()
    after = snapshot(bench)["weight_scales"]
    for old, new in zip(before, after, strict=True):
        share = ((new - old) / old).abs()
        assert float(share.max()) == pytest.approx(1e-2, rel=1e-2)


@pytest.mark.parametrize("rate", [10.0, 1000.0])
def test_relative_step_sizes_stay_above_zero_at_any_rate(rate):
    bench = Bench(relative_steps=True, lr_weight_step=rate, lr_activation_step=rate)
    for _ in range(5):
        bench.machine.step()
    found = snapshot(bench)
    assert all((scale > 0).all() for scale in found["weight_scales"] + found["activation_scales"])


# --- the end ------------------------------------------------------------------------------------


def test_settling_ends_all_learning():
    bench = Bench()
    for _ in range(3):
        bench.machine.step()
    settle(bench.work.student, bench.block)
    x = torch.randn(4, 4, 8, 8)
    out = bench.block.run(bench.work.student, x)
    assert not out.requires_grad
    assert torch.equal(out, bench.block.run(bench.work.student, x))


def test_the_share_of_flipped_codes_is_that_of_all_weights_of_the_block():
    bench = Bench()
    assert bench.machine.flipped() == 0.0
    first = bench.weights()[0]
    nearest = first.codes.clone()
    with torch.no_grad():
        first.rounding.copy_(-first.rounding)  # every one of its weights the other way
    count = sum(quantizer.rounding.numel() for quantizer in bench.weights())
    up = (first.rounding >= 0).float()
    base = torch.floor(bench.work.teacher.down.conv1.weight / first.fitted_scale)
    changed = ((base + up + first.zero_point).clamp(0, 3) != nearest).sum()
    assert bench.machine.flipped() == pytest.approx(float(changed) / count)
    assert changed > 0
