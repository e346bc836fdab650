"""A student that is trained: it computes what nearest rounding would, and learns as if it were float."""

import io

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.core.trace import count_hooks
from engine.quantization.grids.quantizers import ActivationQuantizer
from engine.quantization.methods.nearest import Nearest, NearestSettings
from engine.quantization.trainable_student import TrainedWeight
from tests.contracts.nets import TinyResNet, images, quantizing, ready, student_of


def nearest_student(start, x):
    """The teacher's place taken by `start`, quantized by the control from its first block to its last."""
    work = quantizing(3, 3)
    work.teacher, work.images = start, x
    for _ in work.machines(Nearest(NearestSettings())):
        pass
    return work.student


def test_it_answers_as_the_student_that_nearest_rounding_makes():
    teacher = ready(TinyResNet())
    student, x = student_of(teacher), images(8)
    student.fit(x)
    assert torch.equal(student(x), nearest_student(teacher, x)(x))
    assert not torch.equal(student(x), teacher(x))


def test_after_learning_and_a_new_fit_it_still_does():
    teacher = ready(TinyResNet())
    student, x = student_of(teacher), images(8)
    student.fit(x)
    sgd = torch.optim.SGD([p for p in student.parameters() if p.requires_grad], 0.1)
    student(x).square().mean().backward()
    sgd.step()
    student.fit(x)
    moved = ready(TinyResNet())
    moved.load_state_dict(student.weights(), strict=False)
    assert not torch.equal(moved.stem[0].weight, teacher.stem[0].weight)
    assert torch.equal(student(x), nearest_student(moved, x)(x))


def test_the_gradient_passes_rounding_and_clipping_as_if_they_were_not_there():
    weight = torch.tensor([[0.1, 0.4, -0.3, 2.0]], requires_grad=True)
    quantizer = TrainedWeight(2, rule="min-max")
    quantizer.fit(torch.tensor([[0.0, 0.4, -0.2, 0.3]]))  # 2.0 and -0.3 are clipped
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    values = quantizer(weight)
    assert torch.allclose(values, torch.tensor([[0.0, 0.4, -0.2, 0.4]]))
    F.linear(x, values).sum().backward()
    assert torch.equal(weight.grad, x)


def test_all_that_the_teacher_learned_is_learned_on_and_nothing_else():
    teacher = ready(TinyResNet())
    student = student_of(teacher)
    weights = student.weights()
    assert weights.keys() == dict(teacher.named_parameters()).keys()
    assert all(torch.equal(weights[name], p) for name, p in teacher.named_parameters())
    learned = sum(p.numel() for p in student.parameters() if p.requires_grad)
    assert learned == sum(p.numel() for p in teacher.parameters())
    assert not any(p.requires_grad for p in teacher.parameters())


def test_statistics_of_batchnorm_stay_while_it_learns():
    teacher = ready(TinyResNet())
    student = student_of(teacher)
    student.fit(images(8))
    student(images(8)).sum().backward()
    norms = [m for m in student.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(m.training for m in norms)
    assert torch.equal(student.network.stem[1].running_mean, teacher.stem[1].running_mean)
    assert norms[0].weight.grad is not None


def test_ranges_follow_the_images_only_when_told():
    student = student_of(ready(TinyResNet()))
    student.fit(images(8))
    quantizer = next(m for m in student.modules() if isinstance(m, ActivationQuantizer))
    before = float(quantizer.scale)
    student(10 * images(8))
    assert float(quantizer.scale) == before
    student.fit(10 * images(8))
    assert float(quantizer.scale) > 2 * before


def test_it_goes_through_a_file_and_is_the_same():
    x = images(8)
    student = student_of(ready(TinyResNet()))
    student.fit(x)
    for parameter in student.parameters():
        if parameter.requires_grad:
            parameter.data.add_(0.05 * torch.randn_like(parameter))
    buffer = io.BytesIO()
    torch.save(student.state_dict(), buffer)
    buffer.seek(0)
    again = student_of(ready(TinyResNet(), seed=5))
    again.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(again(2 * x), student(2 * x))


def test_no_hook_stays_though_it_breaks_while_ranges_are_placed(monkeypatch):
    student = student_of(ready(TinyResNet()))
    monkeypatch.setattr(student.network.same.conv2, "forward", lambda x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        student.fit(images(8))
    assert count_hooks(student) == 1  # the test's own stand-in
