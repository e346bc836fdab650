"""Terms on the features that the teacher's classifier reads, [images, features]."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.synthesis.loss import Loss, Scene


@dataclass(slots=True)
class MarginCosine(Loss):
    """IntraQ's marginal distance constraint: neither too near to the centre of the class, nor too far.

    The cosine distance d = 1 - cos(feature, centre) costs max(lower - d, 0) + max(d - upper, 0), on
    average over the images whose class has a centre; 0 where none has.
    """

    centres: Tensor  # [classes, features]
    known: Tensor  # bool [classes]
    lower: float
    upper: float
    reads: ClassVar[frozenset[str]] = frozenset({"features"})

    def __call__(self, scene: Scene) -> Tensor:
        features = scene.seen.features
        assert features is not None
        labels = scene.target
        counted = self.known[labels]
        if not counted.any():
            return features.sum() * 0
        distance = 1 - F.cosine_similarity(features, self.centres[labels], dim=1)
        beyond = (self.lower - distance).clamp_min(0) + (distance - self.upper).clamp_min(0)
        return beyond[counted].mean()


class ActivationNorm(Loss):
    """Minus the mean absolute feature: real images excite a network more than noise does (DAFL)."""

    reads: ClassVar[frozenset[str]] = frozenset({"features"})

    def __call__(self, scene: Scene) -> Tensor:
        features = scene.seen.features
        assert features is not None
        return -features.abs().mean()


def class_sums(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """The sum of the features of each class [classes, features], and how many images it is of."""
    sums = torch.zeros(classes, features.shape[1], device=features.device)
    sums.index_add_(0, labels, features)
    return sums, torch.bincount(labels, minlength=classes)
