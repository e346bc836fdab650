"""Which layer gets how many bits, and a student that is quantized just so."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from engine.core.trace import watch_inputs
from engine.models.architectures.repvgg import SmallRepVGG
from engine.models.graph.blocks import find_blocks
from engine.quantization.grids.step_search import search_activation_grid
from engine.quantization.layers import QuantInput, QuantLayer
from engine.quantization.plan import plan_bits
from engine.quantization.student import fit_block, make_student
from tests.contracts.nets import TinyResNet, images, quantizing, ready

ORDER = [
    "stem.0", "down.conv1", "down.conv2", "down.shortcut.0", "same.conv1", "same.conv2", "head.2",
]  # fmt: skip


def planned(rule, weight_bits=2, activation_bits=4, model=None):
    blocks = find_blocks(ready(TinyResNet()) if model is None else model)
    plan = plan_bits(
        blocks, weight_bits=weight_bits, activation_bits=activation_bits, edge_rule=rule
    )
    return {path: (bits.weight_bits, bits.activation_bits) for path, bits in plan.items()}


def test_brecq_keeps_first_last_and_the_second_layers_input_at_8_bits():
    assert planned("brecq") == {
        "stem.0": (8, None),
        "down.conv1": (2, 8),
        "down.shortcut.0": (2, 8),  # it reads the same tensor as the second layer
        "down.conv2": (2, 4),
        "same.conv1": (2, 4),
        "same.conv2": (2, 4),
        "head.2": (8, 8),
    }


@pytest.mark.parametrize("rule", ["brecq", "qdrop"])
def test_an_image_that_branches_share_is_left_as_it_is(rule):
    """RepVGG's first block: a grid fitted to dim synthetic images would clip bright real ones."""
    model = ready(SmallRepVGG(3, 4))
    plan = planned(rule, model=model)
    assert plan["blocks.0.conv3"] == plan["blocks.0.conv1"] == (8, None)
    behind = 8 if rule == "brecq" else 4
    assert plan["blocks.1.conv3"] == plan["blocks.1.conv1"] == (2, behind)
    blocks = find_blocks(model)
    bits = plan_bits(blocks, weight_bits=2, activation_bits=4, edge_rule=rule)
    student = make_student(model, blocks, bits)
    dim = images(side=16)
    seen = []
    with watch_inputs(student, ["blocks.0.conv3"], lambda _, x: seen.append(x.clone())):
        student(dim)
        student(5 * dim)
    assert torch.equal(seen[1], 5 * dim)


def test_qdrop_keeps_first_and_last_at_8_bits():
    low = dict.fromkeys(ORDER[1:-1], (2, 4))
    assert planned("qdrop") == {"stem.0": (8, None), **low, "head.2": (8, 8)}


def test_all_treats_every_layer_alike_and_the_image_too():
    assert planned("all", 3, 5) == dict.fromkeys(ORDER, (3, 5))


def test_a_plan_is_in_order_of_execution():
    chain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1))
    assert planned("brecq", model=chain) == {"0": (8, None), "1": (2, 8), "2": (8, 8)}


@pytest.mark.parametrize(
    ("rule", "wanted"), [("brecq", (8, 8)), ("qdrop", (8, 8)), ("all", (2, 4))]
)
def test_a_single_layer_is_first_and_last(rule, wanted):
    weight_bits, activation_bits = planned(rule, model=nn.Sequential(nn.Conv2d(3, 2, 1)))["0"]
    assert weight_bits == wanted[0]
    assert activation_bits in (None, wanted[1])


# --- student ------------------------------------------------------------------------------------


def test_a_shared_input_is_quantized_once_by_the_block():
    student = quantizing(rule="brecq").student
    for path in ("down", "same"):
        assert isinstance(student.get_submodule(path), QuantInput)
    own = {path: student.get_submodule(path).input_quantizer for path in ORDER}
    assert {path for path, quantizer in own.items() if quantizer is not None} == {
        "down.conv2", "same.conv2", "head.2",
    }  # fmt: skip
    assert student.down.input_quantizer.bits == 8
    assert student.same.input_quantizer.bits == 4


