"""The last stage: the student beside its teacher, on real test images where there are any."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.accuracy import (
    agreement,
    embedding_cosines,
    logit_kl,
    paired_drop,
    top1,
    wilson,
)
from engine.core.events import Event, Noted, StageFinished, StageStarted, Stepped
from engine.core.paired import packed
from engine.run.context import Context
from engine.run.drive import Thinned

STAGE = "evaluation"
BATCH = 250
LARGE = 100  # pixels: of images from there on fewer are judged at a time
_UNKNOWN = dict.fromkeys(
    ("fp32_top1", "quantized_top1", "top1_band", "top1_drop", "right", "agreement", "logit_kl")
)


@dataclass(slots=True)
class Verdict:
    """What judging found; filled while `judge` is iterated."""

    values: dict[str, Any]


@torch.no_grad()
def judge(
    context: Context, student: nn.Module, calibration: Tensor, verdict: Verdict
) -> Iterator[Event]:
    """Run all test images through teacher and student, and fill the verdict."""
    labels = context.test.labels if context.test is not None else None
    count = len(context.test) if context.test is not None else len(calibration)
    yield StageStarted(stage=STAGE, total_steps=count)
    if labels is not None and not context.card.classifier:
        labels = None
        yield Noted(
            message="The labels of the test images are not looked at: this network has no classes."
        )
    start, waited = time.monotonic(), context.control.waited_s
    teachers: list[Tensor] = []
    students: list[Tensor] = []
    thinned, done = Thinned(4), 0
    size = context.at_once(BATCH if context.card.image_shape[1] < LARGE else 25)
    batches = (
        context.test.batches(size) if context.test is not None else iter(calibration.split(size))
    )
    for batch in batches:
        context.control.wait()
        x = context.for_device(batch)
        teachers.append(context.teacher(x).cpu())
        students.append(student(x).cpu())
        done += len(batch)
        if labels is not None and (thinned.is_due() or done == count):
            for part, logits in (("teacher", teachers), ("student", students)):
                running = top1(torch.cat(logits), labels[:done])
                yield Stepped(
                    stage=STAGE, part=part, step=done, losses={}, values={"top1": running}
                )
    judged = torch.cat(teachers), torch.cat(students)
    if context.card.classifier:
        verdict.values = _verdict(*judged, labels)
    else:
        verdict.values = _verdict_of_embeddings(*judged)
    name = context.test.name if context.test is not None else "the calibration images themselves"
    verdict.values |= {"test_images": count, "test_set": name}
    seconds = time.monotonic() - start - (context.control.waited_s - waited)
    yield StageFinished(stage=STAGE, seconds=seconds)


def _verdict(teacher: Tensor, student: Tensor, labels: Tensor | None) -> dict[str, Any]:
    values: dict[str, Any] = {
        **_UNKNOWN,
        "agreement": agreement(teacher, student),
        "logit_kl": logit_kl(teacher, student),
    }
    if labels is not None:
        tops = {"fp32": top1(teacher, labels), "quantized": top1(student, labels)}
        bands = {name: wilson(round(top * len(labels)), len(labels)) for name, top in tops.items()}
        values |= {"fp32_top1": tops["fp32"], "quantized_top1": tops["quantized"]}
        drop = paired_drop(teacher, student, labels)
        values["top1_drop"] = drop._asdict() | {"band": list(drop.band)}
        # So that runs on the same images can be told apart image by image.
        values["right"] = packed((student.argmax(1) == labels).tolist())
        values["top1_band"] = {name: list(band) for name, band in bands.items()}
    return values


def _verdict_of_embeddings(teacher: Tensor, student: Tensor) -> dict[str, Any]:
    """Of a network without classes: how well directions are kept, on average and for the worst image."""
    cosines = embedding_cosines(teacher, student)
    found = {"mean": float(cosines.mean()), "least": float(cosines.min())}
    return {**_UNKNOWN, "embedding_cosine": found}
