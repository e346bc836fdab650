"""A student with some quantizers on: what its numbers are, told by one layer's own tensors."""

import copy

import pytest
import torch

from engine.core.trace import first_value
from engine.quantization.bits.partial_student import PartialStudent
from engine.quantization.grids.quantizers import FIT_IMAGES, Makers, WeightQuantizer
from tests.contracts.nets import quantizing


@pytest.fixture
def partial():
    work = quantizing()
    work.images = work.images[:FIT_IMAGES]
    student = PartialStudent(work.teacher, work.blocks, work.plan, work.images, Makers())
    return work.teacher, student


@torch.no_grad()
def test_a_layer_s_output_noise_is_over_its_own_output(partial):
    teacher, student = partial
    for path in ("stem.0", "same.conv2"):
        layer = copy.deepcopy(teacher.get_submodule(path))
        x = first_value(teacher, path, "input", student.images)
        wanted = layer(x).double()
        quantizer = WeightQuantizer(2)
        quantizer.fit(layer.weight)
        layer.weight.copy_(quantizer(layer.weight))
        noise = (layer(x) - wanted).square().sum() / wanted.square().sum()
        assert student.output_noise(path, {path: 2}) == pytest.approx(float(noise), rel=1e-4)


@torch.no_grad()
def test_an_input_s_noise_is_over_the_input(partial):
    teacher, student = partial
    owner = student.owner["same.conv2"]
    x = first_value(teacher, "same.conv2", "input", student.images)
    noise = x - student.fitted(owner, "input", 3)(x)
    wanted = float(noise.square().sum() / x.square().sum())
    assert student.input_noise(owner, 3) == pytest.approx(wanted, rel=1e-5)


@torch.no_grad()
def test_behind_switched_all_is_float_again(partial):
    teacher, student = partial
    wanted = teacher(student.images)
    assert torch.allclose(student.logits(), wanted, atol=1e-6)
    with student.switched({"same.conv2": 2}):
        assert not torch.allclose(student.logits(), wanted, atol=1e-3)
    assert torch.allclose(student.logits(), wanted, atol=1e-6)
