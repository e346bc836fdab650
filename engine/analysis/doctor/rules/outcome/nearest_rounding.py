"""Few bits rounded to nearest, where learning the roundings is known to be worth its time."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import SICK, RunRecord
from engine.analysis.doctor.rule import Rule

FEW = 4  # bits of the median layer's weights
LEARNER = "quantoscope"


class NearestRounding(Rule):
    """Each weight rounded by itself is not what keeps the layer's output."""

    name = "nearest-rounding"
    title = "Few bits without learning"
    source = "Nagel et al., Up or Down? Adaptive Rounding (AdaRound), ICML 2020, section 3"
    order = 64

    def look(self, record: RunRecord) -> Iterator[Finding]:
        bits = sorted(one.weight_bits for one in record.layers)
        few = bool(bits) and bits[len(bits) // 2] <= FEW
        sick = record.loss.value >= SICK[record.loss.unit]
        if record.learns or not few or not sick or record.quantization != "nearest":
            return
        yield Finding(
            cause=f"Most weights have {bits[len(bits) // 2]} bits and are rounded to nearest, which costs "
            f"{record.loss.words}; one that learns rounds so that outputs stay.",
            severity="yellow", evidence={"loss": record.loss.value, "bits": bits[len(bits) // 2]},
            change=Change(words=f"learn the roundings ({LEARNER})", quantization=LEARNER),
        )  # fmt: skip
