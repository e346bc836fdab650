"""BatchNorm statistics: what the teacher stored while it was trained, and what it sees in given images.

Statistics are tapped at the input of each BatchNorm module itself. (ZeroQ's code pairs the i-th
convolution with the i-th BatchNorm, which is wrong as soon as the two are not one to one.)
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.layout import readable
from engine.core.sampling.noise_images import noise_images
from engine.core.trace import Forward, computed_by, watch_inputs, watch_outputs
from engine.synthesis.classifier import read_by, rows_of
from engine.synthesis.statistics.moments import (
    EPS,
    Moments,
    as_maps,
    averaged,
    batch_moments,
    image_moments,
    pooled,
)
from engine.synthesis.statistics.normalised import can_normalise, normalised


@dataclass(frozen=True, slots=True)
class Observation:
    """What a teacher saw in a batch of images, all of it in one pass."""

    moments: list[Moments]  # of the batch, at every BatchNorm layer
    logits: Tensor
    per_image: list[Moments] | None = None  # of each image by itself, where asked for
    features: Tensor | None = (
        None  # what the classifier reads of each image, [images, features], likewise
    )
    outputs: list[Moments] | None = None  # of the batch, behind the layers that were asked for

    def detach(self) -> "Observation":
        """Moments of the batch and logits, without what they were computed from."""
        return Observation([m.detach() for m in self.moments], self.logits.detach())


class StoredStatistics:
    """The statistics that a teacher's BatchNorm layers keep, in order of execution.

    `units` are the deviations that the layers divide by, eps of their own included. A layer that runs several
    times in a pass is one entry: what it sees is averaged over its calls, as it was when it was stored.

    `outputs` is the width of what the teacher returns (0 where that is no table of scores), and
    `classifier` the path of the layer that makes it, "" where there is none: the last to run, if it is
    linear or a 1x1 convolution. BatchNorm that stores no statistics is passed over.
    """

    def __init__(self, teacher: nn.Module, image_shape: Sequence[int]) -> None:
        order, logits = _run_once(teacher, image_shape)
        norms = {p for p, m in teacher.named_modules() if keeps_statistics(m)}
        self.calls = Counter(path for path in order if path in norms)
        order = list(dict.fromkeys(order))
        self.paths = list(self.calls)
        self.outputs = logits.shape[1] if isinstance(logits, Tensor) and logits.dim() == 2 else 0
        rows = rows_of(teacher.get_submodule(order[-1])) if order else None
        makes_scores = rows is not None and len(rows) == self.outputs > 1
        self.classifier = order[-1] if makes_scores else ""
        layers = [teacher.get_submodule(path) for path in self.paths]
        self.moments = [
            Moments(layer.running_mean.clone(), (layer.running_var + EPS).sqrt())  # type: ignore[operator, union-attr]
            for layer in layers
        ]
        self.units = [(layer.running_var + layer.eps).sqrt() for layer in layers]  # type: ignore[operator]

    def notes(self) -> list[str]:
        """What a user should know of these layers; mostly nothing."""
        again = [path for path, count in self.calls.items() if count > 1]
        if not again:
            return []
        path = again[0]
        more = f", and {len(again) - 1} more layers likewise" if len(again) > 1 else ""
        return [
            f"BatchNorm layer {path!r} runs {self.calls[path]} times in one pass{more}: its statistics are "
            "compared with the average over all its calls, which is what it stored."
        ]

    def observe(
        self,
        model: nn.Module,
        images: Tensor,
        *,
        per_image: bool = False,
        features: bool = False,
        outputs: Sequence[str] = (),
    ) -> Observation:
        """Run the images once through the model (the teacher or a patched copy), gradients as they come.

        `outputs` names modules behind which the moments of the batch are wanted too. The moments of
        the batch are put together from those of the images where both are wanted.
        """
        seen: dict[str, list[Moments]] = {path: [] for path in self.paths}
        behind: dict[str, list[Moments]] = {path: [] for path in outputs}
        read: list[Tensor] = []

        def normalise(path: str, x: Tensor, forward: Forward) -> Tensor:
            norm = model.get_submodule(path)
            if per_image or not can_normalise(norm, forward, x):
                seen[path].append(image_moments(x) if per_image else batch_moments(x))
                return forward(x)
            y, moments = normalised(norm, x)
            seen[path].append(moments)
            return y

        with ExitStack() as stack:
            stack.enter_context(computed_by(model, self.paths, normalise))
            stack.enter_context(
                watch_outputs(
                    model, outputs, lambda path, y: behind[path].append(batch_moments(as_maps(y)))
                )
            )
            if features and self.classifier:
                stack.enter_context(
                    watch_inputs(
                        model,
                        [self.classifier],
                        lambda path, x: read.append(read_by(model.get_submodule(path), x)),
                    )
                )
            logits = model(readable(images, model))
        calls = [_ran(path, seen[path]) for path in self.paths]
        return Observation(
            [averaged([pooled(call) if per_image else call for call in each]) for each in calls],
            logits,
            per_image=[averaged(each) for each in calls] if per_image else None,
            features=read[0] if read else None,
            outputs=[averaged(behind[path]) for path in outputs] if outputs else None,
        )


def _ran(path: str, calls: list[Moments]) -> list[Moments]:
    if not calls:
        raise UserError(
            f"BatchNorm layer {path!r} does not run for these images, though it did for noise; make "
            "the network's forward take the same way for every image, and each time"
        )
    return calls


def keeps_statistics(module: nn.Module) -> bool:
    """Whether it is a BatchNorm that stores mean and variance; one that forgets them tells nothing."""
    stored = isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
    return stored and module.running_var is not None


def moment_distance(seen: Moments, stored: Moments) -> Tensor:
    """‖m − μ‖² + ‖s − σ‖², divided by the number of channels (GENIE's term of one layer)."""
    squares = (seen.mean - stored.mean).square() + (seen.std - stored.std).square()
    return squares.mean()


@torch.no_grad()
def bn_gap(seen: Observation, stored: StoredStatistics) -> list[float]:
    """Of each layer, the mean over channels of ((m − μ)² + (s − σ)²) / (σ² + eps).

    0 where the statistics agree; 1 where every channel is one of its own standard deviations off. Each
    channel counts in its own units, those that its BatchNorm gives it: a wide channel hides no narrow
    one, and eps keeps a dead one, of no spread at all, from being all there is.
    """
    return [float(each.mean()) for each in channel_gaps(seen.moments, stored)]


def channel_gaps(seen: Sequence[Moments], stored: StoredStatistics) -> list[Tensor]:
    """The same of each channel: [channels] a layer."""
    return [
        ((a.mean - b.mean).square() + (a.std - b.std).square()) / unit.square()
        for a, b, unit in zip(seen, stored.moments, stored.units, strict=True)
    ]


@torch.no_grad()
def layer_gap(seen: Observation, stored: StoredStatistics) -> list[float]:
    """The moment distance of each layer in units of its mean stored variance: the wide channels' gap.

    What older runs call their gap, and what the recorded effects were measured by.
    """
    pairs = zip(seen.moments, stored.moments, strict=True)
    return [float(moment_distance(a, b) / b.std.square().mean().clamp_min(1e-12)) for a, b in pairs]


@torch.no_grad()
def _run_once(teacher: nn.Module, image_shape: Sequence[int]) -> tuple[list[str], Any]:
    """BatchNorm layers and those with weights in the order of their calls, and what is returned."""
    order: list[str] = []
    kinds = (nn.BatchNorm2d, nn.Conv2d, nn.Linear)
    names = [path for path, module in teacher.named_modules() if isinstance(module, kinds)]
    with watch_inputs(teacher, names, lambda path, x: order.append(path)):
        logits = teacher(noise_images(1, image_shape, teacher))
    return order, logits
