"""What every quantization method owes its callers; a new method is tested by being there."""

import copy
import io
from dataclasses import fields, make_dataclass
from functools import cache

import pytest
import torch
from safetensors.torch import load, save

from engine.core.method import describe, knob_of
from engine.core.trace import count_hooks, watch_outputs
from engine.quantization import discover_methods
from engine.quantization.grids.quantizers import ActivationQuantizer
from engine.quantization.student import make_student, restore_block, stored_block
from tests.contracts.nets import budget, images, quantized, quantizing, smooth_images
from tests.thorough import thorough

METHODS = discover_methods()


def variant(name, **changed):
    """The method with other defaults, whatever the preset."""
    cls = METHODS[name]
    knobs = [
        (
            f.name,
            f.type,
            knob_of(cls.Settings, f.name, default=changed[f.name], quick=None, standard=None),
        )
        for f in fields(cls.Settings)
        if f.name in changed
    ]
    settings = make_dataclass(
        "Changed", knobs, bases=(cls.Settings,), frozen=True, slots=True, kw_only=True
    )
    return type(cls.__name__, (cls,), {"Settings": settings})


METHODS |= {
    "gpfq at random": variant("gpfq", form="stochastic"),
    "gpfq sparse": variant("gpfq", form="sparse", threshold=0.1),
    "gpfq on a grid": variant("gpfq", alphabet="grid"),
    "hessian on the alphabet": variant("hessian", alphabet="strict"),
}
# A few steps may end at the same codes without a part of the loss; BatchNorm is corrected by the run's stage.
UNSEEN = ("rounding_weight", "feature_weight", "batchnorm")
PARTS = [
    (name, knob["name"], off)
    for name, cls in METHODS.items()
    for knob in describe(cls.Settings)
    for off in knob["off"]
    if knob["name"] not in UNSEEN and knob["default"] != off
]
LEARNED = [n for n, cls in METHODS.items() if cls(budget(cls.Settings)).steps_per_block()]
UNLEARNED = [name for name in METHODS if name not in LEARNED]


@cache
def finished(name, bits=2):
    """A student that is done, shared by the tests that only look at it."""
    return quantized(METHODS[name], weight_bits=bits)


# All tests of a method in a row: one process then makes what they share, once.
every_method = pytest.mark.parametrize("name", [*LEARNED, *UNLEARNED], scope="module")
learned_method = pytest.mark.parametrize("name", LEARNED, scope="module")


@every_method
@pytest.mark.parametrize("bits", [2, *thorough(3, 8)])
def test_weights_are_whole_codes_of_the_levels_of_their_channel(name, bits):
    work = finished(name, bits)
    for path, planned in work.plan.items():
        layer = work.student.get_submodule(path)
        quantizer = layer.weight_quantizer
        parts = quantizer.parts(layer.float_weight)
        for part in parts:
            assert part.codes.dtype == torch.uint8
            assert part.codes.shape == part.values.shape
            assert len(part.levels) == len(part.codes)
            assert part.levels.shape[1] <= 2**planned.weight_bits
            assert int(part.codes.max()) < part.levels.shape[1]
            assert (part.levels.diff() >= 0).all()
            taken = part.levels.gather(1, part.codes.long())
            assert torch.equal(part.quantized(), taken)
            assert all(len(channel.unique()) <= 2**planned.weight_bits for channel in taken)
        assert quantizer.count() == sum(part.codes.numel() for part in parts)
        assert layer.weight.shape == layer.float_weight.shape
        if not parts[0].name:  # else a weight is a sum or a product of parts, see its own tests
            assert torch.equal(parts[0].codes, quantizer.stored()["codes"].flatten(1))
            assert torch.allclose(layer.weight.flatten(1), parts[0].quantized(), rtol=1e-5)
        assert quantizer.side_bits() > 0


@every_method
def test_even_grids_have_whole_zero_points_among_their_codes(name):
    for path in (work := finished(name)).plan:
        stored = work.student.get_submodule(path).weight_quantizer.stored()
        if "zero_point" in stored:
            zero_point, levels = stored["zero_point"], 2 ** work.plan[path].weight_bits
            assert torch.equal(zero_point, zero_point.round())
            assert ((zero_point >= 0) & (zero_point < levels)).all()
            assert len(stored["scale"].flatten()) == len(stored["codes"])


@every_method
def test_a_finished_student_is_deterministic_and_learns_no_more(name):
    work = finished(name)
    x = images(5, seed=9)
    assert torch.equal(work.student(x), work.student(x))
    assert not work.student(x).requires_grad
    assert not any(p.requires_grad for p in work.student.parameters())
    inner = {n: m for n, m in work.student.named_modules() if isinstance(m, ActivationQuantizer)}
    outputs = {}
    with watch_outputs(work.student, inner, lambda path, y: outputs.update({path: y})):
        work.student(x)
    assert inner.keys() == outputs.keys()
    for path, quantizer in inner.items():
        assert quantizer.fitted
        for group in quantizer.in_groups(outputs[path]):
            assert group.unique().numel() <= 2**quantizer.bits


