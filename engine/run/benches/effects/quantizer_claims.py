"""What the papers claim of their quantizers, as plain data: students, and in what they should differ.

The rules are those of the images' claims (image_claims.py): a method and its control learn from the same
images and differ in the idea alone; what one of them has no setting for apart, all shared settings are
equal. Both are judged on real images that neither has seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RESNET, MOBILENET, REPVGG = "resnet20-fashion", "mobilenet-fashion", "repvgg-fashion"
FUSED: dict[str, Any] = {  # has no BatchNorm left that images could be made from
    "network": REPVGG, "network_settings": {"form": "fused"}, "synthesis": "gzsq",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a student is made: a quantizer, its bits, and its settings where they differ from the preset's."""

    title: str
    quantization: str
    weight_bits: int
    activation_bits: int = 8
    settings: Mapping[str, Any] = field(default_factory=dict)
    network: str = RESNET
    network_settings: Mapping[str, Any] = field(default_factory=dict)
    synthesis: str = "genie"  # what makes the images that it learns from


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


METRICS: Mapping[str, tuple[str, str]] = {  # a number of a run's result, and what it is
    "kl": ("logit_kl", "KL divergence of teacher and student on real test images, nats"),
    "top1": ("quantized_top1", "top-1 on real test images"),
}
_DELTA = {"batchnorm": "delta"}
_NONE = {"batchnorm": "none"}

SETUPS: Mapping[str, Setup] = {
    "nearest-w3": Setup(title="Nearest", quantization="nearest", weight_bits=3, settings=_NONE),
    "nearest-w3-corrected": Setup(
        title="Nearest, BatchNorm corrected", quantization="nearest", weight_bits=3, settings=_DELTA
    ),
    "gpfq": Setup(title="GPFQ", quantization="gpfq", weight_bits=3, settings=_NONE),
    "hessian": Setup(
        title="Hessian compensation", quantization="hessian", weight_bits=3, settings=_NONE
    ),
    "adaround": Setup(title="AdaRound", quantization="adaround", weight_bits=3, settings=_NONE),
    "lq-nets": Setup(title="LQ-Nets", quantization="lq-nets", weight_bits=3),
    "lq-nets-even": Setup(
        title="LQ-Nets, even levels", quantization="lq-nets", weight_bits=3,
        settings={"turns": 0, "activations": "even"},
    ),
    "std-based": Setup(title="Std-based", quantization="std-based", weight_bits=3),
    "vertical": Setup(title="One code for 2 to 8 bits", quantization="vertical", weight_bits=4),
    "vertical-own": Setup(
        title="A code for 4 bits alone", quantization="vertical", weight_bits=4,
        settings={"lowest": 4, "highest": 4},
    ),
    "vertical-trained": Setup(
        title="One code, trained for all", quantization="vertical", weight_bits=4,
        settings={"steps": 150},
    ),
    "sharing": Setup(
        title="Shared values that learn", quantization="sharing", weight_bits=2,
        settings={"pruned": 0.5},
    ),
    "sharing-off": Setup(
        title="Shared values as found", quantization="sharing", weight_bits=2,
        settings={"pruned": 0.5, "steps": 0},
    ),
    "mixed": Setup(title="Mixed precision", quantization="mixed", weight_bits=3, settings=_NONE),
    "slb": Setup(title="SLB", quantization="slb", weight_bits=2, settings=_DELTA),
    "slb-soft": Setup(
        title="SLB, never sharpened", quantization="slb", weight_bits=2,
        settings=_DELTA | {"hottest": 1.0},
    ),
    "adaround-w2": Setup(
        title="AdaRound", quantization="adaround", weight_bits=2, settings=_DELTA | {"steps": 120}
    ),
    "brecq": Setup(
        title="BRECQ", quantization="brecq", weight_bits=2,
        settings=_DELTA | {"steps": 120, "activation_zero": "none"},
    ),
    "qdrop": Setup(title="QDrop", quantization="qdrop", weight_bits=2, activation_bits=4),
    "qdrop-off": Setup(
        title="QDrop without dropping", quantization="qdrop", weight_bits=2, activation_bits=4,
        settings={"keep_float": 0.0},
    ),
    "genie-m": Setup(title="GENIE-M", quantization="genie-m", weight_bits=2, activation_bits=4),
    "genie-m-off": Setup(
        title="GENIE-M, steps kept", quantization="genie-m", weight_bits=2, activation_bits=4,
        settings={"lr_weight_step": 0.0},
    ),
    "pd-quant": Setup(title="PD-Quant", quantization="pd-quant", weight_bits=2, activation_bits=4),
    "pd-quant-off": Setup(
        title="PD-Quant without the prediction", quantization="pd-quant", weight_bits=2,
        activation_bits=4, settings={"prediction_weight": 0.0},
    ),
    "aquant": Setup(title="AQuant", quantization="aquant", weight_bits=2, activation_bits=4),
    "aquant-off": Setup(
        title="AQuant, borders in the middle", quantization="aquant", weight_bits=2, activation_bits=4,
        settings={"lr_border": 0.0},
    ),
    "gradient-l1": Setup(title="Gradient-l1", quantization="gradient-l1", weight_bits=3),
    "gradient-l1-off": Setup(
        title="As long a training without it", quantization="gradient-l1", weight_bits=3,
        settings={"gradient_weight": 0.0},
    ),
    "factorization": Setup(title="Factors found as codes", quantization="factorization", weight_bits=4),
    "factorization-off": Setup(
        title="Factors found in floats, then rounded", quantization="factorization", weight_bits=4,
        settings={"aware": False},
    ),
    "nearest-w4-corrected": Setup(
        title="Nearest at as many bytes", quantization="nearest", weight_bits=4, settings=_DELTA
    ),
    "cfws": Setup(
        title="CFWS", quantization="cfws", weight_bits=4, **FUSED
    ),
    "cfws-off": Setup(
        title="CFWS without the split", quantization="cfws", weight_bits=4,
        settings={"split": "none"}, **FUSED,
    ),
    "cfws-w5": Setup(
        title="No split, 5 bits (more bytes)", quantization="cfws", weight_bits=5, settings={"split": "none"},
        **FUSED,
    ),
    "zero-point": Setup(
        title="Zero point searched", quantization="nearest", weight_bits=4, activation_bits=4,
        network=MOBILENET, settings=_DELTA | {"activation_zero": "searched"},
    ),
    "zero-point-off": Setup(
        title="Zero at 0", quantization="nearest", weight_bits=4, activation_bits=4,
        network=MOBILENET, settings=_DELTA | {"activation_zero": "none"},
    ),
}  # fmt: skip

