"""DSG, Diversifying Sample Generation: statistics that may differ a little, and images that stress layers.

Zhang et al., "Diversifying Sample Generation for Accurate Data-Free Quantization", CVPR 2021,
arXiv:2103.01049: slack distribution alignment and layerwise sample enhancement. The correlation,
smoothness and class terms are of the journal version (Qin et al., TPAMI 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.method import MethodCard, knob, knob_of
from engine.synthesis.base import Request
from engine.synthesis.canvas import Pixels
from engine.synthesis.composed import ComposedMethod, Composition
from engine.synthesis.loss import Loss
from engine.synthesis.losses.classes import CrossEntropy
from engine.synthesis.losses.images import (
    Correlation,
    InputStatistics,
    Magnitude,
    Spectrum,
    TotalVariation,
)
from engine.synthesis.losses.statistics import StatisticsLoss, layer_emphasis, share_inside
from engine.synthesis.schedules import Optimiser, Plateau, adam
from engine.synthesis.statistics.batchnorm import StoredStatistics
from engine.synthesis.statistics.moments import Moments, pooled
from engine.synthesis.statistics.settings import StatisticsSettings, statistics_of
from engine.synthesis.target_classes import uniform

Gaps = tuple[Tensor, Tensor, Tensor]  # of means, of deviations, of variances; [channels] each


@dataclass(frozen=True, slots=True, kw_only=True)
class DsgSettings(StatisticsSettings):
    """DSG's settings; the defaults are the conference paper's, the journal's additions are off."""

    steps: int = knob(
        500,
        label="Steps per batch",
        help="optimisation steps for each batch of images",
        low=1, high=100_000, quick=200, standard=500,
    )  # fmt: skip
    batch: int = knob(
        64, label="Images per batch", help="images optimised at a time", low=2, high=1024
    )
    lr: float = knob(0.5, label="Learning rate", help="Adam's, of the pixels", low=1e-6, high=10)
    slack: float = knob(
        1.0,
        label="Slack",
        help="scale of the margins within which statistics may differ; 1 as in the paper, 0: none (ZeroQ)",
        low=0, high=10, off=0.0, within="batchnorm_weight",
    )  # fmt: skip
    percentile: float = knob(
        0.9,
        label="Percentile of the margins",
        help="a layer's margin is this percentile, over its channels, of the gap that noise has",
        low=0, high=1,
    )  # fmt: skip
    noise_images: int = knob(
        1024, label="Images of noise", help="that the margins are measured with",
        low=2, high=10_000, quick=256, standard=512, fixed=True,
    )  # fmt: skip
    emphasis: bool = knob(
        True,
        label="Layer emphasis",
        help="each image counts twice in one layer, each in another",
        within="batchnorm_weight",
    )
    batchnorm_weight: float = knob(
        1.0, label="Weight of the statistics", help="at every BatchNorm layer", low=0, high=1000
    )
    image_weight: float = knob(
        1.0,
        label="Weight of the image prior",
        help="each image's own mean and standard deviation per colour are drawn towards 0 and 1",
        low=0, high=100,
    )  # fmt: skip
    correlation_weight: float = knob(
        0.0,
        label="Weight against correlation",
        help="journal version: unlike images (there 1 / BatchNorm layers, of the spectrum; 1 suits pairs)",
        low=0, high=1000,
    )  # fmt: skip
    correlation: str = knob(
        "pairs",
        label="Correlation measured by",
        help="pairs: squared cosines of pixels (a stable stand-in); spectrum: 1e-4 of the squared gap of "
        "eigenvalues, as published, without the published term on eigenvectors",
        choices=("pairs", "spectrum"),
    )
    class_weight: float = knob(
        0.0, label="Weight of the class", help="journal version: cross-entropy to a random label (there 2)",
        low=0, high=100,
    )  # fmt: skip
    tv_weight: float = knob(
        0.0, label="Weight of the total variation", help="journal version (there 0.01)",
        low=0, high=10,
    )  # fmt: skip
    l2_weight: float = knob(
        0.0, label="Weight of the L2 norm", help="journal version (there 0.01)", low=0, high=10
    )
    scope: str = knob_of(
        StatisticsSettings, "scope", default="image",
        help="each image by itself, as in the paper, the batch together, or a moving average over the "
        "batches of all steps; layer emphasis is for single images alone",
    )  # fmt: skip
    second: str = knob_of(StatisticsSettings, "second", default="std")
    metric: str = knob_of(
        StatisticsSettings, "metric", choices=("squared", "norm"),
        help="squared gaps; norm: the length of all channels' gaps, not squared",
    )  # fmt: skip
    over_channels: str = knob_of(StatisticsSettings, "over_channels", default="sum")
    over_layers: str = knob_of(StatisticsSettings, "over_layers", default="sum")


