"""Many layers past their cliff, none of which is the cause alone."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import Layer, RunRecord
from engine.analysis.doctor.rule import Rule
from engine.analysis.doctor.rules.bits.past_cliff import MOST, past_cliff

SHARE = 0.25  # of all layers: as many are given more bits


class SpreadLoss(Rule):
    """Proposes bits for the quarter of the layers on which the answer hangs most."""

    name = "spread-loss"
    title = "The loss is spread over many layers"
    source = (
        "Dong et al., HAWQ, ICCV 2019: bits where the loss is sensitive; measured, layer by layer"
    )
    order = 62

    def look(self, record: RunRecord) -> Iterator[Finding]:
        past = past_cliff(record)
        layers = past[: max(MOST, round(SHARE * len(record.layers)))]
        if len(past) <= MOST:
            return
        yield Finding(
            cause=f"{len(past)} of {len(record.layers)} layers are past their cliff; the answer hangs on "
            f"{', '.join(layer.path for layer in layers[:MOST])}, in this order.",
            severity="yellow", wide=True,
            evidence={"sqnr_db": {one.path: one.sqnr_db for one in layers},
                      "float_gain": {one.path: one.float_gain for one in layers}},
            change=Change(
                words=f"give 8 bits to {_named(layers)}",
                weight_bits={one.path: 8 for one in layers},
                activation_bits={one.path: 8 for one in layers if one.activation_bits is not None},
            ),
        )  # fmt: skip


def _named(layers: list[Layer]) -> str:
    """The first by name: the next round's are others, and so is what is said of them."""
    first = [layer.path for layer in layers[:MOST]]
    more = len(layers) - len(first)
    if not more:
        return f"{', '.join(first[:-1])} and {first[-1]}"
    return f"{', '.join(first)} and {more} other layer{'s' if more > 1 else ''}"
