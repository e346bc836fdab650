"""An input channel that reaches far beyond the others: the grid of the whole tensor must reach it too."""

from collections.abc import Iterator

import numpy as np

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import BIT_DB, Layer, RunRecord, layer_gain
from engine.analysis.doctor.rule import Rule, severity_of

RATIO = 6.0  # the size from which LLM.int8() calls a feature an outlier, there in absolute numbers


class ActivationOutlier(Rule):
    """One grid serves all channels of an input, so that one of them can take the levels from the rest."""

    name = "activation-outlier"
    title = "Outlier channel in the activations"
    source = (
        "Dettmers et al., LLM.int8(), NeurIPS 2022, section 3; Xiao et al., SmoothQuant, ICML 2023"
    )
    order = 30

    def look(self, record: RunRecord) -> Iterator[Finding]:
        for layer in record.layers:
            x = layer.input
            if x is None or x.bits >= 8 or (x.owner != layer.path and _later(record, layer)):
                continue
            alive = x.channels[x.channels > 0]
            if len(alive) < 3:
                continue
            channel, median = int(x.channels.argmax()), float(np.median(alive))
            ratio = float(x.channels[channel]) / median
            if ratio < RATIO:
                continue
            gain = layer_gain(layer, inputs=BIT_DB * (8 - x.bits))
            yield Finding(
                cause=f"Channel {channel} of what {layer.path} reads reaches {x.channels[channel]:.3g}, the "
                f"median channel {median:.3g}: at {x.bits} bits most levels serve one channel.",
                severity=severity_of(layer, gain), layer=layer.path, change=_change(record, layer),
                evidence={"channel": channel, "ratio": ratio, "high": x.high,
                          "channels": x.channels.tolist()},
                predicted_gain=gain, unit="dB of the layer",
            )  # fmt: skip


def _later(record: RunRecord, layer: Layer) -> bool:
    """Whether another reader of the same shared grid stands before it, and is told of."""
    assert layer.input is not None
    same = [one for one in record.layers if one.input and one.input.owner == layer.input.owner]
    return same[0].path != layer.path


def _change(record: RunRecord, layer: Layer) -> Change:
    if layer.writer and record.settings.get("equalise") is False:
        return Change(
            words=f"equalise {layer.writer} and {layer.path} with all other pairs",
            quantization_settings={"equalise": True},
        )
    words = f"give the input of {layer.path} 8 bits"
    return Change(words=words, activation_bits={layer.path: 8})
