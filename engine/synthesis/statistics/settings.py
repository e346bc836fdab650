"""The knobs of a statistics term: the choices in which the published methods silently differ."""

from dataclasses import dataclass
from typing import Any

from engine.core.method import Settings, knob


# Without slots: a class may inherit them from one base alone, and generators have them from another.
@dataclass(frozen=True, kw_only=True)
class StatisticsSettings(Settings):
    """What of the images is compared with the stored statistics, and how; the defaults are GDFQ's.

    Each method redeclares what its paper does otherwise (the table is in losses/statistics.py). A class by
    itself is no choice here: only FDDA and ClusterQ have centres of classes to compare with, in terms of
    their own.
    """

    scope: str = knob(
        "batch",
        label="Statistics of",
        help="each image by itself, the batch together, or a moving average over the batches of all steps",
        choices=("image", "batch", "moving"),
    )
    second: str = knob(
        "var",
        label="Spread of the statistics",
        help="compared beside the means: standard deviations (unbiased) or variances (biased); "
        "a z-score is always of deviations",
        choices=("std", "var"),
    )
    metric: str = knob(
        "squared",
        label="Distance of the statistics",
        help="squared gaps; norm: the length of all channels' gaps, not squared; z-score: gaps in units of "
        "both deviations",
        choices=("squared", "norm", "z-score"),
    )
    over_channels: str = knob(
        "mean",
        label="Over channels",
        help="averaged or added up; a norm is of all channels as it is",
        choices=("mean", "sum"),
    )
    over_layers: str = knob(
        "mean",
        label="Over layers",
        help="averaged or added up",
        choices=("mean", "sum"),
    )
    present: float = knob(
        0.1,
        label="Share of the present batch",
        help="in a moving average of the statistics; 1: each step by itself",
        low=0.01, high=1,
    )  # fmt: skip


def form_of(settings: StatisticsSettings) -> dict[str, Any]:
    """How statistics are compared and reduced, as a term with a scope of its own takes it."""
    names = ("second", "metric", "over_channels", "over_layers")
    return {name: getattr(settings, name) for name in names}


def statistics_of(settings: StatisticsSettings) -> dict[str, Any]:
    """All the choices, as `StatisticsLoss` takes them."""
    return form_of(settings) | {"scope": settings.scope, "momentum": settings.present}
