"""An input channel whose weights are far larger than the others': every row's grid must reach it."""

from collections.abc import Iterator

import numpy as np

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import BIT_DB, RunRecord, layer_gain
from engine.analysis.doctor.rule import Rule, severity_of

RATIO = 8.0  # to the median channel: three bits of the grid are spent on reaching it (our own line)


class WeightOutlier(Rule):
    """Looks at the columns of the weight: an output channel that is larger has a grid of its own."""

    name = "weight-outlier"
    title = "Outlier channel in the weights"
    source = (
        "Nagel et al., Data-Free Quantization Through Weight Equalization, ICCV 2019, section 3"
    )
    order = 30

    def look(self, record: RunRecord) -> Iterator[Finding]:
        for layer in record.layers:
            alive = layer.columns[layer.columns > 0]
            if len(alive) < 3 or layer.weight_bits >= 8:
                continue
            median = float(np.median(alive))
            channel = int(layer.columns.argmax())
            ratio = float(layer.columns[channel]) / median
            if ratio < RATIO:
                continue
            gain = layer_gain(layer, weights=BIT_DB * (8 - layer.weight_bits))
            equal = bool(layer.writer) and record.settings.get("equalise") is False
            change = (
                Change(words=f"equalise {layer.writer} and {layer.path} with all other pairs",
                       quantization_settings={"equalise": True})
                if equal
                else Change(words=f"give the weights of {layer.path} 8 bits", weight_bits={layer.path: 8})
            )  # fmt: skip
            yield Finding(
                cause=f"The weights that read channel {channel} reach {ratio:.0f} times as far as those of "
                f"the median channel, and at {layer.weight_bits} bits the others share few levels.",
                severity=severity_of(layer, gain), layer=layer.path, change=change,
                evidence={"channel": channel, "ratio": ratio, "columns": layer.columns.tolist()},
                predicted_gain=gain, unit="dB of the layer",
            )  # fmt: skip
