"""GENIE-D: latents and a small generator, optimised together, afresh for every batch of images.

Jeon, Kim, Kim: "GENIE: Show Me the Data for Quantization", CVPR 2023, arXiv:2212.04780, section 3.
"""

from dataclasses import dataclass
from functools import partial

from engine.core.method import MethodCard, knob, knob_of
from engine.core.optimisers import Adam
from engine.synthesis.augmentations import low_pass
from engine.synthesis.canvas import Canvas, Pixels
from engine.synthesis.composed import ComposedMethod, Composition
from engine.synthesis.generators.latent_images import LatentImages
from engine.synthesis.losses.images import InputStatistics
from engine.synthesis.losses.statistics import StatisticsLoss
from engine.synthesis.schedules import Optimiser, Plateau, adam, exponential
from engine.synthesis.statistics.settings import StatisticsSettings, statistics_of
from engine.synthesis.swing import with_swing


@dataclass(frozen=True, slots=True, kw_only=True)
class GenieSettings(StatisticsSettings):
    """GENIE-D's settings; the defaults are the paper's."""

    steps: int = knob(
        4000,
        label="Steps per batch",
        help="optimisation steps for each batch of images",
        low=1, high=100_000, quick=160, standard=500,
    )  # fmt: skip
    batch: int = knob(
        128, label="Images per batch", help="images that share one generator", low=2, high=1024
    )
    lr_latent: float = knob(
        0.1, label="Learning rate of the latents", help="Adam's learning rate", low=1e-6, high=10
    )
    lr_generator: float = knob(
        0.01, label="Learning rate of the generator", help="Adam's learning rate", low=1e-6, high=10
    )
    swing: bool = knob(
        True,
        label="Swing convolution",
        help="shift by a random pixel before every strided convolution",
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
    optimise: str = knob(
        "latents and generator",
        label="What is optimised",
        help="the paper's ablations: a generator alone, fed with new noise at every step (GBA); or the "
        "pixels themselves (DBA, at ZeroQ's learning rate of 0.5)",
        choices=("latents and generator", "generator", "pixels"),
        fixed=True,
        off=("pixels", "generator"),
    )
    generator: str = knob(
        "released",
        label="Generator",
        help="the released one begins at a quarter of the side and doubles twice: at 224 pixels it has 103 "
        "million weights; the lean one begins at 14 pixels at most (not in the paper)",
        choices=("released", "lean"),
        fixed=True,
    )
    stretch: bool = knob(
        False,
        label="Learnt range of colours",
        help="a scale and an offset for each colour, learnt behind the generator (not in the paper)",
        fixed=True,
    )
    low_pass: float = knob(
        0.0,
        label="Low-pass filter on the finished images",
        help="frequencies that are kept, in periods a side; 8 suits 32 pixels; 0: none (SynQ, not GENIE)",
        low=0, high=1000, off=0.0,
    )  # fmt: skip
    precision: str = knob(
        "float32",
        label="Precision of the teacher's pass",
        help="bfloat16 is faster where the processor supports it",
        choices=("float32", "bfloat16"),
    )
    second: str = knob_of(StatisticsSettings, "second", default="std")
    over_layers: str = knob_of(StatisticsSettings, "over_layers", default="sum")


class Genie(ComposedMethod):
    """Minimises the BatchNorm distance of a batch over its latents z and its own generator G.

    In the released code the names of the two learning rates are swapped; the values here are the ones
    that take effect there: 0.1 for z, 0.01 for G.
    """

    card = MethodCard(
        name="genie",
        title="GENIE-D",
        summary="A small generator and its latents learn images with the statistics that the network keeps.",
        paper="Jeon et al., GENIE: Show Me the Data for Quantization, CVPR 2023",
        url="https://arxiv.org/abs/2212.04780",
        needs=("batchnorm",),
    )
    Settings = GenieSettings

    def compose(self) -> Composition:
        request, settings = self.request, self.request.settings
        canvas = self._canvas()
        statistics = StatisticsLoss(targets=request.stored.moments, **statistics_of(settings))
        return Composition(
            canvas=canvas,
            losses={
                "batchnorm": (settings.batchnorm_weight, statistics),
                "image": (settings.image_weight, InputStatistics()),
            },
            optimisers=_optimisers(canvas, settings),
            model=with_swing(request.teacher, request.rng) if settings.swing else None,
            bfloat16=settings.precision == "bfloat16",
            finish=partial(low_pass, cutoff=settings.low_pass) if settings.low_pass else None,
        )

    def _canvas(self) -> Canvas:
        settings = self.request.settings
        if settings.optimise == "pixels":
            return Pixels.gaussian(self.request)
        fresh = settings.optimise == "generator"
        lean = settings.generator == "lean"
        return LatentImages(self.request, fresh=fresh, stretch=settings.stretch, lean=lean)


def _optimisers(canvas: Canvas, settings: GenieSettings) -> dict[str, Optimiser]:
    if isinstance(canvas, Pixels):
        pixels = adam(canvas.parameters(), 0.5)
        return {"pixels": Optimiser(pixels, Plateau(pixels))}
    assert isinstance(canvas, LatentImages)
    optimisers = {}
    if canvas.z.requires_grad:
        z = Adam([canvas.z], lr=settings.lr_latent)
        optimisers["z"] = Optimiser(z, Plateau(z))
    weights = [each for name, each in canvas.named_parameters() if name != "z"]
    g = adam(weights, settings.lr_generator)
    optimisers["g"] = Optimiser(g, exponential(g, factor=0.95, every=100))
    return optimisers
