"""Channels whose weights are zero, or that BatchNorm multiplies by zero: bits for nothing."""

from collections.abc import Iterator

import numpy as np

from engine.analysis.doctor.finding import Finding
from engine.analysis.doctor.record import Layer, RunRecord
from engine.analysis.doctor.rule import Rule

NOTHING = 1e-5  # of the layer's largest weight
MANY = 0.25  # of a layer's channels


class DeadChannels(Rule):
    """Dead channels hurt no other; many of them say that the network is smaller than it looks."""

    name = "dead-channels"
    title = "Dead channels"
    source = "a channel that is always the same carries nothing; measured on the stored weights"
    order = 80

    def look(self, record: RunRecord) -> Iterator[Finding]:
        dead = {one.path: _dead(one) for one in record.layers}
        found = {path: count for path, count in dead.items() if count}
        if not found:
            return
        channels = {one.path: len(one.rows) for one in record.layers}
        worst = max(found, key=lambda path: found[path] / channels[path])
        share = found[worst] / channels[worst]
        yield Finding(
            cause=f"{found[worst]} of {channels[worst]} channels of {worst} give always the same.",
            severity="yellow" if share > MANY else "note", layer=worst, sure=True,
            evidence={"dead": found, "share": share},
        )  # fmt: skip


def _dead(layer: Layer) -> int:
    if not len(layer.rows):
        return 0
    dead = layer.rows <= NOTHING * layer.rows.max()
    if layer.norm is not None and len(layer.norm.gamma) == len(dead):
        dead = dead | (layer.norm.gamma == 0)
    return int(np.count_nonzero(dead))
