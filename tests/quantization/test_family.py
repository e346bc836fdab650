"""The reconstruction family: what is each paper's own."""

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.models.graph.blocks import find_blocks, layer_blocks
from engine.models.graph.rest_of_network import Rest
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization import discover_methods
from engine.quantization.grids.learned_step import drop_mask
from engine.quantization.grids.quantizers import ActivationQuantizer, WeightQuantizer
from engine.quantization.grids.rounding_borders import BorderQuantizer
from engine.quantization.methods.adaround import inputs_of
from engine.quantization.reconstruction.distribution_correction import (
    DistributionCorrection,
    batchnorms,
)
from engine.quantization.reconstruction.phases import Phase, Phases
from engine.quantization.student import fit_block, make_student, quantizers
from tests.contracts.nets import budget, quantizing, smooth_images

METHODS = discover_methods()
DOWN = 1  # the block with a strided projection


class Opened:
    """One block, about to be reconstructed by a method."""

    def __init__(self, name, at=DOWN, **changes):
        self.work = work = quantizing(rule="all")
        work.images = smooth_images(16)
        self.method = METHODS[name](budget(METHODS[name].Settings, batch=8, **changes))
        work.student = make_student(work.teacher, work.blocks, work.plan, self.method.makers())
        plan = WalkPlan(work.teacher, work.blocks)
        walk = Walk(work.teacher, plan, work.images, 8)
        self.block = work.blocks[at]
        self.x = walk.to(self.block)
        self.y = walk.through(self.block)
        fit_block(work.student, self.block, self.x)
        self.machine = self.method.reconstruct(
            work.student, self.block, x_teacher=self.x, x_student=self.x, y_teacher=self.y,
            rng=stream(0, "family"), rest=Rest(work.teacher, plan, self.block, work.images),
        )  # fmt: skip

    def quantizers(self, kind):
        found = [q for _, q in quantizers(self.work.student, self.block)]
        return [q for q in found if isinstance(q, kind)]

    def scales(self, kind):
        return [q.scale.detach().clone() for q in self.quantizers(kind)]

    def codes(self):
        return [q.codes.clone() for q in self.quantizers(WeightQuantizer)]

    def finish(self):
        for _ in range(self.machine.total_steps):
            self.machine.step()
        self.method.finish(self.work.student, self.block)


def same(before, after):
    return [torch.equal(a, b) for a, b in zip(before, after, strict=True)]


@pytest.mark.parametrize("name", ["adaround", "brecq", "qdrop", "pd-quant", "aquant"])
def test_the_weights_step_sizes_stay_as_fitted(name):
    work = Opened(name, steps=8)
    before = work.scales(WeightQuantizer)
    work.finish()
    assert all(same(before, work.scales(WeightQuantizer)))


def test_genie_m_releases_the_weights_step_sizes():
    work = Opened("genie-m", steps=8)
    before = work.scales(WeightQuantizer)
    work.finish()
    assert not any(same(before, work.scales(WeightQuantizer)))


def test_adaround_leaves_activations_as_fitted():
    work = Opened("adaround", steps=8)
    before = work.scales(ActivationQuantizer)
    work.finish()
    assert all(same(before, work.scales(ActivationQuantizer)))


def test_adaround_goes_layer_after_layer():
    work = Opened("adaround", steps=30, lr_rounding=0.1)
    nearest = work.codes()
    assert work.machine.total_steps == 30 * len(work.block.layers) == 90
    for layer in range(3):
        assert sum(same(nearest, work.codes())) >= 3 - layer, "no layer is touched before its turn"
        for _ in range(30):
            work.machine.step()
    work.method.finish(work.work.student, work.block)
    assert same(nearest, work.codes())[:2] == [False, False]


def test_adaround_brings_the_students_inputs_to_the_teachers_outputs():
    work = Opened("adaround", steps=1)
    work.machine._machine._x_student.add_(0.1)  # an error of earlier layers
    teacher, (first, *_) = work.work.teacher, layer_blocks(work.work.teacher, work.block.layers)
    assert first.paths == ("down.conv1", "down.bn1", "down.relu1")
    x = inputs_of(teacher, work.block, first, work.x)
    student = work.work.student
    off = inputs_of(student, work.block, first, work.x) + 0.1
    with torch.no_grad():
        lost = first.run(student, off) - first.run(teacher, x)
    index = torch.randperm(16, generator=stream(0, "family"))[:8]
    wanted = lost.square().sum(1).mean((1, 2))[index].mean()
    found = work.machine.step()["reconstruction"]
    assert float(found) == pytest.approx(float(wanted), rel=1e-3)


def test_brecq_learns_weights_with_float_activations_then_only_step_sizes():
    work = Opened("brecq", steps=20, activation_steps=20, lr_rounding=0.1)
    activations = work.quantizers(ActivationQuantizer)
    fitted = work.scales(ActivationQuantizer)
    x = work.x + 0.01
    for _ in range(20):
        work.machine.step()
        assert all(torch.equal(q(x), x) for q in activations)
    assert all(same(fitted, work.scales(ActivationQuantizer)))
    work.machine.step()
    settled = work.codes()
    assert not any(torch.equal(q(x), x) for q in activations)
    for _ in range(19):
        work.machine.step()
    work.method.finish(work.work.student, work.block)
    assert all(same(settled, work.codes()))
    assert not any(same(fitted, work.scales(ActivationQuantizer)))


# --- distribution correction ----------------------------------------------------------------------


def corrected(steps=30, **changes):
    work = quantizing()
    images = 2 * smooth_images(16)
    block = work.blocks[0]
    options = {"rate": 2e-2, "leash": 1.0} | changes
    machine = DistributionCorrection(work.teacher, block, images, steps=steps, **options)
    return images, machine, [machine.step() for _ in range(steps)]


