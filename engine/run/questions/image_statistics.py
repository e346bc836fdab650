"""Finished images side by side: what a comparing page draws of their statistics. Imports no torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from engine.analysis.images.likeness import MEASURES, Measure, joint_map, measures_of
from engine.run.questions.compare import Side

PAIR_BINS = 40
MOST_CLASSES = 30  # told apart in a histogram


def measure_table(sides: Sequence[Side]) -> list[dict[str, Any]]:
    """A row for each measure: its words, and its value for every side (None where it cannot be told)."""
    values = [measures_of(side.statistics) if side.statistics else {} for side in sides]
    return [
        _words(measure) | {"values": [one.get(measure.name) for one in values]}
        for measure in MEASURES
    ]


def _words(measure: Measure) -> dict[str, str]:
    return {k: v for k, v in asdict(measure).items() if isinstance(v, str)}


def feature_map(sides: Sequence[Side]) -> list[np.ndarray] | None:
    """Each side's images on one plane [n, 2]; None where statistics are missing or of other networks."""
    all_statistics = [side.statistics for side in sides if side.statistics]
    widths = {statistics["features"].shape[1] for statistics in all_statistics}
    if len(all_statistics) < len(sides) or len(widths) != 1 or not _one_network(sides):
        return None
    return joint_map(all_statistics)


def pair_histograms(
    sides: Sequence[Side], name: str
) -> tuple[list[float], list[list[float] | None]]:
    """(centres, shares by side) of the cosines of all pairs, `name` being pixel_cosines or feature_cosines.

    The bins are common: PAIR_BINS between the smallest and the largest cosine of all sides. A side
    without statistics, or of one image, has None.
    """
    found = [
        np.asarray(side.statistics[name], np.float64) if side.statistics else np.empty(0)
        for side in sides
    ]
    union = np.concatenate(found)
    if not union.size:
        return [], [None] * len(sides)
    low, high = float(union.min()), float(union.max())
    edges = np.linspace(low, max(high, low + 1e-3), PAIR_BINS + 1)
    shares = [
        (np.histogram(one, edges)[0] / one.size).tolist() if one.size else None for one in found
    ]
    return ((edges[1:] + edges[:-1]) / 2).tolist(), shares


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassShares:
    """The share of the images that the teacher puts into each class, for as many as can be drawn."""

    names: list[str]
    shares: list[list[float] | None]  # a side, as long as names; None where it has no classes
    left_out: int  # classes that have images and are not among the names
    rest: list[float | None]  # a side: the share of its images in those
    classes: int  # that the teacher knows


def class_shares(sides: Sequence[Side], names: Sequence[str] = ()) -> ClassShares | None:
    """All of the teacher's classes; beyond MOST_CLASSES the commonest of those that have images.

    The commonest are those with the largest share summed over the sides. `names` are the classes'; a
    statistics know those that they have seen. None where no side has classes, or where their networks differ.
    """
    counted = [_class_counts(side.statistics) for side in sides]
    lengths = {len(one) for one in counted if one is not None}
    if not _one_network(sides) or len(lengths) != 1:
        return None
    shares = [None if one is None else one / max(one.sum(), 1) for one in counted]
    summed: np.ndarray = sum(share for share in shares if share is not None)
    seen, order = int((summed > 0).sum()), np.arange(len(summed))
    if len(summed) > MOST_CLASSES:
        order = np.argsort(-summed, kind="stable")[: min(MOST_CLASSES, seen)]
    named = dict(enumerate(names)) | class_names(sides)
    drawn = [None if share is None else share[order].tolist() for share in shares]
    return ClassShares(
        names=[named.get(int(c), f"class {c}") for c in order], shares=drawn,
        left_out=seen - int((summed[order] > 0).sum()),
        rest=[None if one is None else max(0.0, 1 - sum(one)) for one in drawn],
        classes=len(summed),
    )  # fmt: skip


def _one_network(sides: Sequence[Side]) -> bool:
    return len({side.run.recipe.model for side in sides}) == 1


def _class_counts(statistics: dict[str, np.ndarray] | None) -> np.ndarray | None:
    if statistics is None or "classes" not in statistics:
        return None
    return np.bincount(statistics["classes"], minlength=len(statistics["class_probability"]))


def class_names(sides: Sequence[Side]) -> dict[int, str]:
    """The names of the classes that the sides' statistics have seen, as far as they know them."""
    named: dict[int, str] = {}
    for side in sides:
        if side.statistics and "class_names" in side.statistics:
            seen = np.unique(side.statistics["classes"]).tolist()
            named |= dict(zip(seen, side.statistics["class_names"].tolist(), strict=False))
    return named


def layer_spread(side: Side, name: str) -> list[float] | None:
    """The spread over images at every BatchNorm layer, of their "spread" (means) or "deviation_spread".

    In stored standard deviations, averaged over channels. None where the statistics do not have it.
    """
    if side.statistics is None or not side.statistics.get(name, np.empty(0)).size:
        return None
    return [float(value) for value in side.statistics[name]]
