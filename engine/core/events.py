"""What a run reports, as one small frozen class per kind; written as one JSON object a line.

Arrays of pixels or weights never travel in an event: a snapshot is a file that an event names.
"""

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened in a run."""

    kind: ClassVar[str] = ""
    time_s: float = field(default_factory=time.time)  # seconds since 1970

    def to_json(self) -> str:
        """The event on one line, without a line break."""
        return json.dumps({"kind": self.kind, **asdict(self)}, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A worker took the run up; `resumed` when it continues from a checkpoint."""

    kind: ClassVar[str] = "run-started"
    device: str
    threads: int
    versions: dict[str, str]
    bn_layers: list[str]  # paths, in order of execution
    blocks: list[dict[str, Any]]  # name, layers, traced
    layers: list[dict[str, Any]]  # path, kind, shape, parameters, bits, block
    resumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(Event):
    """A stage (synthesis, quantization, evaluation) began; `total_steps` over the whole stage."""

    kind: ClassVar[str] = "stage-started"
    stage: str
    total_steps: int
    reused_from: str = ""  # the run that had done it before: its events are told again
    gap_by: str = (
        ""  # of a synthesis, what a BatchNorm gap is divided by: "channel"; "": the layer, older
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockStarted(Event):
    """The reconstruction of one block began."""

    kind: ClassVar[str] = "block-started"
    block: str
    index: int
    total_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped(Event):
    """One optimisation step, thinned to a few a second; `step` counts from 1 over the whole stage."""

    kind: ClassVar[str] = "stepped"
    stage: str
    part: str  # which batch of images, or which block
    step: int
    losses: dict[str, float]
    values: dict[str, float] = field(default_factory=dict)
    bn_gap: list[float] | None = None  # per BatchNorm layer, in the order of RunStarted.bn_layers


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSaved(Event):
    """A file in the run's `snapshots/` folder: `name` says what it is."""

    kind: ClassVar[str] = "snapshot-saved"
    stage: str
    step: int
    name: str  # "images" (a WebP montage), "channels", "target" or "image-statistics" (arrays, npz)
    file: str
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BitsChosen(Event):
    """Each layer's bits were chosen by measuring; `report` has the table, the front and the budget."""

    kind: ClassVar[str] = "bits-chosen"
    weight_bits: dict[str, int]  # by path, every layer
    report: dict[str, Any]
    activation_bits: dict[str, int | None] = field(default_factory=dict)  # the same, of its input


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMeasured(Event):
    """The errors of one quantized layer, after its block is done."""

    kind: ClassVar[str] = "layer-measured"
    path: str
    block: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed(Event):
    """A look inside a quantizer (see engine.core.method.View): at most a few hundred numbers."""

    kind: ClassVar[str] = "viewed"
    stage: str
    part: str  # the block
    step: int  # over the whole stage, as in Stepped
    form: str  # "soft-rounding", "path", "levels", "borders" or "codes"
    what: str  # the block or layer that is seen
    arrays: dict[str, list[float | None]]
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished(Event):
    """A stage ended; `seconds` is time at work, pauses left out: 0 where another run's was reused.

    What it had cost there is the value `reused_s`.
    """

    kind: ClassVar[str] = "stage-finished"
    stage: str
    seconds: float
    reused_from: str = ""
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Event):
    """The run is now queued, running or paused, or ended by being cancelled."""

    kind: ClassVar[str] = "state-changed"
    state: str
    detail: str = ""  # of a queued one: its place, and behind which run


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """Something the user should know: what was left out, what stays float and why."""

    kind: ClassVar[str] = "noted"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The run ended well; `result` is what the command line prints."""

    kind: ClassVar[str] = "run-finished"
    result: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(Event):
    """The run broke; `advice` is the way out."""

    kind: ClassVar[str] = "run-failed"
    message: str
    advice: str
    mistake: bool = False  # the user's: another recipe would have worked


KINDS: dict[str, type[Event]] = {cls.kind: cls for cls in Event.__subclasses__()}


def from_json(line: str | bytes) -> Event | None:
    """The event on a line, or None where the line is torn or its kind is of a newer version."""
    try:
        fields = json.loads(line)
        return KINDS[fields.pop("kind")](**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
