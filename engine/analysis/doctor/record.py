"""A finished run as plain numbers: all that rules read. Gathered once, from the run and its images.

Decibels are signal to noise. Ranges are of absolute values. What a run does not tell is None, or empty.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

# A loss below is healthy, whatever takes some of it away (our own line): nats; noise over signal of outputs.
SICK = {"KL": 0.05, "dB": 0.01}
BIT_DB = 6.02  # of one more bit on a uniform grid that clips nothing: 20 log10 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What a layer's grid is handed in the student, over the images that grids are fitted to."""

    owner: str  # who has the grid: the layer, or its block for several readers
    bits: int
    low: float  # the ends of the grid
    high: float
    least: float  # the smallest and largest value that came
    largest: float
    clipped: float  # share of the values beyond the grid's ends
    sqnr_db: float  # of the input itself on its grid
    by_rule: Mapping[
        str, float
    ]  # the same in dB on a grid fitted anew, by range rule, at the same bits
    channels: np.ndarray  # [c]: the largest of each input channel
    images: np.ndarray  # [n]: the largest of each image
    wild: "Wild | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wild:
    """A grid fitted again without the images that reach far beyond the others."""

    images: tuple[int, ...]
    step_ratio: float  # the step with them over that without
    gain_db: float  # of the other images on the finer grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Norm:
    """A BatchNorm, as stored."""

    path: str
    variance: np.ndarray  # [c]
    gamma: np.ndarray  # [c]
    seen: np.ndarray  # [c]: the standard deviation that the images have there in the teacher
    eps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Branches that are added or put side by side before a layer reads them."""

    kind: str  # "addition" or "concatenation"
    sizes: Mapping[
        str, float
    ]  # root mean square of each, by the layer it comes from; "": the image


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One quantized layer, in order of execution."""

    path: str
    kind: str  # conv, depthwise, grouped, pointwise or linear
    weight_bits: int
    activation_bits: int | None  # None: its input is not quantized
    columns: (
        np.ndarray
    )  # [in]: the largest weight of each input channel; one alone in a depthwise layer
    rows: np.ndarray  # [out]: of each output channel
    sqnr_db: float | None = None  # of its output, it alone quantized, as the run measured it
    weights_db: float | None = None  # by its weights alone
    inputs_db: float | None = None  # by its input alone
    edge: str = ""  # "first", "last"
    writer: str = (
        ""  # the layer before, where cross-layer equalisation can move ranges between the two
    )
    ratio: float = 1.0  # of largest to smallest range of a channel between that and this
    norm: Norm | None = None  # directly behind it
    norm_before: Norm | None = None  # before it, where no layer stands directly before that one
    input: Input | None = None
    meeting: Meeting | None = None  # of branches, which it reads
    float_gain: float | None = None  # KL that goes away when it alone is left in float

    @property
    def fewest_bits(self) -> int:
        """Of its weights or its input, whichever has fewer; of its weights where its input is a float."""
        return min(self.weight_bits, self.activation_bits or self.weight_bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """What the run was calibrated on."""

    count: int
    synthesis: str
    made: bool  # of nothing, so that more can be had
    optimised: bool  # by steps, not drawn
    steps: int
    sizes: np.ndarray  # [n]: root mean square of each, normalised
    alike: float | None = None  # mean cosine of two images' features
    distance: float | None = None  # from BatchNorm's stored means, in stored standard deviations
    classes_seen: float | None = None  # how many classes the teacher sees, by entropy
    classes: int  # of the network; 0 where it is no classifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """How real images meet the first BatchNorm, see engine.analysis.inputs.normalisation."""

    stem: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    std_ratio: float
    mean_shift: float
    distance: float  # 1: clearly off
    near: bool
    images: int
    better: str = ""  # the name of a usual normalisation that meets it
    better_mean: tuple[float, ...] = ()
    better_std: tuple[float, ...] = ()
    better_distance: float = np.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What quantization cost, on the images that the doctor looks at."""

    value: float  # KL in nats, else noise over signal of the outputs
    unit: str  # "KL", or "dB" where the outputs are no scores of classes
    images: int
    agreement: float | None = None

    @property
    def words(self) -> str:
        """The loss as a sentence has it."""
        if self.unit == "KL":
            return f"a KL of {self.value:.2g}"
        return f"{100 * self.value:.2g} % of the outputs' signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run, as far as rules need it."""

    run: str
    quantization: str
    learns: bool  # its quantizer takes steps
    settings: Mapping[str, object]  # of the quantizer, which it has
    layers: tuple[Layer, ...]
    images: Images
    loss: Loss
    fed: Fed | None = None
    nearest_gain: float | None = (
        None  # what nearest rounding is better by: nats, else dB of the outputs
    )
    nearest_band: tuple[float, float] | None = None
    not_finite: tuple[str, ...] = field(default=())  # layers, the first first
    failed: str = ""  # the message of a run that broke


def layer_gain(layer: Layer, *, weights: float = 0.0, inputs: float = 0.0) -> float | None:
    """By how many dB the layer's output gets better when its weights or input do by so many.

    The two noises are taken as independent, so that their powers add. None where the run did not measure.
    """
    if layer.sqnr_db is None or layer.weights_db is None:
        return None
    noises = [(layer.weights_db, weights)]
    noises += [] if layer.inputs_db is None else [(layer.inputs_db, inputs)]
    now = sum(10 ** (-db / 10) for db, _ in noises)
    then = sum(10 ** (-(db + more) / 10) for db, more in noises)
    return 10 * math.log10(now / then)
