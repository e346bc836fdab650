"""The distance of each class's own statistics from a centre of that class, which may be blurred.

FDDA's two terms (Zhong et al., ECCV 2022, arXiv:2109.04186) and ClusterQ's (arXiv:2205.00179) are this
one with other centres, layers and noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from engine.synthesis.loss import Loss, Scene
from engine.synthesis.losses.statistics import gaps, second_of
from engine.synthesis.statistics.classwise import ClassMemory
from engine.synthesis.statistics.moments import Moments, class_moments


@dataclass(frozen=True, slots=True, kw_only=True)
class Blur:
    """Noise on centres, drawn anew for every step, class and channel; a scale of 0 draws none.

    "relative": in units of the layer's stored standard deviation (means) and variance (variances).
    "gaussian": N(0, scale²); "uniform": between ± scale.
    """

    mean: float
    variance: float
    relative: bool = True
    shape: Literal["gaussian", "uniform"] = "gaussian"

    def of(self, centre: Moments, stored: Moments, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Blurred means and variances; no variance falls below 0."""
        mean, variance = self.mean, self.variance
        units = (stored.std, stored.variance) if self.relative else (1.0, 1.0)
        return (
            centre.mean + mean * units[0] * self._noise(centre.mean, rng),
            (centre.variance + variance * units[1] * self._noise(centre.mean, rng)).clamp_min(0),
        )

    def _noise(self, like: Tensor, rng: torch.Generator) -> Tensor:
        if self.shape == "gaussian":
            return torch.randn(like.shape, generator=rng).to(like)
        return (2 * torch.rand(like.shape, generator=rng) - 1).to(like)


@dataclass(slots=True)
class ClassCentres(Loss):
    """Mean over classes and layers of MSE(m_c, M_c) + MSE(s²_c, V_c), of the classes in the batch.

    So by default, as published; `second`, `metric` and the two reductions are those of `StatisticsLoss`,
    but a class's deviations are biased, as its variances are. Noise is drawn for means and variances in
    any form. A class that the memory does not know plays no part; 0 where it knows none of the batch's.
    """

    memory: ClassMemory
    stored: Sequence[Moments]
    layers: Sequence[int]
    rng: torch.Generator
    blur: Blur | None = None
    second: Literal["std", "var"] = "var"
    metric: Literal["squared", "norm", "z-score"] = "squared"
    over_channels: Literal["mean", "sum"] = "mean"
    over_layers: Literal["mean", "sum"] = "mean"
    reads: ClassVar[frozenset[str]] = frozenset({"per-image"})

    def __call__(self, scene: Scene) -> Tensor:
        rows, labels = scene.seen.per_image, scene.target
        assert rows is not None
        known = self.memory.known.to(labels.device)[labels]
        if not known.any():
            return scene.seen.logits.sum() * 0
        terms = [self._distance(k, _some(rows[k], known), labels[known]) for k in self.layers]
        together = torch.stack(terms)
        return together.sum() if self.over_layers == "sum" else together.mean()

    def _distance(self, layer: int, rows: Moments, labels: Tensor) -> Tensor:
        classes, seen = class_moments(rows, labels)
        there = self.memory.layers[layer]
        centre = Moments(there.mean[classes], there.std[classes])
        mean, variance = centre.mean, centre.variance
        if self.blur is not None:
            mean, variance = self.blur.of(centre, self.stored[layer], self.rng)
        second = second_of(self.second, self.metric)
        wanted = (mean, variance if second == "var" else variance.sqrt())
        found = (seen.mean, seen.spread(second))
        per_channel = gaps(found, wanted, self.metric)
        return per_channel.mean() if self.over_channels == "mean" else per_channel.sum(-1).mean()

    def state_dict(self) -> dict[str, Any]:
        return self.memory.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.memory.load_state_dict(state)


def _some(rows: Moments, chosen: Tensor) -> Moments:
    return Moments(rows.mean[chosen], rows.std[chosen], rows.count)
