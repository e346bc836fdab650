"""What a student loses against its teacher, image by image, and what a change takes of it. Imports torch."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.analysis.answers.accuracy import agreement, image_kls
from engine.analysis.doctor.record import Loss
from engine.core.divergence import score_rows
from engine.core.paired import Band, mean_band
from engine.run.questions.why.opened import Opened

IMAGES, PIXELS = 64, 2**18  # at most so many to judge by; fewer where they are large


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a change would bring, in `unit`, with its 95 % band over the images."""

    value: float
    band: tuple[float, float] | None
    unit: str


class Losses:
    """The images that a run was judged on, or the first of them, with what its teacher gives for them."""

    def __init__(self, run: Opened) -> None:
        self.run = run
        count = max(16, min(IMAGES, PIXELS // max(1, run.test[0, 0].numel())))
        self.x = run.test[:count]
        self.labels = None if run.labels is None else run.labels[:count]
        self.scores = run.context.output.compares_scores
        self._wanted = run.outputs(run.teacher, self.x)
        self.now = self.of(run.student)

    def of(self, model: nn.Module) -> Tensor:
        """[n]: KL in nats of each image, else noise over signal of its output."""
        given = self.run.outputs(model, self.x)
        if self.scores:
            rows = image_kls(score_rows(self._wanted), score_rows(given))
            return rows.view(len(self.x), -1).mean(1)
        wanted, error = self._wanted.double().flatten(1), (given - self._wanted).double().flatten(1)
        return error.square().sum(1) / wanted.square().sum(1).clamp_min(1e-12)

    def loss(self) -> Loss:
        """Of the run's own student."""
        same = None
        if self.run.context.output.has_classes:
            same = agreement(self._wanted, self.run.outputs(self.run.student, self.x))
        value, unit = float(self.now.mean()), "KL" if self.scores else "dB"
        return Loss(value=value, unit=unit, images=len(self.x), agreement=same)

    def gain(self, then: Tensor, *, of: float = 1.0) -> Gain:
        """From the student's loss to another's, [n] each; `of`: the loss that `then` is relative to."""
        if self.scores:
            less = self.now - then * of
            return Gain(value=float(less.mean()), band=_plain(mean_band(less.tolist())), unit="KL")
        tiny = 1e-10
        decibels = 10 * ((self.now + tiny).log10() - (then * of + tiny).log10())
        value = 10 * float(torch.log10((self.now.mean() + tiny) / (then.mean() * of + tiny)))
        return Gain(
            value=value, band=_plain(mean_band(decibels.tolist())), unit="dB of the outputs"
        )


def _plain(band: Band | None) -> tuple[float, float] | None:
    return None if band is None else (band.low, band.high)
