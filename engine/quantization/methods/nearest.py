"""Control: every weight to its nearest level, on grids searched for the smallest error. No training."""

from dataclasses import dataclass
from typing import Any

from engine.core.method import MethodCard
from engine.quantization.base import QuantizationMethod, QuantizerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestSettings(QuantizerSettings):
    """Nothing to choose but what every quantizer shares."""


class Nearest(QuantizationMethod):
    """The grids are the same that every learned method starts from; so the difference is the learning."""

    card = MethodCard(
        name="nearest",
        title="Nearest rounding (control)",
        summary="Each weight goes to its nearest level. Instant, fine at 8 bits, and a cliff at 2.",
        paper="",
    )
    Settings = NearestSettings

    def reconstruct(self, *args: Any, **kwargs: Any) -> None:
        return None
