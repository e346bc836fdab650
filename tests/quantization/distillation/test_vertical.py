"""One training for all precisions: what is served in a step, and that codes stay nested behind it."""

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.quantization.distillation.trainer import divergence
from engine.quantization.grids.weights.nested import NestedWeightCodes, floor_codes, prefix
from engine.quantization.methods.vertical import SandwichLearner, Vertical
from tests.contracts.nets import budget, quantizing


def trainer(steps=30, *, weight_bits=3, **settings):
    chosen = budget(Vertical.Settings, steps=steps, batch=8, lr=1e-3, **settings)
    work = quantizing(weight_bits=weight_bits, activation_bits=8)
    return work, work.distiller(Vertical(chosen))


def of_all_precisions(work, learner):
    """The divergence from the teacher at 2, 5 and 8 bits, summed."""
    wanted, total = work.teacher(work.images), 0.0
    with torch.no_grad():
        for bits in (2, 5, 8):
            learner._read(bits)
            total += float(divergence(learner.student(work.images), wanted, 2.0))
    return total


def test_a_training_serves_all_precisions_better_than_none():
    work, machine = trainer(steps=40)
    before = of_all_precisions(work, machine._learner)
    for _ in range(40):
        machine.step()
    assert of_all_precisions(work, machine._learner) < 0.8 * before


def test_a_step_serves_the_fewest_bits_the_most_and_one_between():
    _, machine = trainer(lowest=2, highest=6)
    learner, rng = machine._learner, stream(0, "draws")
    assert isinstance(learner, SandwichLearner)
    drawn = set()
    for _ in range(60):
        learner.begin(0.0, rng)
        highest, between = learner._others
        assert highest == 6
        drawn.add(between)
        inner = [p for p in learner.layers if p not in learner._spared]
        assert {learner.layers[p].weight_quantizer.bits for p in inner} == {2}
    assert drawn == {3, 4, 5}
    assert set(machine.step()) >= {"answers", "most bits", "bits between"}


@torch.no_grad()
def test_each_penalty_is_the_divergence_at_the_precision_that_it_is_called_by():
    work, machine = trainer(lowest=2, highest=6)
    learner = machine._learner
    learner.begin(0.0, stream(0, "draws"))
    wanted, between = work.teacher(work.images), learner._others[1]
    told = learner.penalties(work.images, wanted, 0.0)
    assert [*told] == ["most bits", "bits between"]
    for loss, bits in zip(told.values(), (6, between), strict=True):
        learner._read(bits)
        assert torch.equal(loss, divergence(learner.student(work.images), wanted, 2.0))


@pytest.mark.parametrize(("weight_bits", "spared"), [(3, 2), (8, 0)])
def test_first_and_last_layer_keep_their_bits_where_they_have_more_than_the_others(
    weight_bits, spared
):
    _, machine = trainer(weight_bits=weight_bits)
    assert len(machine._learner._spared) == spared


def test_behind_a_training_every_prefix_is_the_direct_code_of_the_learned_weights():
    _, machine = trainer(steps=5)
    for _ in range(5):
        machine.step()
    machine.learned()
    for layer in machine._learner.layers.values():
        quantizer, flat = layer.weight_quantizer, layer.float_weight.detach().flatten(1)
        for bits in range(1, 9):
            direct = floor_codes(flat, quantizer.clip, bits).to(torch.uint8)
            assert torch.equal(prefix(quantizer.nested, bits).flatten(1), direct)


def test_while_it_learns_a_weight_is_worth_what_its_code_will_be_and_passes_its_slope_within_the_clip():
    weight = torch.randn(4, 9, generator=stream(1, "w")).requires_grad_()
    quantizer = NestedWeightCodes(3, precisions=[2, 3])
    quantizer.fit(weight)
    settled = quantizer(weight)
    quantizer.learning = True
    learning = quantizer(weight)
    assert torch.allclose(learning, settled, atol=1e-6)
    learning.sum().backward()
    within = weight.detach().abs() <= quantizer.clip
    assert torch.equal(weight.grad != 0, within)
    assert not bool(within.all())
