"""A layer that has far fewer bits than the rest of its network."""

from collections.abc import Iterator

import numpy as np

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import BIT_DB, Layer, RunRecord, layer_gain
from engine.analysis.doctor.rule import Rule, severity_of

FEWER = 2  # bits below the median layer: a noise sixteen times as strong


class FewBits(Rule):
    """A chain of layers is no better than its worst."""

    name = "few-bits"
    title = "A layer at far fewer bits than the rest"
    source = "Bennett, Spectra of Quantized Signals, 1948: 6 dB a bit; measured for the layer"
    order = 15

    def look(self, record: RunRecord) -> Iterator[Finding]:
        usual = float(np.median([one.weight_bits for one in record.layers] or [0]))
        inputs = [one.activation_bits for one in record.layers if one.activation_bits is not None]
        usual_input = float(np.median(inputs or [0]))
        for layer in record.layers:
            weights = int(usual) if usual - layer.weight_bits >= FEWER else layer.weight_bits
            has = layer.activation_bits
            reads = has if has is None or usual_input - has < FEWER else int(usual_input)
            if (weights, reads) != (layer.weight_bits, has):
                yield _finding(layer, weights, reads)


def _finding(layer: Layer, weights: int, reads: int | None) -> Finding:
    more = weights - layer.weight_bits
    more_input = (reads or 0) - (layer.activation_bits or 0)
    gain = layer_gain(layer, weights=BIT_DB * more, inputs=BIT_DB * more_input)
    parts = [f"its weights {layer.weight_bits} bits"] if more else []
    parts += [f"its input {layer.activation_bits} bits"] if more_input else []
    wanted = [str(bits) for bits, added in ((weights, more), (reads, more_input)) if added]
    return Finding(
        cause=f"{layer.path} has {' and '.join(parts)} where most layers have {' and '.join(wanted)}.",
        severity=severity_of(layer, gain), layer=layer.path,
        evidence={"weight_bits": layer.weight_bits, "activation_bits": layer.activation_bits,
                  "sqnr_db": layer.sqnr_db},
        change=Change(words=f"give {layer.path} as many bits as the rest",
                      weight_bits={layer.path: weights} if more else {},
                      activation_bits={layer.path: reads} if more_input and reads else {}),
        predicted_gain=gain, unit="dB of the layer",
    )  # fmt: skip
