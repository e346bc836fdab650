"""The last stage: the student beside its teacher, on real test images where there are any."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.answers.verdicts import KINDS, Images, Outputs, Scores, one_answer
from engine.core.errors import UserError
from engine.core.events import Event, Noted, StageFinished, StageStarted, Stepped
from engine.core.trace import first_not_finite, watch_inputs
from engine.data.pixels.half_size import enlarged
from engine.models.graph.blocks import unused_layers
from engine.run.context import Context
from engine.run.folders import damage
from engine.run.stages.judging.one_class import says_little
from engine.run.stages.judging.teacher_answers import TeacherAnswers
from engine.run.stages.judging.widths import widths_looked_at
from engine.run.stages.synthesis.held_out_images import (
    how_many,
    load_others,
    make_others,
    planned_steps,
    set_name,
)
from engine.run.stages.synthesis.reuse import OTHERS
from engine.run.step_loop import Thinned

STAGE = "evaluation"
BATCH = 100  # what passes at once stays near the processor: a fifth faster than 250 at once
_WAYS_OUT = {
    "float": "check the weights, model.mean and model.std",
    "quantized": "give it more bits, or set quantization.weight_range or activation_range to min-max",
}
LARGE = 100  # pixels: of images from there on fewer are judged at a time


@dataclass(slots=True)
class Verdict:
    """What judging found; filled while `judge` is iterated."""

    values: dict[str, Any]


def judge(context: Context, student: nn.Module, verdict: Verdict) -> Iterator[Event]:
    """Run all images to judge with through teacher and student, and fill the verdict.

    These are the test images; without them, a few that were made like those calibrated on, and are none of
    them. UserError where an output is not finite.
    """
    yield from damage.torn(context.folder.path / OTHERS)
    test, before = context.test, planned_steps(context)
    looked_at = len(test) if test is not None else how_many(context)
    yield StageStarted(stage=STAGE, total_steps=before + looked_at)
    start, waited = time.monotonic(), context.control.waited_s
    yield from make_others(context)
    images = None if test is not None else load_others(context)
    name = test.name if test is not None else set_name(context)
    found = KINDS[context.output.kind]()
    if context.output.shares == "labels":  # sigmoids: each score stands for itself
        found.up_to_a_constant = False
    if test is None and images is None:
        yield Noted(message=_NOTHING)
        verdict.values = Outputs.nothing()
    else:
        labels = None if test is None else test.labels
        if labels is not None and context.output.kind not in _LABELLED:
            labels = None
            yield Noted(message=_NO_CLASSES)
        yield from _compared(context, student, images, labels, (found, before, name))
        verdict.values = found.values(labels)
        if labels is not None and verdict.values.get("verification", True) is None:
            yield Noted(message=_NO_PAIRS)
        yield from widths_looked_at(context, student)
    count = len(images) if images is not None else 0 if test is None else len(test)
    verdict.values |= {"output_kind": context.output.kind, "test_images": count, "test_set": name}
    said = one_answer(context.output.kind, verdict.values)
    if said and says_little(verdict.values):
        yield Noted(message=said)
    seconds = time.monotonic() - start - (context.control.waited_s - waited)
    yield StageFinished(stage=STAGE, seconds=seconds)


_NO_CLASSES = (
    "The labels of the test images are not looked at: this network has no classes of images."
)
_LABELLED = ("logits", "one-logit", "embedding")  # kinds of outputs that labels are held against
_NO_PAIRS = (
    "Nothing is said of verification: that takes 20 pairs, and images of at least two labels; give more "
    "images (--data FOLDER, a folder for each)."
)
_NOTHING = (
    "Nothing was judged: there are no test images (--data FOLDER), and no images are left that were not "
    "calibrated on; give --data, or choose fewer --images."
)


@torch.no_grad()
def _compared(
    context: Context,
    student: nn.Module,
    images: Tensor | None,
    labels: Tensor | None,
    into: tuple[Outputs, int, str],
) -> Iterator[Event]:
    found, before, name = into
    thinned, done = Thinned(4), 0
    size = context.at_once(BATCH if context.card.image_shape[1] < LARGE else 25)
    batches = context.test.batches(size) if context.test is not None else _split(images, size)
    truth = None if context.test is None else context.test.truth
    truths = None if truth is None else truth.batches(size)
    kept = None if context.test is None else TeacherAnswers(context)
    for batch in batches:
        context.control.wait()
        x = context.for_device(batch)
        answer = partial(_finite, context.teacher, x, "float", name)
        teacher = answer() if kept is None else kept.of(batch, answer)
        # What quantizes an input makes a level of what is no number: behind it the output looks fine.
        with _only_quantized(context, student, name):
            coarse = _finite(student, x, "quantized", name, look_inside=not done)
        found.add(teacher, coarse)
        if truths is not None and isinstance(found, Images):
            _add_truth(context, found, (batch, next(truths)), (teacher, coarse))
        done += len(batch)
        due = labels is not None and (thinned.is_due() or done == len(labels))
        if due and labels is not None and isinstance(found, Scores):
            for part, running in found.running(labels).items():
                values = {"top1": running}
                yield Stepped(stage=STAGE, part=part, step=before + done, losses={}, values=values)
    if kept is not None and done:
        kept.keep()


@contextmanager
def _only_quantized(context: Context, student: nn.Module, name: str) -> Iterator[None]:
    """Inside, UserError where a layer runs that ran for no image before, and so was never quantized."""
    hidden = any(block.region is None for block in context.blocks)
    unused = unused_layers(context.teacher, context.blocks) if hidden else ()

    def refuse(path: str, _: Any) -> None:
        raise UserError(
            f"layer {path!r} runs for some images of {name}, and for none that the network was looked at "
            "with, so it was never quantized; let its forward take the same way for every image"
        )

    with watch_inputs(student, unused, refuse):
        yield


def _add_truth(
    context: Context,
    found: Images,
    pair: tuple[Tensor, Tensor],  # the images, and what they should become
    given: tuple[Tensor, Tensor],  # what the float and the quantized network made of them
) -> None:
    """Both networks' images beside the truth, and what is had without any network."""
    assert context.test is not None
    small, truth = pair
    bicubic = enlarged(small, (truth.shape[2], truth.shape[3]))
    named = zip(("float", "quantized", "bicubic"), (*given, bicubic), strict=True)
    pixels = context.test.pixels
    found.add_truth(pixels(truth), **{name: pixels(images) for name, images in named})


def _split(images: Tensor | None, size: int) -> Iterator[Tensor]:
    yield from () if images is None else images.split(size)


def _finite(
    model: nn.Module, x: Tensor, which: str, name: str, *, look_inside: bool = False
) -> Tensor:
    """The model's outputs to a batch, on the CPU; UserError with the layer where they are not finite."""
    y: Tensor = model(x).cpu()
    fine = bool(y.isfinite().all())
    layer = first_not_finite(model, x, infinite=not fine) if look_inside or not fine else ""
    if fine and not layer:
        return y
    if not bool(x.isfinite().all()):
        raise UserError(f"images of {name} hold pixels that are not finite; {_WAYS_OUT['float']}")
    broken = int((~y.isfinite()).flatten(1).any(1).sum())
    what = (
        f"outputs are not finite for {broken} of {len(x)}"
        if broken
        else "values are not finite for some"
    )
    where = f": the first layer with such values is {layer!r}" if layer else ""
    raise UserError(f"the {which} network's {what} images of {name}{where}; {_WAYS_OUT[which]}")
