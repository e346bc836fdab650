"""Inspired by AAC (accurate activation clipping): images on which the network responds at its strongest.

He et al., "Data-Free Quantization with Accurate Activation Clipping and Adaptive Batch Normalization",
Neural Processing Letters 2023, arXiv:2204.04215. The idea: a clipping range should come from the peak
response, which images that merely match BatchNorm statistics do not show; so ask for a large response
to the class. The weights and the anchor in the statistics are this project's.
"""

from dataclasses import dataclass

from engine.core.method import MethodCard, knob
from engine.synthesis.canvas import Pixels
from engine.synthesis.composed import ComposedMethod, Composition
from engine.synthesis.losses.classes import CrossEntropy, LogitMagnitude
from engine.synthesis.losses.images import TotalVariation
from engine.synthesis.losses.statistics import StatisticsLoss
from engine.synthesis.schedules import Optimiser, Plateau, adam
from engine.synthesis.statistics.settings import StatisticsSettings, statistics_of
from engine.synthesis.target_classes import POLICIES


@dataclass(frozen=True, slots=True, kw_only=True)
class AacSettings(StatisticsSettings):
    """The weights are this project's: the paper's exact loss could not be read."""

    steps: int = knob(
        500,
        label="Steps per batch",
        help="optimisation steps for each batch of images",
        low=1, high=100_000, quick=250, standard=500,
    )  # fmt: skip
    batch: int = knob(
        64, label="Images per batch", help="images optimised at a time", low=2, high=1024
    )
    lr: float = knob(0.1, label="Learning rate", help="Adam's, of the pixels", low=1e-6, high=10)
    labels: str = knob(
        "balanced",
        label="Classes",
        help="which classes the images are to show",
        choices=tuple(POLICIES),
        fixed=True,
    )
    class_weight: float = knob(
        1.0, label="Weight of the class", help="cross-entropy to the label", low=0, high=100
    )
    logit_weight: float = knob(
        0.1,
        label="Weight of the logit",
        help="how strongly the label's score itself is asked for: it does not saturate",
        low=0, high=100,
    )  # fmt: skip
    batchnorm_weight: float = knob(
        1.0,
        label="Weight of the statistics",
        help="an anchor: without it (0, the pure variant) peaks overshoot those of real images",
        low=0, high=1000,
    )  # fmt: skip
    tv_weight: float = knob(
        1e-3, label="Weight of the total variation", help="smooth images", low=0, high=10
    )


class Aac(ComposedMethod):
    """Class, logit and (unless switched off) batch statistics, on pixels kept within black and white.

    The bounds are not a nicety: ReLU networks are nearly homogeneous, so that without them the
    response grows with the pixels and has no peak. The quantizers' rule `activation_range=peak`
    ends ranges at these responses.
    """

    card = MethodCard(
        name="aac",
        title="AAC (inspired by)",
        summary="Valid pixels that excite their class as strongly as they can, to show where ranges end.",
        paper="He et al., Data-Free Quantization with Accurate Activation Clipping, NPL 2023",
        url="https://arxiv.org/abs/2204.04215",
        needs=("classes",),
    )
    Settings = AacSettings

    def compose(self) -> Composition:
        request, settings = self.request, self.request.settings
        labels = POLICIES[settings.labels](request.shape[0], request.classes, request.rng)
        canvas = Pixels.gaussian(request, bounded=True)
        statistics = StatisticsLoss(targets=request.stored.moments, **statistics_of(settings))
        anchor = settings.batchnorm_weight if request.stored.paths else 0.0
        if settings.batchnorm_weight and not request.stored.paths:
            self.notes.append(
                "AAC: no BatchNorm here, so the anchor is left out (the pure variant)."
            )
        optimiser = adam(canvas.parameters(), settings.lr)
        return Composition(
            canvas=canvas,
            labels=labels,
            losses={
                "class": (settings.class_weight, CrossEntropy()),
                "logit": (settings.logit_weight, LogitMagnitude()),
                "batchnorm": (anchor, statistics),
                "smoothness": (settings.tv_weight, TotalVariation()),
            },
            optimisers={"pixels": Optimiser(optimiser, Plateau(optimiser))},
        )
