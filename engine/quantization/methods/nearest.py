"""Control: every weight to its nearest level, on grids searched for the smallest error. No training."""

from dataclasses import dataclass
from typing import Any

from engine.core.method import MethodCard, Settings
from engine.quantization.base import QuantizationMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestSettings(Settings):
    """Nothing to choose."""


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
