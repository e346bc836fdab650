"""ZeroQ's distilled data: pixels whose statistics, image by image, are those that the network keeps.

Cai et al., "ZeroQ: A Novel Zero Shot Quantization Framework", CVPR 2020, arXiv:2001.00281.
"""

from dataclasses import dataclass

from engine.core.method import MethodCard, knob, knob_of
from engine.synthesis.canvas import Pixels
from engine.synthesis.composed import ComposedMethod, Composition
from engine.synthesis.losses.images import InputStatistics
from engine.synthesis.losses.statistics import StatisticsLoss
from engine.synthesis.schedules import Optimiser, Plateau, adam
from engine.synthesis.statistics.settings import StatisticsSettings, statistics_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroQSettings(StatisticsSettings):
    """ZeroQ's settings; the defaults are the released code's."""

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
    start: str = knob(
        "faint",
        label="Start from",
        help="faint: an almost even grey, as released; gaussian: N(0, 1)",
        choices=("faint", "gaussian"),
        fixed=True,
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
    scope: str = knob_of(
        StatisticsSettings, "scope", default="image",
        help="each image by itself, as in the paper, the batch together, as later methods do, or a moving "
        "average over the batches of all steps",
    )  # fmt: skip
    second: str = knob_of(StatisticsSettings, "second", default="std")
    over_channels: str = knob_of(StatisticsSettings, "over_channels", default="sum")
    over_layers: str = knob_of(StatisticsSettings, "over_layers", default="sum")


class ZeroQ(ComposedMethod):
    """Matches the mean and std of every image at every BatchNorm layer; no labels, nothing else.

    The released code pairs the i-th convolution with the i-th BatchNorm; here the BatchNorm's own
    input is read.
    """

    card = MethodCard(
        name="zeroq",
        title="ZeroQ",
        summary="Pixels learn, image by image, the means and deviations that the network keeps.",
        paper="Cai et al., ZeroQ: A Novel Zero Shot Quantization Framework, CVPR 2020",
        url="https://arxiv.org/abs/2001.00281",
        needs=("batchnorm",),
    )
    Settings = ZeroQSettings

    def compose(self) -> Composition:
        request, settings = self.request, self.request.settings
        pixels = Pixels.faint if settings.start == "faint" else Pixels.gaussian
        canvas = pixels(request)
        statistics = StatisticsLoss(targets=request.stored.moments, **statistics_of(settings))
        optimiser = adam(canvas.parameters(), settings.lr)
        return Composition(
            canvas=canvas,
            losses={
                "batchnorm": (settings.batchnorm_weight, statistics),
                "image": (settings.image_weight, InputStatistics()),
            },
            optimisers={"pixels": Optimiser(optimiser, Plateau(optimiser))},
        )