@every_method
def test_blocks_stored_and_restored_give_the_same_student(name):
    work = finished(name)
    files = [save(stored_block(work.student, block)) for block in work.blocks]
    makers = METHODS[name](budget(METHODS[name].Settings)).makers()
    fresh = make_student(work.teacher, work.blocks, work.plan, makers)
    for block, file in zip(work.blocks, files, strict=True):
        restore_block(fresh, block, load(file))
    x = images(5, seed=9)
    assert torch.equal(fresh(x), work.student(x))
    flips = [
        [student.get_submodule(p).weight_quantizer.flipped(work.teacher.get_submodule(p).weight)
         for p in work.plan]
        for student in (fresh, work.student)
    ]  # fmt: skip
    assert flips[0] == flips[1]


@every_method
def test_the_teacher_is_left_as_it_was(name):
    work = quantizing()
    teacher = work.teacher
    before = copy.deepcopy(teacher.state_dict())
    method = METHODS[name](budget(METHODS[name].Settings, steps=3, batch=4))
    for opened in work.machines(method):
        if opened.machine is not None:
            opened.machine.step()
    after = teacher.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert count_hooks(teacher) == count_hooks(work.student) == 0


@torch.no_grad()
def first_block_error(name):
    """The squared distance of the settled first block to the teacher's: its input is the images'."""
    work = quantizing(rule="all")
    work.images = smooth_images()
    machines = work.machines(METHODS[name](budget(METHODS[name].Settings, steps=200, batch=16)))
    opened = next(machines)
    if opened.machine is not None:
        with torch.enable_grad():
            for _ in range(opened.machine.total_steps):
                opened.machine.step()
    next(machines)  # the first is finished now
    return float((opened.block.run(work.student, opened.x) - opened.y).square().mean())


@pytest.mark.extended
@learned_method
def test_what_is_learned_is_nearer_to_the_teacher_than_nearest_rounding(name):
    assert first_block_error(name) < first_block_error("nearest")


@every_method
def test_steps_are_as_many_as_announced(name):
    method = METHODS[name](budget(METHODS[name].Settings, steps=3))
    for opened in quantizing().machines(method):
        taken = 0 if opened.machine is None else opened.machine.total_steps
        assert taken == method.steps_of(opened.block)


@learned_method
@pytest.mark.parametrize("stop_at", [*thorough(1), 7])
def test_a_saved_machine_goes_on_to_the_same_codes(name, stop_at):
    straight = quantized(METHODS[name], steps=12)
    broken_off, resumed = quantizing(), quantizing()
    pairs = zip(broken_off.machines(of(name)), resumed.machines(of(name), seed=0), strict=True)
    for first, second in pairs:
        total = first.machine.total_steps
        for _ in range(stop_at):
            first.machine.step()
        second.machine.step()  # what the state forgets comes out different
        second.machine.load_state_dict(through_a_file(first.machine.state_dict()))
        for _ in range(total - stop_at):
            first.machine.step()
            second.machine.step()
    for block in straight.blocks:
        wanted = stored_block(straight.student, block)
        for work in (broken_off, resumed):
            got = stored_block(work.student, block)
            assert all(torch.equal(wanted[key], got[key]) for key in wanted)


DISTILLED = [n for n, c in METHODS.items() if c(budget(c.Settings)).steps_of_the_whole()]


@pytest.mark.parametrize("name", DISTILLED)
@pytest.mark.parametrize("stop_at", [1, 9])
def test_a_saved_distillation_goes_on_to_the_same_student(name, stop_at):
    straight, resumed = quantizing().distiller(of(name)), quantizing().distiller(of(name))
    assert straight.total_steps == of(name).steps_of_the_whole() == 12
    for _ in range(stop_at):
        straight.step()
    resumed.step()  # what the state forgets comes out different
    resumed.load_state_dict(through_a_file(straight.state_dict()))
    for _ in range(12 - stop_at):
        wanted, got = straight.step(), resumed.step()
        assert wanted.keys() == got.keys()
        assert all(torch.equal(wanted[key], got[key]) for key in wanted)
    wanted, got = straight.learned(), resumed.learned()
    assert wanted.keys() == got.keys()
    assert all(torch.equal(wanted[key], got[key]) for key in wanted)


def of(name):
    return METHODS[name](budget(METHODS[name].Settings, steps=12, batch=4))


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.extended
@pytest.mark.parametrize(("name", "part", "off"), PARTS)
def test_a_part_that_is_switched_off_changes_what_comes_out(name, part, off):
    bits = min(2, METHODS[name].card.fewest_weight_bits)  # parts made for 1 bit do nothing at more
    whole = finished(name, bits)
    without = quantized(variant(name, **{part: off}), weight_bits=bits)
    x = images(5, seed=9)
    assert not torch.equal(whole.student(x), without.student(x))
