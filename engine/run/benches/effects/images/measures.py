"""The numbers in which sets of images are compared, each from one set and one teacher.

Definitions are those of engine/analysis/images/likeness.py where a measure is named there; others are below.
Those named "other_..." are told by another network, so that no method can have worked towards them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.images.image_statistics import ImageStatistics, image_statistics
from engine.analysis.images.likeness import MEASURES, separation, within_class_distance
from engine.core.activation_peaks import peak
from engine.core.divergence import kl
from engine.core.layout import channels_last
from engine.core.sampling.randomness import stream
from engine.core.trace import watch_inputs
from engine.models.graph.blocks import find_blocks
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization.methods.nearest import Nearest, NearestSettings
from engine.quantization.plan import plan_bits
from engine.quantization.student import fit_block, make_student
from engine.quantization.transforms.bias_and_batchnorm_correction import correct_block
from engine.synthesis.losses.classes import teacher_share
from engine.synthesis.statistics.batchnorm import StoredStatistics
from engine.synthesis.statistics.classwise import class_gap, deep_half, gather
from engine.synthesis.target_classes import balanced

CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A teacher, and real images: some for methods and controls, others held out."""

    teacher: nn.Module
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: int
    real: tuple[Tensor, Tensor]  # images, labels
    held: tuple[Tensor, Tensor]
    other: nn.Module | None = None  # another network of the same data and normalisation
    stored: StoredStatistics = field(init=False)

    def __post_init__(self) -> None:
        channels_last(self.teacher)
        object.__setattr__(self, "stored", StoredStatistics(self.teacher, self.image_shape))


@dataclass(frozen=True, slots=True)
class Made:
    """A finished set of images, and what they were made to show."""

    images: Tensor
    labels: Tensor | None


Values = dict[str, float | None]


def portrayed(subject: Subject, made: Made) -> Values:
    """The measures of engine/analysis/images/likeness.py."""
    arrays = _statistics(subject, made)
    return {measure.name: measure.of(arrays) for measure in MEASURES}


@torch.no_grad()
def _statistics(subject: Subject, made: Made) -> ImageStatistics:
    seen = subject.stored.observe(subject.teacher, _for(made.images), per_image=True, features=True)
    assert seen.per_image is not None
    assert seen.features is not None
    return image_statistics(
        made.images, seen.logits, seen.features, [(rows.mean, rows.std) for rows in seen.per_image],
        [(moments.mean, moments.std) for moments in subject.stored.moments],
    )  # fmt: skip


def _by_other(
    subject: Subject, made: Made, *, of: Callable[[Subject, Made], float | None], name: str
) -> Values:
    """A number as another network of the same data tells it, which no method has seen."""
    assert subject.other is not None
    return {name: of(replace(subject, teacher=subject.other), made)}


@torch.no_grad()
def _share(subject: Subject, made: Made) -> float:
    """Where images were made for no class, classes are dealt out: what chance gives."""
    labels = made.labels
    if labels is None:
        labels = balanced(len(made.images), subject.classes, stream(0, "effects", "dealt"))
    return teacher_share(subject.teacher(_for(made.images)), labels)


def _of_classes(
    subject: Subject, made: Made, *, of: Callable[[Mapping[str, Any]], float | None]
) -> float | None:
    """Of the classes asked for; images made for no class count as those that they are taken for."""
    arrays = _statistics(subject, made)
    if made.labels is not None:
        arrays["classes"] = made.labels.numpy()
    return of(arrays)


@torch.no_grad()
def _class_gap(subject: Subject, made: Made) -> float:
    """In deep layers, to real images held out; images made for no class count as those they are taken for."""
    teacher, stored = subject.teacher, subject.stored
    labels = teacher(_for(made.images)).argmax(1) if made.labels is None else made.labels
    theirs, _ = gather(stored, teacher, made.images, labels, classes=subject.classes)
    real, _ = gather(stored, teacher, *subject.held, classes=subject.classes)
    return class_gap(theirs, real, stored, deep_half(len(stored.paths)))


@torch.no_grad()
def _peak_error(subject: Subject, made: Made) -> Values:
    """Over the inputs of all convolutions and linear layers but the first, which reads the image."""
    ours, real = _peaks(subject.teacher, made.images), _peaks(subject.teacher, subject.held[0])
    ratios = [abs(math.log(ours[path] / real[path])) for path in list(real)[1:] if real[path] > 0]
    return {"peak_error": sum(ratios) / len(ratios)}


def _peaks(teacher: nn.Module, images: Tensor) -> dict[str, float]:
    layers = [p for p, m in teacher.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    sums: dict[str, float] = {}

    def listen(path: str, x: Tensor) -> None:
        sums[path] = sums.get(path, 0.0) + float(peak(x)) * len(x)

    with watch_inputs(teacher, layers, listen):
        for part in images.split(CHUNK):
            teacher(_for(part))
    return {path: total / len(images) for path, total in sums.items()}


@torch.no_grad()
def _divergence(
    subject: Subject, made: Made, *, name: str, activation_bits: int, replaced: bool = False
) -> Values:
    """Teacher from student on held-out images; weights of 4 bits, rounded to nearest."""
    teacher, images = subject.teacher, _for(made.images)
    blocks = find_blocks(teacher, subject.image_shape)
    plan = plan_bits(blocks, weight_bits=4, activation_bits=activation_bits, edge_rule="brecq")
    student = make_student(teacher, blocks, plan, Nearest(NearestSettings()).makers())
    seen = WalkPlan(teacher, blocks)
    walks = Walk(teacher, seen, images, CHUNK), Walk(student, seen, images, CHUNK)
    for block in blocks:
        x_teacher, x_student = walks[0].to(block), walks[1].to(block)
        fit_block(student, block, x_student)
        if replaced:
            correct_block(
                student, teacher, block, x_teacher=x_teacher, x_student=x_student, bias=False,
                batchnorm="replace",
            )  # fmt: skip
        for walk in walks:
            walk.through(block)
    parts = [
        (len(x), float(kl(teacher(_for(x)), student(_for(x)))))
        for x in subject.held[0].split(CHUNK)
    ]
    return {name: sum(count * value for count, value in parts) / len(subject.held[0])}


METRICS: Mapping[str, Callable[[Subject, Made], Values]] = {
    "other_share": partial(_by_other, of=_share, name="other_share"),
    "other_class_gap": partial(_by_other, of=_class_gap, name="other_class_gap"),
    "other_within_class": partial(
        _by_other, of=partial(_of_classes, of=within_class_distance), name="other_within_class"
    ),
    "other_separation": partial(
        _by_other, of=partial(_of_classes, of=separation), name="other_separation"
    ),
    "peak_error": _peak_error,
    "kl_w4a4": partial(_divergence, name="kl_w4a4", activation_bits=4),
    "kl_w4a3": partial(_divergence, name="kl_w4a3", activation_bits=3),
    "kl_w4a3_replaced": partial(
        _divergence, name="kl_w4a3_replaced", activation_bits=3, replaced=True
    ),
}


def _for(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
