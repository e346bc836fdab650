"""Statistics per class: what a teacher's layers see in the images of one class.

The shared part of FDDA (centres from labelled real images) and ClusterQ (centroids of the images made),
and a measure of its own: how far the classes of two sets of images lie apart.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.layout import laid_out
from engine.synthesis.statistics.batchnorm import StoredStatistics
from engine.synthesis.statistics.moments import Moments, class_moments


def deep_half(layers: int) -> range:
    """The layers l ≥ ⌊(L + 1)/2⌋ − 2, counted from 0, in which classes part (as FDDA's code has it)."""
    return range(max(0, (layers + 1) // 2 - 2), layers)


class ClassMemory:
    """Moments per class and layer, gathered from one batch after another as if from all at once.

    `layers` holds rows [classes, channels] with the biased spread; a row means nothing where `count`,
    the images seen of that class, is 0.
    """

    def __init__(self, classes: int) -> None:
        self.count = torch.zeros(classes)
        self.layers: list[Moments] = []

    @property
    def known(self) -> Tensor:
        """Which classes have been seen, bool [classes]."""
        return self.count > 0

    @torch.no_grad()
    def add(self, per_image: Sequence[Moments], labels: Tensor) -> None:
        """Take in a batch: moments per layer and image (see `image_moments`), and its classes."""
        if not len(labels):
            return
        new = torch.bincount(labels, minlength=len(self.count)).to(per_image[0].mean)
        old = self.count.to(new)
        self._reserve(per_image)
        for k, rows in enumerate(per_image):
            classes, seen = class_moments(rows, labels)
            share = (new[classes] / (old + new)[classes])[:, None]
            there = _rows(self.layers[k], classes)
            self.layers[k] = _replaced(self.layers[k], classes, _merged(there, seen, share))
        self.count = old + new

    @torch.no_grad()
    def move_towards(self, fresh: "ClassMemory", beta: float) -> None:
        """Blend m ← (1 − β) m + β m̂ in the classes that `fresh` has seen; taken whole where new."""
        if not fresh.layers:
            return
        self._reserve(fresh.layers)
        known = self.count.to(fresh.count) > 0
        share = (torch.where(known, beta, 1.0) * fresh.known)[:, None]
        self.layers = [
            _of(
                torch.lerp(old.mean, new.mean, share),
                torch.lerp(old.variance, new.variance, share),
            )
            for old, new in zip(self.layers, fresh.layers, strict=True)
        ]
        self.count = self.count.to(fresh.count) + fresh.count

    def _reserve(self, like: Sequence[Moments]) -> None:
        if not self.layers:
            empty = [m.mean.new_zeros(len(self.count), m.mean.shape[1]) for m in like]
            self.layers = [Moments(zeros, zeros) for zeros in empty]

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "layers": [(m.mean, m.std) for m in self.layers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]
        self.layers = [Moments(mean, std) for mean, std in state["layers"]]


def _of(mean: Tensor, variance: Tensor) -> Moments:
    return Moments(mean, variance.clamp_min(0).sqrt())


def _rows(moments: Moments, classes: Tensor) -> Moments:
    return Moments(moments.mean[classes], moments.std[classes])


def _replaced(moments: Moments, classes: Tensor, rows: Moments) -> Moments:
    return Moments(
        moments.mean.index_copy(0, classes, rows.mean), moments.std.index_copy(0, classes, rows.std)
    )


def _merged(a: Moments, b: Moments, share: Tensor) -> Moments:
    """Two samples' moments as one's, of which b is `share` (Chan et al., 1979)."""
    between = (b.mean - a.mean).square() * share * (1 - share)
    return _of(
        torch.lerp(a.mean, b.mean, share), torch.lerp(a.variance, b.variance, share) + between
    )


@torch.no_grad()
def gather(
    stored: StoredStatistics,
    teacher: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    classes: int,
    batch: int = 64,
) -> tuple[ClassMemory, Tensor]:
    """The class moments of labelled images at the teacher's BatchNorm layers, and its logits."""
    memory, logits = ClassMemory(classes), []
    device = next(teacher.parameters()).device
    for x, y in zip(images.split(batch), labels.split(batch), strict=True):
        x = laid_out(x.to(device), teacher)
        seen = stored.observe(teacher, x, per_image=True)
        assert seen.per_image is not None
        memory.add(seen.per_image, y.to(device))
        logits.append(seen.logits)
    return memory, torch.cat(logits)


def class_gap(
    made: ClassMemory, real: ClassMemory, stored: StoredStatistics, layers: Sequence[int]
) -> float:
    """How far the class means of made images lie from those of real ones; 0 where they agree.

    The squared distance per channel, averaged over the classes that both have and over `layers` (see
    `deep_half`), each layer in units of its mean stored variance. NaN where no class is in both. The
    real images should be others than the centres were fitted to.
    """
    both = made.known.cpu() & real.known.cpu()
    gaps = []
    for k in layers:
        step = made.layers[k].mean.cpu()[both] - real.layers[k].mean.cpu()[both]
        unit = stored.moments[k].std.cpu().square().mean().clamp_min(1e-12)
        gaps.append(step.square().mean() / unit)
    return float(torch.stack(gaps).mean())
