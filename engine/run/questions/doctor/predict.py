"""What each finding's change would gain, tried out in memory on the images to judge with. Imports torch."""

from dataclasses import replace

import torch
from torch import Tensor

from engine.analysis.answers.accuracy import paired_drop
from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.inputs.normalisation import renormalised
from engine.core.errors import UserError
from engine.run.questions.doctor.losses import Gain, Losses
from engine.run.questions.doctor.rough import rounded_to_nearest, with_other_bits
from engine.run.questions.why.opened import Opened


class Predictor:
    """Gains by change; what two findings ask for alike is tried out once.

    Bits of layers are changed in the run's own student. Other rules, equalised channels and fewer images are
    tried with nearest rounding: of a quantizer that learns, the share of the loss that goes away there is
    taken to go away from its own. More images, or others, cannot be told before they are made.
    """

    def __init__(self, run: Opened, losses: Losses, *, learns: bool) -> None:
        self._run, self._losses, self._learns = run, losses, learns
        self._found: dict[str, Gain | None] = {}
        self._nearest: Tensor | None = None

    @property
    def nearest(self) -> Tensor:
        """[n]: the loss of each image with the run's recipe rounded to nearest."""
        if self._nearest is None:
            self._nearest = self._losses.of(rounded_to_nearest(self._run))
        return self._nearest

    def of(self, finding: Finding) -> Finding:
        """The finding with what its change would gain the whole network, where that can be told."""
        change = finding.change
        if change is None:
            return finding
        key = repr(replace(change, words=""))
        if key not in self._found:
            self._found[key] = self._gain(change)
        gain = self._found[key]
        if gain is None:
            return finding
        return replace(finding, predicted_gain=gain.value, band=gain.band, unit=gain.unit)

    @torch.no_grad()
    def _gain(self, change: Change) -> Gain | None:
        if "mean" in change.model_settings:
            return self._of_normalisation(change)
        if not change.same_images:
            return None
        if change.only_bits:
            with with_other_bits(self._run, change):
                return self._losses.gain(self._losses.of(self._run.student))
        if change.quantization:
            return self._losses.gain(self.nearest) if change.quantization == "nearest" else None
        try:
            then = self._losses.of(rounded_to_nearest(self._run, change))
        except UserError:  # the data flow is hidden, or a quantizer has no such setting
            return None
        return self._losses.gain(then, of=self._scale() if self._learns else 1.0)

    def _scale(self) -> float:
        """The loss of what was learned over that of nearest rounding."""
        return float(self._losses.now.mean() / self.nearest.mean().clamp_min(1e-12))

    def _of_normalisation(self, change: Change) -> Gain | None:
        """The student's answers to the same pixels, normalised otherwise; None without labels."""
        run, x, labels = self._run, self._losses.x, self._losses.labels
        if labels is None or not run.context.output.has_classes:
            return None
        mean, std = change.model_settings["mean"], change.model_settings["std"]
        other = renormalised(x, run.context.normalisation, (mean, std))
        now, then = run.outputs(run.student, x), run.outputs(run.student, other)
        gain = paired_drop(then, now, labels)
        return Gain(value=gain.share, band=(gain.band.low, gain.band.high), unit="top1")
