"""GZNQ-style: images of given classes whose statistics, averaged over the last steps, are the network's.

Inspired by He et al., "Generative Zero-shot Network Quantization", CVPR workshops 2021,
arXiv:2101.08430. Only its abstract could be had: images of each category, recovered from BatchNorm
statistics by generative modelling. All the rest is this project's reading of it.
"""

from dataclasses import dataclass

from engine.core.method import MethodCard, knob, knob_of
from engine.synthesis.augmentations import Flip, Roll, Transform
from engine.synthesis.canvas import Canvas, Pixels
from engine.synthesis.composed import ComposedMethod, Composition
from engine.synthesis.generators.latent_images import LatentImages
from engine.synthesis.losses.classes import CrossEntropy
from engine.synthesis.losses.images import TotalVariation
from engine.synthesis.losses.statistics import StatisticsLoss
from engine.synthesis.schedules import Optimiser, Plateau, adam
from engine.synthesis.statistics.settings import StatisticsSettings, statistics_of
from engine.synthesis.target_classes import POLICIES


@dataclass(frozen=True, slots=True, kw_only=True)
class GznqSettings(StatisticsSettings):
    """GZNQ-style settings; the values are this project's choice."""

    steps: int = knob(
        2000,
        label="Steps per batch",
        help="optimisation steps for each batch of images",
        low=1, high=100_000, quick=160, standard=500,
    )  # fmt: skip
    batch: int = knob(
        64, label="Images per batch", help="images that are optimised together", low=2, high=1024
    )
    optimise: str = knob(
        "latents",
        label="What is optimised",
        help="latents and a generator of the batch's own, or the pixels themselves",
        choices=("latents", "pixels"),
        fixed=True,
        off="pixels",
    )
    lr: float = knob(
        0.1, label="Learning rate", help="Adam's, for pixels or latents", low=1e-6, high=10
    )
    lr_generator: float = knob(
        0.01, label="Learning rate of the generator", help="Adam's learning rate", low=1e-6, high=10
    )
    bn_weight: float = knob(
        1.0,
        label="Weight of the BatchNorm term",
        help="squared distance of the averaged means and variances from the stored ones",
        low=0, high=100,
    )  # fmt: skip
    class_weight: float = knob(
        1.0, label="Weight of the class term", help="cross entropy with the class asked for",
        low=0, high=100,
    )  # fmt: skip
    tv_weight: float = knob(
        1e-4, label="Weight of total variation", help="differences of neighbouring pixels",
        low=0, high=10,
    )  # fmt: skip
    roll: int = knob(
        2,
        label="Shift",
        help="pixels by which a batch is shifted at most, at random",
        low=0,
        high=64,
        off=0,
    )
    flip: bool = knob(True, label="Mirror", help="mirror half of the batches")
    scope: str = knob_of(StatisticsSettings, "scope", default="moving")
    over_layers: str = knob_of(StatisticsSettings, "over_layers", default="sum")
    present: float = knob_of(
        StatisticsSettings, "present", default=0.2,
        help="in the moving average of the statistics that is compared with the stored ones; "
        "1: each step by itself",
        off=1.0, within="bn_weight",
    )  # fmt: skip


class Gznq(ComposedMethod):
    """Minimises CE + Σ (‖m̄ − μ‖² + ‖s̄² − σ²‖²) / channels + 10⁻⁴ TV, m̄ and s̄² moving averages."""

    card = MethodCard(
        name="gznq",
        title="GZNQ-style",
        summary="Images of each class, matched to the network's statistics on average over many steps.",
        paper="Inspired by He et al., Generative Zero-shot Network Quantization, CVPRW 2021",
        url="https://arxiv.org/abs/2101.08430",
        needs=("batchnorm", "classes"),
    )
    Settings = GznqSettings

    def compose(self) -> Composition:
        request, settings = self.request, self.request.settings
        canvas = (
            LatentImages(request) if settings.optimise == "latents" else Pixels.gaussian(request)
        )
        transforms: list[Transform] = [Roll(settings.roll)] if settings.roll else []
        if settings.flip:
            transforms.append(Flip())
        statistics = StatisticsLoss(targets=request.stored.moments, **statistics_of(settings))
        return Composition(
            canvas=canvas,
            losses={
                "class": (settings.class_weight, CrossEntropy()),
                "batchnorm": (settings.bn_weight, statistics),
                "variation": (settings.tv_weight, TotalVariation()),
            },
            optimisers=_optimisers(canvas, settings),
            labels=POLICIES["balanced"](request.shape[0], request.classes, request.rng),
            transforms=transforms,
        )


def _optimisers(canvas: Canvas, settings: GznqSettings) -> dict[str, Optimiser]:
    """One rate for pixels or latents, another for the generator behind the latents."""
    images = [p for name, p in canvas.named_parameters() if name in ("pixels", "z")]
    generator = [p for name, p in canvas.named_parameters() if name not in ("pixels", "z")]
    first = adam(images, settings.lr)
    optimisers = {"images": Optimiser(first, Plateau(first))}
    if generator:
        second = adam(generator, settings.lr_generator)
        optimisers["generator"] = Optimiser(second, Plateau(second))
    return optimisers
