"""The norm of the slope: it begins above 0, and the penalty brings it down."""

import torch
from torch.nn import functional

from engine.quantization.methods.gradient_l1 import GradientL1
from tests.contracts.nets import budget, quantizing


def norm_after(weight, steps=40):
    chosen = budget(GradientL1.Settings, steps=steps, batch=8, gradient_weight=weight, lr=1e-3)
    machine = quantizing(activation_bits=8).distiller(GradientL1(chosen))
    for _ in range(steps):
        machine.step()
    return machine


def test_the_penalty_makes_the_slope_smaller_than_as_long_a_training_without_it():
    free, flat = norm_after(0.0), norm_after(1.0)
    assert flat._learner._norms[-1] < 0.9 * flat._learner._norms[0]
    assert flat._learner._norms[-1] < free._learner._norms[-1]


def test_the_slope_is_not_that_of_the_divergence_which_is_0_at_the_start():
    machine = norm_after(0.0, steps=1)
    assert machine._learner._norms[0] > 1e-2
    work = quantizing()
    teacher = work.teacher.requires_grad_()
    scores = teacher(work.images)
    log = functional.log_softmax(scores, 1)
    divergence = functional.kl_div(log, log.detach(), reduction="batchmean", log_target=True)
    slopes = torch.autograd.grad(divergence, [p for p in teacher.parameters() if p.dim() > 1])
    assert sum(float(s.abs().sum()) for s in slopes) < 1e-4