def test_shortcut_and_convolution_read_the_same_few_values():
    work = quantizing(rule="qdrop", activation_bits=2)
    student, block = work.student, work.blocks[1]
    x = images(8, seed=3)[:, :1].expand(8, 4, 8, 8).relu()
    fit_block(student, block, x)
    read = {}
    with watch_inputs(student, ["down.conv1", "down.shortcut.0"], read.__setitem__):
        block.run(student, x)
    assert read["down.conv1"] is read["down.shortcut.0"]
    assert read["down.conv1"].unique().numel() <= 2**2


@pytest.mark.parametrize(("rule", "few"), [("brecq", False), ("qdrop", False), ("all", True)])
def test_the_image_stays_as_it_is_unless_all_is_asked_for(rule, few):
    work = quantizing(rule=rule, activation_bits=2, weight_bits=8)
    fit_block(work.student, work.blocks[0], work.images)
    conv = work.student.stem[0]
    assert (conv.input_quantizer is not None) is few
    exact = nn.functional.conv2d(work.images, conv.weight, padding=1)
    assert torch.allclose(conv(work.images), exact, atol=1e-5) is not few


def test_a_student_at_8_bits_is_near_its_teacher_and_shares_its_paths():
    work = quantizing(weight_bits=8, activation_bits=8)
    wanted, got = work.teacher(work.images), work.student(work.images)
    assert (wanted - got).square().mean() < 1e-3 * wanted.square().mean()
    assert not torch.equal(wanted, got)
    for path in ORDER:
        layer = work.student.get_submodule(path)
        assert isinstance(layer, QuantLayer)
        assert isinstance(layer, type(work.teacher.get_submodule(path)))
        assert torch.equal(layer.float_weight, work.teacher.get_submodule(path).weight)


def test_a_block_whose_layers_run_once_is_fitted_in_one_pass():
    work, passes = quantizing(), []
    block = work.blocks[1]

    def run(student, x):
        passes.append(len(x))
        return block.run(student, x)

    fit_block(
        work.student,
        SimpleNamespace(layers=block.layers, run=run),
        images(4)[:, :1].expand(-1, 4, -1, -1),
    )
    assert passes == [4]


def test_students_weights_are_their_own():
    work = quantizing()
    with torch.no_grad():
        work.student.stem[0].float_weight.zero_()
    assert work.teacher.stem[0].weight.abs().sum() > 0


def test_activations_are_fitted_with_float_weights_behind_quantized_inputs():
    """The second convolution's step, found again from the teacher's own layers."""
    work = quantizing(rule="qdrop", activation_bits=3)
    teacher, block = work.teacher, work.blocks[1]
    x = torch.rand(8, 4, 8, 8)
    fit_block(work.student, block, x)
    scale, low, high = search_activation_grid(x, 3)
    assert float(work.student.down.input_quantizer.scale) == pytest.approx(scale)
    coarse = (x / scale).round().clamp(low, high) * scale
    hidden = torch.relu(teacher.down.bn1(teacher.down.conv1(coarse)))
    wanted = search_activation_grid(hidden, 3)[0]
    assert float(work.student.down.conv2.input_quantizer.scale) == pytest.approx(wanted, rel=1e-4)
    assert work.student.down.conv1.weight_quantizer is not None


def test_fitting_that_breaks_leaves_the_weights_quantized():
    work = quantizing()
    with pytest.raises(RuntimeError):
        fit_block(work.student, work.blocks[1], torch.rand(1, 99, 8, 8))
    assert work.student.down.conv1.weight_quantizer is not None


def test_a_student_is_made_afresh_each_time():
    work = quantizing()
    again = make_student(work.teacher, work.blocks, work.plan)
    assert torch.equal(again.down.conv1.weight, work.student.down.conv1.weight)
    assert again.down.conv1.weight_quantizer is not work.student.down.conv1.weight_quantizer
