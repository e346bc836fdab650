"""A claim about quantizers: that one student loses less than another, its control."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from engine.run.benches.effects.quantizers.matching import Match
from engine.run.benches.effects.quantizers.second_networks import PLACES
from engine.run.benches.effects.quantizers.setup import NO_IMAGES, Setup
from engine.run.benches.effects.quantizers.students import SETUPS

METRICS: Mapping[
    str, tuple[str, str]
] = {  # a number of a run's result (or of NUMBERS), and what it is
    "kl": ("logit_kl", "KL from the teacher, nats"),
    "sqnr": ("output_sqnr_db", "SQNR of the output, dB"),
    "top1": ("quantized_top1", "top-1"),
    "huffman": ("storage:huffman", "bytes of all codes, in a file that was written"),
    "packed": ("storage:packed", "bytes of codes packed, as many bits for each"),
    "sparse": ("storage:sparse", "bytes of all codes, in a file that was written"),
    "bound": ("storage:bound", "bytes at the entropy and a bit a code"),
    "chain-cosine": (
        "similarity:chain",
        "lowest cosine of a layer with itself, channels rescaled at random",
    ),
    "raw-cosine": ("similarity:raw", "the same without chain normalization"),
}


def as_told(match: Match) -> dict[str, Any]:
    """What is searched, as a file has it."""
    return asdict(match) | {"between": list(match.between)}


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
    against: str = ""  # the control's metric, where both numbers are of one run
    titles: tuple[str, str] | None = None  # of method and baseline, where the setups' do not say it
    match: Match | None = None  # what of the control is searched, so that it is alike in a number
    place: str = ""  # another network than the setups' own, by its name among PLACES

    def on(self, place: str) -> "QuantizerClaim":
        """The same claim on another network; nothing is asserted there."""
        says = f"{self.says.removesuffix('.')}, {PLACES[place].words}."
        return replace(self, name=f"{self.name}-{place}", says=says, place=place, asserted=False)

    @property
    def sides(self) -> dict[str, Setup]:
        """Method and baseline as they are run, on the claim's own network."""
        names = {"method": self.method, "baseline": self.baseline}
        return {side: self._there(SETUPS[name]) for side, name in names.items()}

    def _there(self, one: Setup) -> Setup:
        """The setup on the claim's network. Where no image counts, none is made for it there."""
        if not self.place:
            return one
        changed = PLACES[self.place].setup()
        kept = {"synthesis": NO_IMAGES, "needs": ""} if one.synthesis == NO_IMAGES else {}
        return replace(one, **(changed | kept))

    @property
    def needs(self) -> str:
        """Whose images both sides are judged on, where none come with the network."""
        return self.sides["method"].needs

    @property
    def network(self) -> str:
        return self.sides["method"].network

    @property
    def of(self) -> str:
        """What is measured, in words."""
        one = self.sides["method"]
        where = f", on {one.needs}" if one.needs else ""
        return f"W{one.weight_bits}A{one.activation_bits}: {METRICS[self.metric][1]}{where}"

    def words(self) -> dict[str, str]:
        """What a page writes of it."""
        method, baseline = self.titles or (SETUPS[self.method].title, SETUPS[self.baseline].title)
        return {
            "says": self.says,
            "of": self.of,
            "method_title": method,
            "baseline_title": baseline,
        }

    def compared(self) -> dict[str, Any]:
        """What a measurement is of: a file's numbers are of today's claim where this is the same."""
        sides = self.sides
        return {
            "method": self.method,
            "baseline": self.baseline,
            "differs": list(self.differs),
            "metric": self.metric,
            **({"against": self.against} if self.against else {}),
            **({"match": as_told(self.match)} if self.match else {}),
            "lower": self.lower,
            "network": self.network,
            "settings": {side: dict(one.settings) for side, one in sides.items()},
            "bits": {side: [one.weight_bits, one.activation_bits] for side, one in sides.items()},
        }
