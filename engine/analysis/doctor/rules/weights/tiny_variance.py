"""A BatchNorm channel that stored next to no variance: it multiplies by hundreds what differs a little."""

from collections.abc import Iterator

import numpy as np

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import Layer, Norm, RunRecord
from engine.analysis.doctor.rule import Rule
from engine.models.card_settings import MENDED, TINY_VARIANCE, VARIANCES

MEND = Change(
    words="give channels of next to no variance the median variance of their layer",
    model_settings={VARIANCES: MENDED},
)
LOUD = 5.0  # times the median channel's deviation behind it: else it is as still as it says


class TinyVariance(Rule):
    """Names the BatchNorm; the layer that reads it is the one whose range suffers."""

    name = "tiny-variance"
    title = "BatchNorm with a tiny variance"
    source = "Ioffe and Szegedy, Batch Normalization, ICML 2015: the factor is gamma / sqrt(variance + eps)"
    order = 10

    def look(self, record: RunRecord) -> Iterator[Finding]:
        for k, layer in enumerate(record.layers):
            if layer.norm is not None:
                yield from _of(layer.norm, _reader(record, layer, k))
            if layer.norm_before is not None:
                yield from _of(layer.norm_before, layer)


def _of(norm: Norm, reader: Layer | None) -> Iterator[Finding]:
    channels = _loud(norm)
    if not len(channels):
        return
    factor = np.abs(norm.gamma) / np.sqrt(norm.variance + norm.eps)
    worst = int(channels[factor[channels].argmax()])
    yield Finding(
        cause=f"Channel {worst} stored a variance of {norm.variance[worst]:.1e} (the median channel "
        f"{np.median(norm.variance):.1e}), so it is multiplied by {factor[worst]:.0f} where the "
        f"median is multiplied by {np.median(factor):.1f}.",
        severity="yellow", layer=norm.path, sure=True,
        hurts=reader.path if reader else "", change=MEND, unit="top1",
        evidence={"channels": channels.tolist(), "factor": factor.tolist(),
                  "variance": norm.variance.tolist()},
    )  # fmt: skip


def _loud(norm: Norm) -> np.ndarray:
    out = norm.seen * np.abs(norm.gamma) / np.sqrt(norm.variance + norm.eps)
    tiny = norm.variance < TINY_VARIANCE * np.median(norm.variance)
    found: np.ndarray = np.flatnonzero(tiny & (out > LOUD * np.median(out)))
    return found


def _reader(record: RunRecord, layer: Layer, place: int) -> Layer | None:
    """The layer behind, as far as it is known: the one that equalisation pairs it with, else the next."""
    paired = [one for one in record.layers if one.writer == layer.path]
    return next(iter([*paired, *record.layers[place + 1 : place + 2]]), None)