def test_the_correction_brings_inputs_nearer_to_the_batchnorm_statistics():
    images, machine, losses = corrected()
    assert float(losses[-1]["statistics"]) < 0.7 * float(losses[0]["statistics"])
    assert not torch.equal(machine.inputs, images)


def test_the_statistics_are_those_of_each_image_by_itself():
    images, _, losses = corrected(steps=1)
    teacher = quantizing().teacher
    kept, total = teacher.stem[1], 0.0
    for image in teacher.stem[0](images):
        mean, std = image.mean((1, 2)), image.var((1, 2), unbiased=False).sqrt()
        total += float((mean - kept.running_mean).square().sum())
        total += float((std - kept.running_var.sqrt()).square().sum())
    assert float(losses[0]["statistics"]) == pytest.approx(total / len(images), rel=1e-3)
    assert float(losses[0]["distance"]) == 0.0


def test_a_short_leash_keeps_inputs_where_they_are():
    moved = {}
    for leash in (1e-4, 1.0):
        images, machine, _ = corrected(leash=leash)
        moved[leash] = float((machine.inputs - images).square().mean())
    assert moved[1e-4] < moved[1.0] / 4


def test_batchnorms_are_found_within_their_block_only():
    work = quantizing()
    found = [batchnorms(work.teacher, block) for block in work.blocks]
    assert [path for paths in found for path in paths] == [
        name for name, m in work.teacher.named_modules() if isinstance(m, torch.nn.BatchNorm2d)
    ]
    assert found[-1] == []


# --- borders --------------------------------------------------------------------------------------


def test_a_border_of_one_half_is_nearest_rounding():
    x = torch.randn(8, 6, 5, 5, generator=torch.Generator().manual_seed(3))
    for signed in (x, x.relu()):
        border, nearest = BorderQuantizer(3), ActivationQuantizer(3)
        assert torch.allclose(border(signed), nearest(signed), atol=1e-6)


def test_a_lower_border_rounds_more_up_in_its_channel_only():
    x = torch.rand(8, 2, 5, 5, generator=torch.Generator().manual_seed(3))
    quantizer = BorderQuantizer(3)
    before = quantizer(x)
    with torch.no_grad():
        quantizer.border[0, 1] = -2.0  # sigmoid(-2) = 0.12
    after = quantizer(x)
    assert torch.equal(before[:, 0], after[:, 0])
    ratio = x[:, 1] / quantizer.scale
    wanted = (ratio.floor() + (ratio - ratio.floor() >= 0.1192)).clamp(0, 7) * quantizer.scale
    assert torch.allclose(after[:, 1], wanted)


def test_borders_learn_and_are_kept():
    work = Opened("aquant", steps=10)
    work.finish()
    learned = work.quantizers(BorderQuantizer)
    assert learned
    assert all(float(q.border.abs().max()) > 0 for q in learned)
    fresh = BorderQuantizer(4)
    fresh.restore(learned[0].stored())
    assert torch.equal(fresh(work.x), learned[0](work.x))
    assert not METHODS["aquant"].exportable


# --- phases ---------------------------------------------------------------------------------------


class Counter:
    """A machine that counts, from where the phase before it left off."""

    def __init__(self, log, name, steps):
        self.log, self.name, self.total_steps, self.count = log, name, steps, 0
        log.append(f"{name} begins")

    def step(self):
        self.count += 1
        return {self.name: torch.tensor(float(self.count))}

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def counting(log, *steps):
    machines = []

    def phase(k, n):
        def begin():
            machines.append(Counter(log, str(k), n))
            return machines[-1]

        return Phase(
            steps=n, begin=begin, end=lambda: log.append(f"{k} ends at {machines[-1].count}")
        )

    return Phases([phase(k, n) for k, n in enumerate(steps)])


def test_phases_follow_one_another_and_empty_ones_are_left_out():
    log = []
    phases = counting(log, 2, 0, 3)
    seen = [next(iter(phases.step().items())) for _ in range(phases.total_steps)]
    assert [(name, int(value)) for name, value in seen] == [
        ("0", 1), ("0", 2), ("2", 1), ("2", 2), ("2", 3)
    ]  # fmt: skip
    assert log == ["0 begins", "0 ends at 2", "2 begins"]


@pytest.mark.parametrize("stop_at", range(6))
def test_resumed_phases_end_as_those_before_them_did(stop_at):
    straight = counting([], 2, 3)
    for _ in range(stop_at):
        straight.step()
    log = []
    resumed = counting(log, 2, 3)
    resumed.load_state_dict(straight.state_dict())
    for _ in range(5 - stop_at):
        assert resumed.step() == straight.step()
    assert log == ["0 begins", "0 ends at 2", "1 begins"] or stop_at in (0, 1, 2)


# --- dropping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.0, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(64, 30, 7, 5), (600, 33)])
def test_elements_are_dropped_with_their_probability_wherever_they_stand(keep, shape):
    mask = drop_mask(torch.empty(shape), keep, stream(0, "drop")).float()
    assert mask.shape == shape
    assert float(mask.mean()) == pytest.approx(1 - keep, abs=0.01)
    if len(shape) == 4:
        assert float((mask.mean((0, 2, 3)) - (1 - keep)).abs().max()) < 0.06  # every channel alike
    else:
        assert float((mask.mean(0) - (1 - keep)).abs().max()) < 0.1


def test_layers_of_a_block_are_blocks_with_what_follows_them():
    teacher = quantizing().teacher
    down = find_blocks(teacher)[DOWN]
    found = layer_blocks(teacher, down.layers)
    assert [layer.layers for layer in found] == [(path,) for path in down.layers]
    assert all(not layer.has_shortcut for layer in found)
