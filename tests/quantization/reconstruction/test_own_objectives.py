"""Each learned rounding does better by its own paper's measure than rounding to nearest does.

The measures are worked out here anew. Nothing is said of accuracy: that a lower objective helps the
network is the papers' claim, and on small ones it need not hold.
"""

from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F

from engine.core.sampling.randomness import stream
from engine.models.graph.blocks import layer_blocks
from engine.models.graph.rest_of_network import Rest
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization import discover_methods
from engine.quantization.grids.quantizers import ActivationQuantizer
from engine.quantization.methods.adaround import inputs_of
from engine.quantization.student import fit_block, make_student, quantizers
from tests.contracts.nets import budget, quantizing, smooth_images
from tests.thorough import thorough

METHODS = discover_methods()


class Reconstructed:
    """The strided residual block at 2 bits, before and after a method has learned its roundings."""

    def __init__(self, name, seed, **changes):
        self.work = work = quantizing(rule="all")
        work.images = smooth_images(16, seed=seed)
        chosen = {"steps": 200, "batch": 16, "activation_steps": 60, "keep_float": 0.5} | changes
        method = METHODS[name](budget(METHODS[name].Settings, **chosen))
        self.settings = method.settings
        plan = WalkPlan(work.teacher, work.blocks)
        walk = Walk(work.teacher, plan, work.images, 8)
        self.block = work.blocks[1]
        self.x = walk.to(self.block)
        self.y = walk.through(self.block)
        self.index = torch.arange(len(self.x))
        self.rest = Rest(work.teacher, plan, self.block, work.images)
        self.nearest, self.learned = (
            make_student(work.teacher, work.blocks, work.plan, method.makers()) for _ in range(2)
        )
        for student in (self.nearest, self.learned):
            fit_block(student, self.block, self.x)
        machine = method.reconstruct(
            self.learned, self.block, x_teacher=self.x, x_student=self.x, y_teacher=self.y,
            rng=stream(seed, "own"), rest=self.rest,
        )  # fmt: skip
        for _ in range(machine.total_steps):
            machine.step()
        method.finish(self.learned, self.block)

    @torch.no_grad()
    def distance(self, student, weights=1.0):
        """Σ over channels of w (out − target)², the mean over images and places."""
        out = self.block.run(student, self.x)
        return float((weights * (out - self.y).square()).sum(1).mean())

    @contextmanager
    def float_inputs(self, student):
        inputs = [
            q for _, q in quantizers(student, self.block) if isinstance(q, ActivationQuantizer)
        ]
        for quantizer in inputs:
            quantizer.forward = lambda x: x
        yield
        for quantizer in inputs:
            del quantizer.forward


seeds = pytest.mark.parametrize("seed", [0, *thorough(1)])


@pytest.mark.extended
@seeds
@pytest.mark.parametrize("name", ["qdrop", "genie-m"])
def test_the_blocks_output_comes_nearer(name, seed):
    done = Reconstructed(name, seed)
    assert done.distance(done.learned) < done.distance(done.nearest)


@seeds
def test_adaround_brings_every_layers_output_nearer_on_the_inputs_that_it_has(seed):
    done = Reconstructed("adaround", seed)
    teacher, student = done.work.teacher, done.learned
    gained = 0.0
    for layer in layer_blocks(teacher, done.block.layers):
        x, wanted = (inputs_of(model, done.block, layer, done.x) for model in (student, teacher))
        quantizer = student.get_submodule(layer.layers[0]).weight_quantizer
        weight = student.get_submodule(layer.layers[0]).float_weight
        learned = quantizer.codes.clone()
        errors = []
        for codes in (learned, quantizer.nearest(weight)):
            quantizer.take(codes)
            with torch.no_grad():
                lost = layer.run(student, x) - layer.run(teacher, wanted)
            errors.append(float(lost.square().sum(1).mean()))
        quantizer.take(learned)
        assert errors[0] <= errors[1], layer.name  # a layer of few weights may be best as it was
        gained += errors[1] - errors[0]
    assert gained > 0


@seeds
def test_brecq_loses_less_by_the_squared_gradients_of_the_answers_divergence(seed):
    done = Reconstructed("brecq", seed, distance="fisher")
    with torch.no_grad():
        out = done.block.run(done.nearest, done.x)
    out.requires_grad_()
    wanted = done.rest(done.y, done.index).softmax(1)
    lost = (wanted * (wanted.log() - done.rest(out, done.index).log_softmax(1))).sum()
    (gradient,) = torch.autograd.grad(lost, out)
    # its roundings are learned with float activations, whose step sizes come after them
    with done.float_inputs(done.learned), done.float_inputs(done.nearest):
        learned, plain = (
            done.distance(student, gradient.square()) for student in (done.learned, done.nearest)
        )
    assert learned < plain


@pytest.mark.extended
@seeds
def test_pd_quant_loses_less_of_the_block_and_of_the_answer_together(seed):
    done = Reconstructed("pd-quant", seed)

    @torch.no_grad()
    def objective(student):
        p = F.softmax(done.rest(done.y, done.index) / done.settings.temperature, 1)
        answer = done.rest(done.block.run(student, done.x), done.index) / done.settings.temperature
        divergence = (p * (p.log() - answer.log_softmax(1))).sum(1).mean()
        return done.distance(student) + done.settings.prediction_weight * float(divergence)

    assert objective(done.learned) < objective(done.nearest)