class Dsg(ComposedMethod):
    """ZeroQ's loop with slack margins and, per image, twice the weight for one layer.

    The paper makes as many images at a time as there are layers; here any number takes turns, 64 by
    default. The released code for calibration has a rate of 0.9, a patience of 260 steps and 20 layers
    written in; the one for training indexes a channel where layer emphasis means an image.
    """

    card = MethodCard(
        name="dsg",
        title="DSG",
        summary="ZeroQ made diverse: statistics may differ within margins, and each image stresses a layer.",
        paper="Zhang et al., Diversifying Sample Generation for Accurate Data-Free Quantization, CVPR 2021",
        url="https://arxiv.org/abs/2103.01049",
        needs=("batchnorm",),
    )
    Settings = DsgSettings

    def compose(self) -> Composition:
        request, settings = self.request, self.request.settings
        if settings.class_weight and request.classes < 2:
            raise UserError(
                "synthesis 'dsg' with a class term needs a classifier; set synthesis.class_weight=0"
            )
        count, layers = request.shape[0], len(request.stored.paths)
        canvas = Pixels.gaussian(request)
        optimiser = adam(canvas.parameters(), settings.lr)
        correlation = _correlation(request)
        labels = uniform(count, request.classes, request.rng) if settings.class_weight else None
        # Last of all that is drawn: without slack the same images begin the batch.
        self._gaps = noise_gaps(request) if settings.slack else []
        self._statistics = StatisticsLoss(
            targets=request.stored.moments,
            slack=margins(self._gaps, settings) if settings.slack else None,
            image_weights=layer_emphasis(count, layers) if self._emphasised() else None,
            **statistics_of(settings),
        )
        return Composition(
            canvas=canvas,
            labels=labels,
            losses={
                "batchnorm": (settings.batchnorm_weight, self._statistics),
                "image": (settings.image_weight, InputStatistics()),  # without slack
                "correlation": (settings.correlation_weight, correlation),
                "class": (settings.class_weight, CrossEntropy()),
                "smoothness": (settings.tv_weight, TotalVariation()),
                "magnitude": (settings.l2_weight, Magnitude()),
            },
            optimisers={"pixels": Optimiser(optimiser, Plateau(optimiser))},
        )

    def _emphasised(self) -> bool:
        settings = self.request.settings
        if settings.emphasis and settings.scope != "image":
            self.notes.append(
                "DSG: layer emphasis is of single images, so it is left out where statistics are not."
            )
        return bool(settings.emphasis) and settings.scope == "image"

    def readings(self) -> dict[str, float]:
        """The share of means and deviations, over the batch, that lie within the slack already."""
        values = super().readings()
        if self._statistics.slack is None or self.latest is None:
            return values
        targets = self.request.stored.moments
        second = self.request.settings.second
        inside = share_inside(self.latest.moments, targets, self._statistics.slack, second)
        return values | {"inside_slack": inside}

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"gaps": [list(gaps) for gaps in self._gaps]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The noise's gaps are restored; what slack they give is for the settings to say."""
        super().load_state_dict(state)
        settings = self.request.settings
        if settings.slack and state["gaps"]:
            self._gaps = [(mean, std, variance) for mean, std, variance in state["gaps"]]
            self._statistics.slack = margins(self._gaps, settings)


def _correlation(request: Request) -> Loss:
    if request.settings.correlation == "pairs":
        return Correlation()
    return Spectrum(torch.randn(request.shape, generator=request.rng))


def noise_gaps(request: Request) -> list[Gaps]:
    """Each layer's gaps between the stored and N(0, 1) images, in either form of the spread.

    They are of the statistics of all the noise together.
    """
    count = request.settings.noise_images
    seen = _look_at_noise(request.teacher, request.stored, request, count)
    return [
        (
            (noise.mean - stored.mean).abs(),
            (noise.std - stored.std).abs(),
            (noise.variance - stored.variance).abs(),
        )
        for noise, stored in zip(seen, request.stored.moments, strict=True)
    ]


def margins(gaps: Sequence[Gaps], settings: DsgSettings) -> list[tuple[float, float]]:
    """Each layer's margins (of means, of spreads): a percentile of its gaps over channels, scaled."""
    found = []
    for means, deviations, variances in gaps:
        spreads = deviations if settings.second == "std" else variances
        mean, spread = (float(gap.quantile(settings.percentile)) for gap in (means, spreads))
        found.append((settings.slack * mean, settings.slack * spread))
    return found


@torch.no_grad()
def _look_at_noise(
    teacher: nn.Module, stored: StoredStatistics, request: Request, count: int
) -> list[Moments]:
    parts: list[Any] = []
    for size in [64] * (count // 64) + ([count % 64] if count % 64 else []):
        noise = torch.randn(size, *request.shape[1:], generator=request.rng).to(request.device)
        parts.append(stored.observe(teacher, noise, per_image=True).per_image)
    together = []
    for rows in zip(*parts, strict=True):
        mean, std = (torch.cat([getattr(row, name) for row in rows]) for name in ("mean", "std"))
        together.append(pooled(Moments(mean, std, rows[0].count)))
    return together
