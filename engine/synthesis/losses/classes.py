"""Terms on what the teacher takes the images for: its logits [images, classes]."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from engine.core.divergence import jensen_shannon
from engine.synthesis.loss import Loss, Scene


class CrossEntropy(Loss):
    """-log of the probability of the label; labels that are probabilities count in their shares."""

    def __call__(self, scene: Scene) -> Tensor:
        return F.cross_entropy(scene.seen.logits, scene.target)


class OwnLabel(Loss):
    """-log of the greatest probability (DAFL's one-hot term): each image is to be of some class."""

    def __call__(self, scene: Scene) -> Tensor:
        logits = scene.seen.logits
        return F.cross_entropy(logits, logits.detach().argmax(1))


@dataclass(slots=True)
class SoftTarget(Loss):
    """IntraQ's soft inception loss: the squared gap of the label's probability to `wanted` [images].

    Only the label's own entry counts; how the rest is shared out among other classes is left free.
    """

    wanted: Tensor

    def __call__(self, scene: Scene) -> Tensor:
        shares = scene.seen.logits.softmax(1).gather(1, scene.target[:, None])[:, 0]
        return F.mse_loss(shares, self.wanted.to(shares))


class LogitMagnitude(Loss):
    """Minus the label's logit: unlike cross-entropy it does not saturate, so it asks for strong responses."""

    def __call__(self, scene: Scene) -> Tensor:
        return -scene.seen.logits.gather(1, scene.target[:, None]).mean()


class LabelEntropy(Loss):
    """Minus the entropy of the mean prediction: all classes are to occur equally often (DAFL)."""

    def __call__(self, scene: Scene) -> Tensor:
        mean = scene.seen.logits.softmax(1).mean(0)
        return (mean * mean.clamp_min(1e-12).log()).sum()


@dataclass(slots=True)
class Disagreement(Loss):
    """1 - Jensen-Shannon of teacher and student at a temperature: images on which the two differ.

    Yin et al., DeepInversion, CVPR 2020 (adaptive DeepInversion).
    """

    student: Callable[[Tensor], Tensor]
    temperature: float = 3.0
    bounds: ClassVar[tuple[float, float]] = (
        0.01,
        0.99,
    )  # probabilities are kept within, as released

    def __call__(self, scene: Scene) -> Tensor:
        shares = [
            (logits / self.temperature).softmax(1).clamp(*self.bounds)
            for logits in (scene.seen.logits, self.student(scene.shown))
        ]
        return 1 - jensen_shannon(*shares).clamp(0, 1)


def teacher_share(logits: Tensor, labels: Tensor) -> float:
    """The share of images that the teacher takes for their label's class, in [0, 1]."""
    named = labels.argmax(1) if labels.dim() == 2 else labels
    return float((logits.argmax(1) == named).float().mean())
