"""BatchNorm statistics: what the teacher stored while it was trained, and what it sees in given images.

Statistics are tapped at the input of each BatchNorm module itself. (ZeroQ's code pairs the i-th
convolution with the i-th BatchNorm, which is wrong as soon as the two are not one to one.)
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.device import readable
from engine.core.trace import watch_inputs, watch_outputs
from engine.synthesis.classifier import read_by, rows_of
from engine.synthesis.moments import EPS, Moments, batch_moments, image_moments, pooled


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

    `outputs` is the width of what the teacher returns (0 where that is no table of scores), and
    `classifier` the path of the layer that makes it, "" where there is none: the last to run, if it is
    linear or a 1x1 convolution. BatchNorm that stores no statistics is passed over.
    """

    def __init__(self, teacher: nn.Module, image_shape: Sequence[int]) -> None:
        order, logits = _run_once(teacher, image_shape)
        norms = {p for p, m in teacher.named_modules() if keeps_statistics(m)}
        self.paths = [path for path in order if path in norms]
        self.outputs = logits.shape[1] if isinstance(logits, Tensor) and logits.dim() == 2 else 0
        rows = rows_of(teacher.get_submodule(order[-1])) if order else None
        makes_scores = rows is not None and len(rows) == self.outputs > 1
        self.classifier = order[-1] if makes_scores else ""
        layers = [teacher.get_submodule(path) for path in self.paths]
        self.moments = [
            Moments(layer.running_mean.clone(), (layer.running_var + EPS).sqrt())  # type: ignore[operator, union-attr]
            for layer in layers
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
        seen: dict[str, Moments] = {}
        behind: dict[str, Moments] = {}
        read: list[Tensor] = []
        measure = image_moments if per_image else batch_moments
        with ExitStack() as stack:
            stack.enter_context(
                watch_inputs(model, self.paths, lambda path, x: seen.update({path: measure(x)}))
            )
            stack.enter_context(
                watch_outputs(
                    model, outputs, lambda path, y: behind.update({path: batch_moments(y)})
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
        found = [seen[path] for path in self.paths]
        return Observation(
            [pooled(each) for each in found] if per_image else found,
            logits,
            per_image=found if per_image else None,
            features=read[0] if read else None,
            outputs=[behind[path] for path in outputs] if outputs else None,
        )


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
    """The moment distance of each layer in units of that layer's mean stored variance.

    0 where the statistics agree; 1 where they are one typical standard deviation apart. Dividing by the
    layer's mean variance makes layers comparable and is not blown up by a dead channel.
    """
    gaps = []
    for a, b in zip(seen.moments, stored.moments, strict=True):
        gaps.append(float(moment_distance(a, b) / b.std.square().mean().clamp_min(1e-12)))
    return gaps


@torch.no_grad()
def _run_once(teacher: nn.Module, image_shape: Sequence[int]) -> tuple[list[str], Any]:
    """BatchNorm layers and those with weights in the order in which they run, and what is returned."""
    order: list[str] = []
    kinds = (nn.BatchNorm2d, nn.Conv2d, nn.Linear)
    names = [path for path, module in teacher.named_modules() if isinstance(module, kinds)]
    probe = torch.zeros(1, *image_shape, device=next(teacher.parameters()).device)
    with watch_inputs(teacher, names, lambda path, x: order.append(path)):
        logits = teacher(probe)
    return list(dict.fromkeys(order)), logits
