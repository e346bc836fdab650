"""A claim about quantizers: that one student loses less than another, its control."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.run.benches.effects.students import SETUPS

METRICS: Mapping[str, tuple[str, str]] = {  # a number of a run's result, and what it is
    "kl": ("logit_kl", "KL from the teacher, nats"),
    "sqnr": ("output_sqnr_db", "SQNR of the output, dB"),
    "top1": ("quantized_top1", "top-1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizerClaim:
    """That one student loses less than another, its control.

    Asserted ones are of a paper and were expected of any network; the others are reported only.
    """

    name: str
    says: str  # in one sentence
    method: str  # names of setups
    baseline: str  # the control
    differs: tuple[str, ...]  # settings, "quantization" or "weight_bits"
    metric: str = "kl"
    lower: bool = True
    asserted: bool = False

    @property
    def network(self) -> str:
        return SETUPS[self.method].network

    @property
    def of(self) -> str:
        """What is measured, in words."""
        one = SETUPS[self.method]
        return f"W{one.weight_bits}A{one.activation_bits}: {METRICS[self.metric][1]}"

    def words(self) -> dict[str, str]:
        """What a page writes of it."""
        return {
            "says": self.says,
            "of": self.of,
            "method_title": SETUPS[self.method].title,
            "baseline_title": SETUPS[self.baseline].title,
        }

    def compared(self) -> dict[str, Any]:
        """What a measurement is of: a file's numbers are of today's claim where this is the same."""
        sides = {"method": self.method, "baseline": self.baseline}
        return {
            **sides,
            "differs": list(self.differs),
            "metric": self.metric,
            "lower": self.lower,
            "network": self.network,
            "settings": {side: dict(SETUPS[name].settings) for side, name in sides.items()},
            "bits": {
                side: [SETUPS[name].weight_bits, SETUPS[name].activation_bits]
                for side, name in sides.items()
            },
        }
