"""Depthwise layers at few bits: a channel has few weights, and nothing averages their errors."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import BIT_DB, Layer, RunRecord, layer_gain
from engine.analysis.doctor.rule import Rule, severity_of
from engine.analysis.doctor.rules.bits.past_cliff import bits_of, to_eight

FEW = 6  # bits below which they suffer
MORE_THAN_ONE = 2


class Depthwise(Rule):
    """Tells of the worst one, and of all of them together."""

    name = "depthwise-bits"
    title = "Depthwise layer at few bits"
    source = "Sheng et al., A Quantization-Friendly Separable Convolution for MobileNets, EMC2 2018"
    order = 35

    def look(self, record: RunRecord) -> Iterator[Finding]:
        few = [one for one in record.layers if one.kind == "depthwise" and one.fewest_bits < FEW]
        if not few:
            return
        worst = max(few, key=lambda one: (one.float_gain or 0.0, -(one.sqnr_db or 0.0)))
        yield to_eight(
            worst,
            f"{worst.path} is depthwise at {bits_of(worst)}: each output has few weights to average over.",
        )
        if len(few) >= MORE_THAN_ONE:
            yield _all(few, worst)


def _all(few: list[Layer], worst: Layer) -> Finding:
    gain = layer_gain(worst, weights=BIT_DB * (8 - worst.weight_bits),
                      inputs=BIT_DB * (8 - (worst.activation_bits or 8)))  # fmt: skip
    return Finding(
        cause=f"{len(few)} depthwise layers have fewer than {FEW} bits, the worst being {worst.path}.",
        severity=severity_of(worst, gain), wide=True,
        evidence={"sqnr_db": {one.path: one.sqnr_db for one in few}},
        change=Change(
            words=f"give all {len(few)} depthwise layers 8 bits",
            weight_bits={one.path: 8 for one in few},
            activation_bits={one.path: 8 for one in few if one.activation_bits is not None},
        ),
        predicted_gain=gain, unit="dB of the layer",
    )  # fmt: skip
