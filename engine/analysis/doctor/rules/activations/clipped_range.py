"""A grid that ends long before the values do, where another rule for its range would lose less."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import RunRecord, layer_gain
from engine.analysis.doctor.rule import Rule, severity_of
from engine.core.percent import percent

BETTER_DB = 2.0  # of the input on the other grid: less is what rules differ in anyway
SHORT = 0.7  # of the largest value: a grid that reaches further clips little


class ClippedRange(Rule):
    """Some clipping is right at few bits, so a grid is held against those that other rules would fit."""

    name = "clipped-range"
    title = "Clipped range"
    source = "Banner et al., Post-training 4-bit Quantization (ACIQ), NeurIPS 2019; measured rule by rule"
    order = 20

    def look(self, record: RunRecord) -> Iterator[Finding]:
        for layer in record.layers:
            x = layer.input
            if x is None or not x.by_rule:
                continue
            reach, largest = max(-x.low, x.high), max(-x.least, x.largest)
            others = [rule for rule in x.by_rule if rule != record.settings.get("activation_range")]
            best = max(others, key=lambda rule: x.by_rule[rule])
            better = x.by_rule[best] - x.sqnr_db
            if better < BETTER_DB or reach > SHORT * largest:
                continue
            gain = layer_gain(layer, inputs=better)
            yield Finding(
                cause=f"The grid of what {layer.path} reads ends at {reach:.3g}, and the values reach "
                f"{largest:.3g}: {percent(x.clipped)} of them are clipped; the rule {best} would be "
                f"{better:.0f} dB better.",
                severity=severity_of(layer, better), layer=layer.path,
                evidence={"reach": reach, "largest": largest, "clipped": x.clipped,
                          "sqnr_db": x.sqnr_db, "by_rule": dict(x.by_rule)},
                change=Change(words=f"fit the ranges of inputs by {best}",
                              quantization_settings={"activation_range": best}),
                predicted_gain=gain, unit="dB of the layer",
            )  # fmt: skip
