"""Neighbouring layers whose channels reach differently far: what one gives, the next reads on one grid."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import RunRecord
from engine.analysis.doctor.rule import Rule

RATIO = 50.0  # as in the look at a network before a run
FEW_BITS = 8  # from so many on a grid has room for such ranges


class RangeRatio(Rule):
    """Names the reader of the pair whose channels differ most."""

    name = "range-ratio"
    title = "Neighbours of very different ranges"
    source = (
        "Nagel et al., Data-Free Quantization Through Weight Equalization, ICCV 2019, section 4.1"
    )
    order = 40

    def look(self, record: RunRecord) -> Iterator[Finding]:
        if record.settings.get("equalise") is not False:  # on already, or not to be had
            return
        pairs = [one for one in record.layers if one.writer and one.ratio >= RATIO]
        worst = max(pairs, key=lambda one: one.ratio, default=None)
        if worst is None:
            return
        few = worst.fewest_bits < FEW_BITS
        others = len(pairs) - 1
        more = f"; so it is with {others} more pair{'s' if others > 1 else ''}" if others else ""
        yield Finding(
            cause=f"Between {worst.writer} and {worst.path} the largest channel's range is "
            f"{worst.ratio:,.0f} times the smallest's, and one grid holds them all{more}.",
            severity="yellow" if few else "note", layer=worst.path,
            evidence={"ratio": worst.ratio, "pairs": {one.path: one.ratio for one in pairs}},
            change=Change(words="equalise neighbouring layers", quantization_settings={"equalise": True}),
        )  # fmt: skip
