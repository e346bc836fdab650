"""DeepInversion: pixels that the network takes for a class, held natural by its BatchNorm statistics.

Yin et al., "Dreaming to Distill: Data-free Knowledge Transfer via DeepInversion", CVPR 2020,
arXiv:1912.08795. The defaults are the released CIFAR-10 recipe, which fits small images; each
help text gives the ImageNet recipe's value where it differs.
"""

from dataclasses import dataclass

from engine.core.errors import UserError
from engine.core.method import MethodCard, knob, knob_of
from engine.synthesis.augmentations import Coarse, Flip, Roll, Transform
from engine.synthesis.base import Request
from engine.synthesis.canvas import Pixels
from engine.synthesis.composed import ComposedMethod, Composition, Weighted
from engine.synthesis.losses.classes import CrossEntropy
from engine.synthesis.losses.competition import Competition
from engine.synthesis.losses.images import Magnitude, TotalVariation
from engine.synthesis.losses.statistics import StatisticsLoss
from engine.synthesis.schedules import Optimiser, adam, cosine, steady
from engine.synthesis.statistics.settings import StatisticsSettings, statistics_of
from engine.synthesis.target_classes import POLICIES


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepInversionSettings(StatisticsSettings):
    """DeepInversion's settings; the defaults are its CIFAR-10 recipe."""

    steps: int = knob(
        2000,
        label="Steps per batch",
        help="optimisation steps for each batch of images (ImageNet: 3000)",
        low=1, high=100_000, quick=250, standard=1000,
    )  # fmt: skip
    batch: int = knob(
        256, label="Images per batch", help="images optimised at a time (ImageNet: 84)",
        low=2, high=1024, quick=64, standard=128,
    )  # fmt: skip
    lr: float = knob(
        0.05, label="Learning rate", help="Adam's, of the pixels (ImageNet: 0.25)",
        low=1e-6, high=10, quick=0.1,
    )  # fmt: skip
    betas: str = knob(
        "0.9/0.999",
        label="Adam's betas",
        help="how slowly it forgets gradients and their squares (ImageNet: 0.5/0.9)",
        choices=("0.9/0.999", "0.5/0.9"),
    )
    warm_up: int = knob(
        0,
        label="Warm-up steps",
        help="0: a constant rate; else a linear rise, then half a cosine down to 0 (ImageNet: 100)",
        low=0, high=10_000, off=0,
    )  # fmt: skip
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
    batchnorm_weight: float = knob(
        10.0, label="Weight of the statistics", help="at every BatchNorm layer (ImageNet: 0.01)",
        low=0, high=1000,
    )  # fmt: skip
    first_weight: float = knob(
        1.0,
        label="Factor of the first layer",
        help="on the first BatchNorm layer's statistics, beside all others' 1 (ImageNet: 10)",
        low=0, high=1000, off=1.0, within="batchnorm_weight",
    )  # fmt: skip
    tv_weight: float = knob(
        2.5e-5,
        label="Weight of the total variation",
        help="smooth images; grows with batch and image size (ImageNet: 1e-4)",
        low=0, high=10,
    )  # fmt: skip
    l2_weight: float = knob(
        0.0, label="Weight of the L2 norm", help="small values (ImageNet: 1e-5)", low=0, high=10
    )
    competition_weight: float = knob(
        0.0,
        label="Weight of the competition",
        help="images on which a student at the chosen bits answers otherwise than the teacher, as in "
        "Adaptive DeepInversion; above 0 they are made for these bits alone (ImageNet: 0.2)",
        low=0, high=100,
    )  # fmt: skip
    jitter: int = knob(
        2, label="Jitter", help="random shift each step, in pixels of the full size (ImageNet: 30)",
        low=0, high=112, off=0,
    )  # fmt: skip
    flip: bool = knob(False, label="Flip", help="mirror the batch half of the time (ImageNet: yes)")
    coarse: float = knob(
        0.0,
        label="Share of steps at half size",
        help="the first steps see 2x2 averages (ImageNet: 2000 of 3000 steps)",
        low=0, high=1, off=0.0,
    )  # fmt: skip
    clamp: bool = knob(
        False, label="Clamp", help="keep pixels within black and white (ImageNet: yes)"
    )
    metric: str = knob_of(StatisticsSettings, "metric", default="norm")
    over_layers: str = knob_of(StatisticsSettings, "over_layers", default="sum")


class DeepInversion(ComposedMethod):
    """Cross-entropy, batch statistics as un-squared norms, image priors, jitter; keeps its best images.

    In the released CIFAR-10 code the best images are the very tensor that goes on being optimised, so
    that the last ones come out; here they are a copy.
    """

    card = MethodCard(
        name="deep-inversion",
        title="DeepInversion",
        summary="Dreams of each class that are held natural by the statistics that the network keeps.",
        paper="Yin et al., Dreaming to Distill: Data-free Knowledge Transfer via DeepInversion, CVPR 2020",
        url="https://arxiv.org/abs/1912.08795",
        needs=("batchnorm", "classes"),
    )
    Settings = DeepInversionSettings
    only_beside = ("first_weight",)  # a factor of the BatchNorm loss

    def compose(self) -> Composition:
        request, settings = self.request, self.request.settings
        labels = POLICIES[settings.labels](request.shape[0], request.classes, request.rng)
        canvas = Pixels.gaussian(request, bounded=settings.clamp)
        layers = len(request.stored.paths)
        statistics = StatisticsLoss(
            targets=request.stored.moments,
            layer_weights=[settings.first_weight] + [1.0] * (layers - 1),
            **statistics_of(settings),
        )
        losses: dict[str, Weighted] = {
            "class": (settings.class_weight, CrossEntropy()),
            "batchnorm": (settings.batchnorm_weight, statistics),
            "smoothness": (settings.tv_weight, TotalVariation()),
            "magnitude": (settings.l2_weight, Magnitude()),
        }
        if settings.competition_weight:
            losses["competition"] = (settings.competition_weight, _competition(request))
        return Composition(
            canvas=canvas,
            labels=labels,
            losses=losses,
            optimisers={"pixels": _optimiser(canvas, settings)},
            transforms=_transforms(settings),
            keep_best=True,
        )


def _competition(request: Request) -> Competition:
    if request.student is None:
        raise UserError(
            "synthesis 'deep-inversion' has no student to compete with; it comes with a run, or set "
            "synthesis.competition_weight=0"
        )
    return Competition(request.student)


def _optimiser(canvas: Pixels, settings: DeepInversionSettings) -> Optimiser:
    first, second = map(float, settings.betas.split("/"))
    optimiser = adam(canvas.parameters(), settings.lr, betas=(first, second))
    if not settings.warm_up:
        return Optimiser(optimiser, steady(optimiser))
    return Optimiser(optimiser, cosine(optimiser, total=settings.steps, warm_up=settings.warm_up))


def _transforms(settings: DeepInversionSettings) -> list[Transform]:
    chosen: list[Transform] = []
    if settings.jitter:  # first: half as many pixels at half size, as in the paper (30, then 15)
        chosen.append(Roll(settings.jitter))
    if settings.coarse:
        chosen.append(Coarse(round(settings.coarse * settings.steps)))
    if settings.flip:
        chosen.append(Flip(0.5))
    return chosen
