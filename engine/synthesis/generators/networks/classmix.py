"""Which classes an image is asked to show: one, or several superposed with weights that sum to 1."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ClassMix:
    """K classes and their weights for each image; K = 1 with weight 1 is an ordinary label."""

    classes: Tensor  # [images, K], int64; a class may be there twice
    weights: Tensor  # [images, K], each row sums to 1

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def single(self) -> bool:
        """Whether each image is of one class."""
        return self.classes.shape[1] == 1

    def soft(self, count: int) -> Tensor:
        """Σₖ λₖ onehot(yₖ), [images, count]: a distribution over the classes."""
        target = self.weights.new_zeros(len(self), count)
        return target.scatter_add(1, self.classes, self.weights)

    def labels(self, count: int) -> Tensor:
        """As losses want them: classes (int64 [images]) where each image has one, else distributions."""
        return self.classes[:, 0] if self.single else self.soft(count)

    def to(self, device: torch.device) -> "ClassMix":
        return ClassMix(self.classes.to(device), self.weights.to(device))


def of_labels(labels: Tensor) -> ClassMix:
    """Ordinary labels [images] as a mix of one."""
    return ClassMix(labels[:, None], torch.ones(len(labels), 1, device=labels.device))


def superposed(images: int, count: int, together: int, rng: torch.Generator) -> ClassMix:
    """K = `together` classes for each image, with replacement, at λ = softmax(N(0, I)).

    Choi et al., "Qimera", NeurIPS 2021, arXiv:2111.02625, section 3.2.
    """
    classes = torch.randint(0, count, (images, together), generator=rng)
    return ClassMix(classes, torch.randn(images, together, generator=rng).softmax(1))
