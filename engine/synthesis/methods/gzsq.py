"""GZSQ: images from weights alone, for networks without BatchNorm.

Sharma, Abraham, Rajendiran: "A Generalized Zero-Shot Quantization of Deep Convolutional Neural Networks
via Learned Weights Statistics", IEEE TMM 2021, arXiv:2112.02834. Optimiser, steps and batch are ZeroQ's
(the paper does not state its own), the learning rate that of bounded pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.core.method import MethodCard, knob, knob_of
from engine.core.sampling.randomness import stream
from engine.models.graph.blocks import trace
from engine.synthesis.canvas import Pixels
from engine.synthesis.composed import ComposedMethod, Composition
from engine.synthesis.loss import Loss, Scene
from engine.synthesis.losses.statistics import StatisticsLoss, z_score
from engine.synthesis.schedules import Optimiser, Plateau, adam
from engine.synthesis.statistics.moments import Moments, batch_moments
from engine.synthesis.statistics.propagation import expected_outputs
from engine.synthesis.statistics.settings import StatisticsSettings, statistics_of

ADJUSTMENTS = ("mean", "min", "max", "mean+min", "mean-min", "max+mean", "max-mean")


@dataclass(frozen=True, slots=True, kw_only=True)
class GzsqSettings(StatisticsSettings):
    """GZSQ's settings; where the paper's own form does not work, the default is one that does."""

    steps: int = knob(
        500,
        label="Steps per batch",
        help="optimisation steps for each batch of images",
        low=1, high=100_000, quick=200, standard=500,
    )  # fmt: skip
    batch: int = knob(
        64, label="Images per batch", help="images optimised at a time", low=2, high=1024
    )
    lr: float = knob(
        0.1,
        label="Learning rate",
        help="Adam's, of the pixels; unbounded ones bear ZeroQ's 0.5",
        low=1e-6, high=10,
    )  # fmt: skip
    targets: str = knob(
        "moment",
        label="Statistics aimed at",
        help="moment: those that N(0, 1) images have behind each convolution; literal: the paper's "
        "recursion over the weights' own mean and deviation",
        choices=("moment", "literal"),
    )
    noise_images: int = knob(
        1024,
        label="Noise to learn the statistics from",
        help="moment targets: N(0, 1) images that are carried through the network",
        low=16, high=100_000, quick=256,
    )  # fmt: skip
    statistics_weight: float = knob(
        1.0, label="Weight of the statistics", help="behind every convolution", low=0, high=1000
    )
    spread_weight: float = knob(
        1.0,
        label="Weight of the deviations",
        help="0: the paper's distance alone, which large deviations make small",
        low=0, high=100,
    )  # fmt: skip
    image_weight: float = knob(
        1.0, label="Weight of the image prior", help="the batch as N(0, 1) per colour",
        low=0, high=100,
    )  # fmt: skip
    bounded: bool = knob(
        True,
        label="Valid pixels only",
        help="pixels stay between black and white; off: as the paper, which does not bound them",
    )
    fill_mean: str = knob(
        "mean",
        label="Missing means",
        help="literal targets: what stands in where a layer has another number of channels",
        choices=ADJUSTMENTS,
    )
    fill_std: str = knob(
        "mean+min",
        label="Missing deviations",
        help="literal targets: what stands in where a layer has another number of channels",
        choices=ADJUSTMENTS,
    )
    scope: str = knob_of(
        StatisticsSettings, "scope", choices=("batch", "moving"),
        help="the batch together, or a moving average over the batches of all steps",
    )  # fmt: skip
    second: str = knob_of(StatisticsSettings, "second", default="std")
    metric: str = knob_of(
        StatisticsSettings, "metric", default="z-score",
        help="z-score: gaps in units of both deviations, as in the paper; squared gaps; or their norm over "
        "all channels. The image prior stays a z-score",
    )  # fmt: skip
    over_layers: str = knob_of(StatisticsSettings, "over_layers", default="sum")


class Gzsq(ComposedMethod):
    """Pixels whose batch statistics behind every convolution are those that the weights make likely.

    Inspired by the paper in three points. As published, the targets add up the weights' own means
    and variances, which hardly resembles what a network does to its input; the distance can be made
    small by large deviations alone; and pixels have no bounds. The defaults take the statistics that
    N(0, 1) images have in the network itself, compare deviations too, and keep pixels valid, which
    noise's are not; of a transformer they are taken behind the linear layers of its tokens too.
    `targets=literal` with `spread_weight=0` and `bounded=false` is the paper's own form.
    What the targets can teach ends where noise does: its own statistics are met by noise best.
    """

    card = MethodCard(
        name="gzsq",
        title="GZSQ (inspired by)",
        summary="Needs no BatchNorm: the statistics to aim at are those that noise has within the network.",
        paper="Inspired by Sharma et al., A Generalized Zero-Shot Quantization via Learned Weights "
        "Statistics, TMM 2021",
        url="https://arxiv.org/abs/2112.02834",
        needs=("convolutions",),
    )
    Settings = GzsqSettings
    only_beside = ("spread_weight",)  # a part of both distances

    def compose(self) -> Composition:
        request, settings = self.request, self.request.settings
        if settings.targets == "moment":
            # Of a stream of its own: they depend on the weights alone, not on the run's seed or batch.
            rng = stream(0, "gzsq", "noise")
            count = settings.noise_images
            targets = expected_outputs(request.teacher, request.shape[1:], rng, count)
        else:
            targets = literal_targets(request.teacher, request.shape[1], settings)
        statistics = StatisticsLoss(
            targets=list(targets.values()),
            source="outputs",
            spread_weight=settings.spread_weight,
            **statistics_of(settings),
        )
        canvas = Pixels.gaussian(request, bounded=settings.bounded)
        optimiser = adam(canvas.parameters(), settings.lr)
        return Composition(
            canvas=canvas,
            losses={
                "weights": (settings.statistics_weight, statistics),
                "image": (settings.image_weight, StandardInput(settings.spread_weight)),
            },
            optimisers={"pixels": Optimiser(optimiser, Plateau(optimiser))},
            outputs=list(targets),
        )


class StandardInput(Loss):
    """The same distance of the batch of images itself, per colour, to N(0, 1)."""

    def __init__(self, spread_weight: float) -> None:
        self._spread_weight = spread_weight

    def __call__(self, scene: Scene) -> Tensor:
        seen = batch_moments(scene.images)
        one = torch.ones_like(seen.mean)
        return z_score((seen.mean, seen.std), (0 * one, one), self._spread_weight).mean()


def literal_targets(
    teacher: nn.Module, channels: int, settings: GzsqSettings
) -> dict[str, Moments]:
    """The paper's recursion from N(0, 1), convolution after convolution, per output channel.

    mean' = mean + the weights' mean (and the bias), std'² = std² + the weights' variance. Where the
    number of channels changes, `adjusted` stands in.
    """
    mean, std = torch.zeros(channels), torch.ones(channels)
    targets = {}
    graph = trace(teacher)
    paths = [str(n.target) for n in graph.nodes if n.op == "call_module"]
    for path in dict.fromkeys(paths):
        conv = teacher.get_submodule(path)
        if not isinstance(conv, nn.Conv2d):
            continue
        rows = conv.weight.detach().flatten(1)
        count = len(rows)
        mean = adjusted(mean.to(rows), count, settings.fill_mean) + rows.mean(1)
        if conv.bias is not None:
            mean = mean + conv.bias.detach()
        spread = adjusted(std.to(rows), count, settings.fill_std)
        std = (spread.square() + rows.std(1, correction=0).square()).sqrt()
        targets[path] = Moments(mean, std)
    return targets


def adjusted(values: Tensor, count: int, how: str) -> Tensor:
    """The values for `count` channels: more are filled up by the stand-in, fewer all become it."""
    if len(values) == count:
        return values
    mean, least, most = values.mean(), values.min(), values.max()
    stand_in = {
        "mean": mean,
        "min": least,
        "max": most,
        "mean+min": mean + least,
        "mean-min": mean - least,
        "max+mean": most + mean,
        "max-mean": most - mean,
    }[how]
    filled = stand_in.repeat(count)
    if count > len(values):
        filled[: len(values)] = values
    return filled
