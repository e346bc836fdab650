"""The layers past their cliff whose bits cost the answer most."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import BIT_DB, Layer, RunRecord, layer_gain
from engine.analysis.doctor.rule import Rule, severity_of
from engine.analysis.layers.bit_tables import CLIFF_DB

MOST = 3  # layers told of one by one: those that would gain most


class PastCliff(Rule):
    """Of the layers whose error is more than a tenth of their signal, those that the answer hangs on."""

    name = "past-cliff"
    title = "A layer past its cliff"
    source = (
        "Dong et al., HAWQ, ICCV 2019: bits where the loss is sensitive; measured, layer by layer"
    )
    order = 60

    def look(self, record: RunRecord) -> Iterator[Finding]:
        for layer in past_cliff(record)[:MOST]:
            yield to_eight(
                layer,
                f"The error of {layer.path} alone is only {layer.sqnr_db:.0f} dB below its signal "
                f"(the cliff is at {CLIFF_DB:.0f} dB), at {bits_of(layer)}.",
            )


def past_cliff(record: RunRecord) -> list[Layer]:
    """The layers past their cliff that could have more bits, those that the answer hangs on most first."""
    past = [one for one in record.layers if one.sqnr_db is not None and _is_past(one)]
    return sorted(past, key=_worth, reverse=True)


def _is_past(layer: Layer) -> bool:
    return layer.fewest_bits < 8 and layer.sqnr_db is not None and layer.sqnr_db < CLIFF_DB


def _worth(layer: Layer) -> tuple[float, float]:
    return layer.float_gain or 0.0, -(layer.sqnr_db or 0.0)


def bits_of(layer: Layer) -> str:
    """W3A4, W3 where the input is not quantized."""
    reads = "" if layer.activation_bits is None else f"A{layer.activation_bits}"
    return f"W{layer.weight_bits}{reads}"


def to_eight(layer: Layer, cause: str) -> Finding:
    """A finding whose way out is 8 bits for the layer's weights, and for its input where that has fewer."""
    more = 8 - layer.weight_bits
    more_input = 8 - (layer.activation_bits or 8)
    gain = layer_gain(layer, weights=BIT_DB * more, inputs=BIT_DB * more_input)
    return Finding(
        cause=cause, severity=severity_of(layer, gain), layer=layer.path,
        evidence={"sqnr_db": layer.sqnr_db, "weights_db": layer.weights_db, "inputs_db": layer.inputs_db,
                  "float_gain": layer.float_gain},
        change=Change(words=f"give {layer.path} 8 bits",
                      weight_bits={layer.path: 8} if more else {},
                      activation_bits={layer.path: 8} if more_input else {}),
        predicted_gain=gain, unit="dB of the layer",
    )  # fmt: skip
