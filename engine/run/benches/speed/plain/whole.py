"""The published pipeline: GENIE-D's images, then GENIE-M's student, as published code makes them."""

import time
from typing import Any, NamedTuple

from torch import Tensor, nn

from engine.core.layout import contiguous
from engine.core.sampling.randomness import stream
from engine.models.card import ModelCard
from engine.models.cards.sources import listed_card
from engine.models.graph.blocks import Block, find_blocks
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization.methods.genie_m import GenieM, GenieMSettings
from engine.quantization.plan import plan_bits
from engine.quantization.student import fit_block, make_student
from engine.run.benches.speed.plain.quantizers import torch_draws
from engine.run.benches.speed.plain.reconstruction import PlainReconstruction
from engine.run.benches.speed.plain.synthesis import PlainGenie
from engine.synthesis.base import Request
from engine.synthesis.methods.genie import Genie, GenieSettings
from engine.synthesis.statistics.batchnorm import StoredStatistics

CHUNK = 128  # images that pass a block together


class PlainRun(NamedTuple):
    """The student, and how long it and its images took, in seconds of the clock."""

    images_s: float
    student_s: float
    student: nn.Module


class Budget(NamedTuple):
    """Images, steps on them, and steps on each block."""

    images: int
    steps: int
    block_steps: int


def plain_run(network: str, budget: Budget, bits: tuple[int, int], seed: int) -> PlainRun:
    """The published loops with the rates as released, in float32, NCHW; `bits` of weights and of inputs."""
    card = listed_card(network, {})
    teacher = card.load()
    contiguous(teacher)
    begun = time.monotonic()
    images = _images(card, teacher, budget, seed)
    between = time.monotonic()
    student = _student(card, teacher, images, budget, bits, seed)
    return PlainRun(between - begun, time.monotonic() - between, student)


def _images(card: ModelCard, teacher: nn.Module, budget: Budget, seed: int) -> Tensor:
    stored, rng = StoredStatistics(teacher, card.image_shape), stream(seed, "plain images")
    shape = (budget.images, *card.image_shape)
    begin = Genie(
        Request(
            teacher=teacher, stored=stored, settings=GenieSettings(), shape=shape, rng=rng,
            mean=card.mean, std=card.std,
        )
    )  # fmt: skip
    machine = PlainGenie(teacher, stored, shape, begin.parts.canvas.state_dict(), rng)
    for _ in range(budget.steps):
        machine.step()
    return machine.images()


def _student(
    card: ModelCard,
    teacher: nn.Module,
    images: Tensor,
    budget: Budget,
    bits: tuple[int, int],
    seed: int,
) -> nn.Module:
    blocks = find_blocks(teacher, card.image_shape)
    planned = plan_bits(blocks, weight_bits=bits[0], activation_bits=bits[1], edge_rule="brecq")
    student = make_student(teacher, blocks, planned)
    plan = WalkPlan(teacher, blocks)
    walks = [Walk(model, plan, images, CHUNK) for model in (teacher, student)]
    settings = GenieM(GenieMSettings(steps=budget.block_steps)).core()
    for block in blocks:
        x, own, y = walks[0].to(block), walks[1].to(block), walks[0].through(block)
        fit_block(student, block, own[: 2 * CHUNK])
        _learn(student, block, (x, own, y), settings, seed)
        walks[1].through(block)
    return student


def _learn(
    student: nn.Module,
    block: Block,
    values: tuple[Tensor, Tensor, Tensor],
    settings: Any,
    seed: int,
) -> None:
    rng = stream(seed, "plain student", block.name)
    machine = PlainReconstruction(
        student, block, x_teacher=values[0], x_student=values[1], y_teacher=values[2],
        settings=settings, rng=rng, draw=torch_draws(rng),
    )  # fmt: skip
    for _ in range(settings.steps):
        machine.step()
    machine.settle(student)
