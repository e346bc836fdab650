"""A quantizer that learned its roundings and is worse than rounding to nearest."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import RunRecord
from engine.analysis.doctor.rule import Rule


class LearningHarm(Rule):
    """Learned on too few images, too fast, or to a wrong end: nearest rounding needs none of it."""

    name = "learning-harm"
    title = "Learning did harm"
    source = "measured: the same grids rounded to nearest, on the same images"
    order = 12

    def look(self, record: RunRecord) -> Iterator[Finding]:
        gain, band = record.nearest_gain, record.nearest_band
        if not record.learns or gain is None or gain <= 0:
            return
        if band is not None and band[0] <= 0:  # may be chance
            return
        unit = "KL" if record.loss.unit == "KL" else "dB of the outputs"
        yield Finding(
            cause=f"{record.quantization} loses {record.loss.words} to the float network, and the same bits "
            f"rounded to nearest {gain:.3g} {unit} less.",
            severity="yellow", evidence={"loss": record.loss.value, "nearest_gain": gain},
            change=Change(words="round to nearest", quantization="nearest"),
            predicted_gain=gain, band=band, unit=unit,
        )  # fmt: skip
