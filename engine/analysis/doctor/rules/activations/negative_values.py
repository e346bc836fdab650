"""A few small values below zero behind SiLU, GELU and their like cost the grid half of its levels."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import BIT_DB, RunRecord, layer_gain
from engine.analysis.doctor.rule import Rule

EVEN = 0.9  # of what lies above zero: from here on a grid reaches as far below it
LOPSIDED = 0.25  # of the largest value: what lies below zero is small beside it


class NegativeValues(Rule):
    """A grid without a zero point reaches as far below zero as above; its lower half stays empty."""

    name = "negative-values"
    title = "Values below zero behind an asymmetric activation"
    source = "Bhalgat et al., LSQ+, CVPR Workshops 2020"
    order = 45

    def look(self, record: RunRecord) -> Iterator[Finding]:
        for layer in record.layers:
            x = layer.input
            if x is None or x.bits >= 8 or x.low >= 0 or x.largest <= 0:
                continue
            if -x.low < EVEN * x.high:
                continue  # it has a zero point
            share = -x.least / x.largest
            if not 0 < share <= LOPSIDED:
                continue
            gain = layer_gain(layer, inputs=BIT_DB)
            yield Finding(
                cause=f"{layer.path} reads values from {x.least:.3g} to {x.largest:.3g}: the grid has as "
                "many levels below zero as above, and next to nothing lies there, so that a bit is lost.",
                severity="yellow", layer=layer.path,
                evidence={"least": x.least, "largest": x.largest, "low": x.low, "high": x.high},
                change=Change(words="search the zero points of the activations",
                              quantization_settings={"activation_zero": "searched"}),
                predicted_gain=gain, unit="dB of the layer",
            )  # fmt: skip
