"""Branches of very different size that meet: one grid holds both, and the smaller falls between levels."""

import math
from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import BIT_DB, Layer, RunRecord, layer_gain
from engine.analysis.doctor.rule import Rule, severity_of
from engine.analysis.layers.bit_tables import CLIFF_DB

RATIO = 8.0  # of root mean squares: three bits of the grid lie between the two (our own line)


class UnequalBranches(Rule):
    """Told only where the smaller branch, measured against the grid's own noise, is past the cliff."""

    name = "unequal-branches"
    title = "Branches of unequal size on one grid"
    source = (
        "Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only "
        "Inference, CVPR 2018, appendix A.2 and A.3, on the one scale; what is left is measured"
    )
    order = 25

    def look(self, record: RunRecord) -> Iterator[Finding]:
        for layer in record.layers:
            if layer.meeting is not None and layer.input is not None and layer.input.bits < 8:
                yield from _of(layer)


def _of(layer: Layer) -> Iterator[Finding]:
    meeting, x = layer.meeting, layer.input
    assert meeting is not None
    assert x is not None
    sizes = sorted(meeting.sizes.items(), key=lambda one: one[1])
    (small, least), (large, most) = sizes[0], sizes[-1]
    if least <= 0 or most / least < RATIO:
        return
    # Side by side the grid's noise is that of each part; parts are taken to have as many channels.
    parts = len(sizes) if meeting.kind == "concatenation" else 1
    whole = math.sqrt(sum(size**2 for _, size in sizes) / parts)
    left_db = x.sqnr_db - 20 * math.log10(whole / least)
    if left_db >= CLIFF_DB:
        return
    gain = layer_gain(layer, inputs=BIT_DB * (8 - x.bits))
    yield Finding(
        cause=f"{layer.path} reads {_whole(meeting.kind)} of {small or 'the image'} and "
        f"{large or 'the image'}, which is {most / least:.0f} times as large: on one grid of {x.bits} bits "
        f"the smaller of the two stands only {left_db:.0f} dB above the rounding.",
        severity=severity_of(layer, gain), layer=layer.path,
        evidence={"branches": dict(sizes), "left_db": left_db},
        change=Change(words=f"give the input of {layer.path} 8 bits", activation_bits={layer.path: 8}),
        predicted_gain=gain, unit="dB of the layer",
    )  # fmt: skip


def _whole(kind: str) -> str:
    return "the sum" if kind == "addition" else "the concatenation"
