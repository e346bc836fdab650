"""A quantizer in a few steps: how long a step of each kind takes, and how many a run will take.

Seconds are those that this thread has the processor. It takes its share of all that several threads do, and
sleeps while others end theirs, so it is at work as long as the whole takes where each thread has a core of
its own: another busy process lengthens neither, and does not make two threads look like one.
"""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from engine.core.events import BlockStarted, Stepped
from engine.core.method import Machine
from engine.core.sampling.randomness import stream
from engine.models.graph.blocks import Block
from engine.quantization.base import QuantizationMethod
from engine.run.context import Context
from engine.run.folders.control import Control
from engine.run.stages.quantization.bits import keep_bits
from engine.run.stages.quantization.distil import WHOLE
from engine.run.stages.quantization.quantize import quantize

STEPS = 3  # for each knob of steps; the first is left out


class Stopwatch(Control):
    """Lets every step pass, and notes this thread's time before it."""

    began: list[float]

    def wait(self, before_pause: Callable[[], None] = lambda: None) -> None:
        super().wait(before_pause)
        self.began.append(time.thread_time())


def step_times(context: Context, images: Tensor, few: QuantizationMethod) -> dict[str, list[float]]:
    """The whole stage, run in the context: the seconds of each step, by block."""
    watch = Stopwatch(context.folder.path)
    context.control = watch
    began: dict[str, list[float]] = {}
    ended: dict[str, float] = {}
    # What trains the whole student does so before the first block begins.
    watch.began = began[WHOLE] = []
    for event in quantize(context, images, few):
        if isinstance(event, BlockStarted):
            watch.began = began[event.block] = []
        elif isinstance(event, Stepped):  # the last step of a block is always reported
            ended[event.part] = time.thread_time()
    took = {}
    for block, end in ended.items():
        times = [*(t for t in began[block] if t < end), end]  # without the wait for the next block
        took[block] = [after - before for before, after in pairwise(times)]
    return took


def extrapolated(
    blocks: Sequence[Block],
    method: QuantizationMethod,
    few: QuantizationMethod,
    took: dict[str, list[float]],
) -> tuple[list[dict[str, Any]], float]:
    """([{"knob", "takes", "s"}], seconds): all steps of the method by their kind; what `took` has of it.

    The first step of a stretch prepares it and is left out, where it is not all of it. Shares of a work
    that is done anyway are what they are, into however many it is cut.
    """
    seconds: dict[tuple[str, str], float] = {}
    counted = 0.0
    if times := took.get(WHOLE, []):
        counted = sum(times)
        mine = times[1:] or times
        kind = "steps", method.settings.step_takes
        seconds[kind] = sum(mine) * method.steps_of_the_whole() / len(mine)
    for block in blocks:
        times = took.get(block.name, [])
        for all_, some in zip(method.stretches_of(block), few.stretches_of(block), strict=True):
            mine, times = times[: some.steps], times[some.steps :]
            whole = some.takes == "share"
            mine = mine if whole else mine[1:] or mine
            if mine:
                kind = all_.knob, all_.takes
                of_all = sum(mine) * (1.0 if whole else all_.steps / len(mine))
                seconds[kind] = seconds.get(kind, 0.0) + of_all
                counted += sum(mine)
    return [{"knob": k, "takes": takes, "s": s} for (k, takes), s in seconds.items()], counted


def choose_no_bits(
    context: Context, images: Tensor, method: QuantizationMethod
) -> tuple[float, float]:
    """(seconds that grow with the images, seconds that do not) of choosing bits.

    All steps, extrapolated from a few along the way, and the looks at what was chosen grow. To time the
    kernels, which the first step does, and to solve do not; numbers stand in for what was not measured.
    The bits stay as they are planned, and are kept: the stage that is timed afterwards makes its planner,
    which is counted there, and lets it take no step.
    """
    plan = dict(context.plan)
    rng = stream(context.recipe.seed, "pace", "bits")
    planner = method.planner(context.teacher, context.blocks, plan, context.for_device(images), rng)
    if planner is None:
        return 0.0, 0.0
    first_s = _step_s(planner)
    begun, took, last = planner.state_dict(), [], planner.total_steps - 1
    for at in torch.linspace(min(1, last), last, 2 * STEPS).int().tolist():
        planner.load_state_dict(
            begun | {"steps_done": at}
        )  # layers and widths differ: some of each
        took.append(_step_s(planner))
    planner.stand_in()
    decide_s, solve_s = _seconds(planner.decide), _seconds(planner.solve)
    list(keep_bits(context, context.plan, {"uniform": []}))
    each = sum(took) / len(took)
    looks_s = max(0.0, solve_s - decide_s)
    return planner.total_steps * each + looks_s, max(0.0, first_s - each) + decide_s


def _step_s(machine: Machine) -> float:
    return _seconds(machine.step)


def _seconds(work: Callable[[], Any]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start