QUANTIZER_CLAIMS = (
    QuantizerClaim(
        name="gpfq", says="GPFQ, weight after weight along the path, loses less than rounding to nearest.",
        method="gpfq", baseline="nearest-w3", differs=("quantization",), asserted=True,
    ),
    QuantizerClaim(
        name="hessian", says="Errors that later weights compensate cost less than rounding to nearest.",
        method="hessian", baseline="nearest-w3", differs=("quantization",), asserted=True,
    ),
    QuantizerClaim(
        name="adaround", says="A rounding that is learned loses less than rounding to nearest.",
        method="adaround", baseline="nearest-w3", differs=("quantization",), asserted=True,
    ),
    QuantizerClaim(
        name="lq-nets", says="Learned uneven levels lose less than even ones of the same number.",
        method="lq-nets", baseline="lq-nets-even", differs=("turns", "activations"), asserted=True,
    ),
    QuantizerClaim(
        name="mixed", says="Bits dealt by sensitivity lose less than the same bits everywhere.",
        method="mixed", baseline="nearest-w3", differs=("quantization",), asserted=True,
    ),
    QuantizerClaim(
        name="cfws", says="Splitting the kernels' wide centre off saves a fused network at few bits.",
        method="cfws", baseline="cfws-off", differs=("split",), asserted=True,
    ),
    QuantizerClaim(
        name="cfws-bytes", says="The split at 4 bits loses less than 5 bits without it, in fewer bytes.",
        method="cfws", baseline="cfws-w5", differs=("split", "weight_bits"),
    ),
    QuantizerClaim(
        name="factorization", says="Factors found as codes lose less than found in floats and then rounded.",
        method="factorization", baseline="factorization-off", differs=("aware",), asserted=True,
    ),
    QuantizerClaim(
        name="factorization-bytes", says="Quantized factors lose less than plain codes of as many bytes.",
        method="factorization", baseline="nearest-w4-corrected", differs=("quantization",),
    ),
    QuantizerClaim(
        name="std-based", says="An interval in standard deviations serves as well as a searched range.",
        method="std-based", baseline="nearest-w3-corrected", differs=("quantization",),
    ),
    QuantizerClaim(
        name="vertical", says="One code for all precisions serves 4 bits as well as a code of their own.",
        method="vertical", baseline="vertical-own", differs=("lowest", "highest"),
    ),
    QuantizerClaim(
        name="vertical-trained", says="A training for all precisions makes the one code serve 4 bits better.",
        method="vertical-trained", baseline="vertical", differs=("steps",), asserted=True,
    ),
    QuantizerClaim(
        name="sharing", says="Shared values that learn of the teacher serve better than means of weights.",
        method="sharing", baseline="sharing-off", differs=("steps",), asserted=True,
    ),
    QuantizerClaim(
        name="slb", says="A temperature that sharpens decides better than soft levels cut at the end.",
        method="slb", baseline="slb-soft", differs=("hottest",), asserted=True,
    ),
    QuantizerClaim(
        name="slb-adaround", says="Weights that choose among four levels end better than between two.",
        method="slb", baseline="adaround-w2", differs=("quantization",),
    ),
    QuantizerClaim(
        name="brecq", says="Roundings learned for a block's output end better than layer by layer.",
        method="brecq", baseline="adaround-w2", differs=("quantization",), asserted=True,
    ),
    QuantizerClaim(
        name="qdrop", says="Dropping the activations' quantization at random ends better.",
        method="qdrop", baseline="qdrop-off", differs=("keep_float",),
    ),
    QuantizerClaim(
        name="genie-m", says="Step sizes that are learned with the rounding end better.",
        method="genie-m", baseline="genie-m-off", differs=("lr_weight_step",),
    ),
    QuantizerClaim(
        name="pd-quant", says="To look at the network's answer beside the block's output ends better.",
        method="pd-quant", baseline="pd-quant-off", differs=("prediction_weight",),
    ),
    QuantizerClaim(
        name="aquant", says="Borders that are learned for the activations' rounding end better.",
        method="aquant", baseline="aquant-off", differs=("lr_border",),
    ),
    QuantizerClaim(
        name="gradient-l1", says="Weights trained to lie where the loss is flat bear rounding better.",
        method="gradient-l1", baseline="gradient-l1-off", differs=("gradient_weight",),
    ),
    QuantizerClaim(
        name="zero-point", says="A zero point that is searched serves inputs of both signs better.",
        method="zero-point", baseline="zero-point-off", differs=("activation_zero",),
    ),
)  # fmt: skip
