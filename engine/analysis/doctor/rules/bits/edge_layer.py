"""First or last layer at few bits: the usual practice leaves both at 8."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Finding
from engine.analysis.doctor.record import RunRecord
from engine.analysis.doctor.rule import Rule
from engine.analysis.doctor.rules.bits.past_cliff import bits_of, to_eight

_WHY = {
    "first": "all that follows is made of what it gives",
    "last": "its errors are those of the answer",
}


class EdgeLayer(Rule):
    """Few of a network's weights are in these two, so bits there cost little."""

    name = "edge-layer"
    title = "First or last layer at few bits"
    source = "Choi et al., PACT, 2018; Esser et al., LSQ, ICLR 2020: both stay at 8 bits"
    order = 25

    def look(self, record: RunRecord) -> Iterator[Finding]:
        for layer in record.layers:
            if layer.edge and layer.fewest_bits < 8:
                yield to_eight(
                    layer,
                    f"{layer.path}, the {layer.edge} layer, is at {bits_of(layer)}: {_WHY[layer.edge]}.",
                )
