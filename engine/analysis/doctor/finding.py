"""A finding about a finished run: what is wrong, where, how bad, and the change that would help.

Severities: `red` (most of the loss, or no result can be trusted), `yellow` (a part of it), `note`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SEVERITIES = ("red", "yellow", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to run instead, in the recipe's own terms; what is empty stays as it is."""

    words: str
    weight_bits: Mapping[str, int] = field(default_factory=dict)  # by layer
    activation_bits: Mapping[str, int] = field(default_factory=dict)
    synthesis: str = ""
    quantization: str = ""
    quantization_settings: Mapping[str, Any] = field(default_factory=dict)
    synthesis_settings: Mapping[str, Any] = field(default_factory=dict)
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    images: int = 0
    leave_out: tuple[int, ...] = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Change":
        """The change again from what `Finding.plain` says of it."""
        return cls(**{**plain, "leave_out": tuple(plain["leave_out"])})

    @property
    def same_images(self) -> bool:
        """Whether the run's own images serve again."""
        return not (self.synthesis or self.synthesis_settings or self.model_settings or self.images)

    @property
    def only_bits(self) -> bool:
        """Whether nothing but bits of layers differ."""
        others = (self.quantization, self.quantization_settings, self.leave_out)
        return self.same_images and not any(others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found. Gains are in `unit`; `band` is their 95 % band, None where it is not known."""

    cause: str  # a sentence
    severity: str
    evidence: Mapping[str, Any]  # numbers and short lists by name: what a chart draws
    layer: str = ""  # the layer (or BatchNorm); "" where it is the whole network or the images
    change: Change | None = None
    sure: bool = False  # its severity does not hang on what the change gains
    hurts: str = ""  # the layer where a sure cause shows, as what other rules find there
    wide: bool = False  # the change is bought for many layers: a remedy more than a cause
    predicted_gain: float | None = None
    band: tuple[float, float] | None = None
    unit: str = ""  # "KL" (nats), "dB of the outputs", "dB of the layer", "top1"
    rule: str = ""
    title: str = ""
    source: str = ""

    def plain(self) -> dict[str, Any]:
        """As numbers, words and lists, for JSON."""
        told = asdict(self)
        told["band"] = None if self.band is None else list(self.band)
        if self.change is not None:
            told["change"]["leave_out"] = list(self.change.leave_out)
        return told
