"""The students that the claims of quantizers compare, as plain data."""

from collections.abc import Mapping
from typing import Any

from engine.run.benches.effects.quantizers.setup import (
    BINARY,
    ENLARGING,
    FUSED,
    MOBILENET,
    NO_IMAGES,
    STRESSED,
    TRANSFORMER,
    WITHOUT_BATCHNORM,
    Setup,
)

_DELTA = {"batchnorm": "delta"}
_FLOAT_INPUTS: dict[str, Any] = {  # of the binary test bed: what no bits of the recipe say
    "bits": {
        "activation_bits": dict.fromkeys(
            (
                "features.0.3",
                "features.1.0",
                "features.1.3",
                "features.2.0",
                "features.2.3",
                "classifier",
            ),
            32,
        )
    }
}
_NONE = {"batchnorm": "none"}

SETUPS: Mapping[str, Setup] = {
    "nearest-w3": Setup(title="Nearest", quantization="nearest", weight_bits=3, settings=_NONE),
    "nearest-w3-corrected": Setup(
        title="Nearest, BatchNorm corrected", quantization="nearest", weight_bits=3, settings=_DELTA
    ),
    "gpfq": Setup(
        title="GPFQ on the same grid", quantization="gpfq", weight_bits=3,
        settings=_NONE | {"alphabet": "grid"},
    ),
    "gpfq-own": Setup(title="GPFQ", quantization="gpfq", weight_bits=3, settings=_NONE),
    "hessian": Setup(title="Hessian compensation", quantization="hessian", weight_bits=3, settings=_NONE),
    "adaround": Setup(title="AdaRound", quantization="adaround", weight_bits=3, settings=_NONE),
    "lq-nets": Setup(title="LQ-Nets", quantization="lq-nets", weight_bits=3),
    "lq-nets-even": Setup(
        title="LQ-Nets, even levels", quantization="lq-nets", weight_bits=3,
        settings={"turns": 0, "activations": "even"},
    ),
    "std-based": Setup(title="Std-based", quantization="std-based", weight_bits=3),
    "std-based-pruned": Setup(
        title="Std-based, half pruned", quantization="std-based", weight_bits=4,
        settings={"pruned": 0.5},
    ),
    "std-based-by-size": Setup(
        title="The smaller half pruned first", quantization="std-based", weight_bits=4,
        settings={"pruned": 0.5, "prune_by": "size"},
    ),
    "vertical": Setup(title="One code for 2 to 8 bits", quantization="vertical", weight_bits=4),
    "vertical-own": Setup(
        title="A code for 4 bits alone", quantization="vertical", weight_bits=4,
        settings={"lowest": 4, "highest": 4},
    ),
    **{
        f"vertical-w{bits}": Setup(
            title="One code for 2 to 8 bits", quantization="vertical", weight_bits=bits
        )
        for bits in (3, 6, 8)
    },
    **{
        f"vertical-own-w{bits}": Setup(
            title=f"A code for {bits} bits alone", quantization="vertical", weight_bits=bits,
            settings={"lowest": bits, "highest": bits},
        )
        for bits in (2, 3, 6, 8)
    },
    "vertical-trained": Setup(
        title="One code, trained for all", quantization="vertical", weight_bits=4,
        settings={"steps": 150},
    ),
    "vertical-w2": Setup(title="One code, not trained", quantization="vertical", weight_bits=2),
    "vertical-w2-trained": Setup(
        title="One code, trained for all", quantization="vertical", weight_bits=2,
        settings={"steps": 150},
    ),
    **{
        name: Setup(title=title, quantization="sharing", weight_bits=2, settings={"pruned": 0.5, "steps": n})
        for name, title, n in (
            ("sharing", "Shared values that learn", 150), ("sharing-off", "Shared values as found", 0),
        )
    },
    **{  # no training: the weights alone count, whatever the images
        name: Setup(title=title, quantization="sharing", weight_bits=4, synthesis=NO_IMAGES, settings=chosen)
        for name, title, chosen in (
            ("hac", "Half pruned, 16 values shared", {"pruned": 0.5, "steps": 0}),
            ("shac", "95 of 100 pruned, 16 values shared", {"pruned": 0.95, "steps": 0}),
        )
    },
    "nearest-noise": Setup(title="Nearest", quantization="nearest", weight_bits=3, synthesis=NO_IMAGES),
    "pwfn": Setup(title="PWFN", quantization="pwfn", weight_bits=4),
    "pwfn-constant": Setup(
        title="PWFN, one spread for all", quantization="pwfn", weight_bits=4,
        settings={"spread": "constant"},
    ),
    "pwfn-constant-w5": Setup(
        title="PWFN, one spread for all, 5 bits", quantization="pwfn", weight_bits=5,
        settings={"spread": "constant"},
    ),
    "bitat": Setup(title="BiTAT", quantization="bitat", weight_bits=2),
    "bitat-magnitude": Setup(
        title="Largest weights first", quantization="bitat", weight_bits=2,
        settings={"order": "magnitude"},
    ),
    "bitat-random": Setup(
        title="Any order", quantization="bitat", weight_bits=2, settings={"order": "random"}
    ),
    "bitat-w1": Setup(title="BiTAT", quantization="bitat", weight_bits=1, network=BINARY),
    "bitat-w1-magnitude": Setup(
        title="Largest weights first", quantization="bitat", weight_bits=1, network=BINARY,
        settings={"order": "magnitude"},
    ),
    "bitat-w1-random": Setup(
        title="Any order", quantization="bitat", weight_bits=1, network=BINARY,
        settings={"order": "random"},
    ),
    "dir-net": Setup(title="DIR-Net", quantization="dir-net", weight_bits=1, network=BINARY),
    "dir-net-plain": Setup(
        title="Straight-through gradient", quantization="dir-net", weight_bits=1, network=BINARY,
        settings={"estimator": "straight-through"},
    ),
    "dir-net-a32": Setup(
        title="DIR-Net", quantization="dir-net", weight_bits=1, activation_bits=32, network=BINARY,
        settings=_FLOAT_INPUTS,
    ),
    "dir-net-a32-plain": Setup(
        title="Straight-through gradient", quantization="dir-net", weight_bits=1, activation_bits=32,
        network=BINARY, settings=_FLOAT_INPUTS | {"estimator": "straight-through"},
    ),
    "dir-net-a2": Setup(
        title="DIR-Net", quantization="dir-net", weight_bits=1, activation_bits=2, network=BINARY
    ),
    "dir-net-a2-plain": Setup(
        title="Straight-through gradient", quantization="dir-net", weight_bits=1, activation_bits=2,
        network=BINARY, settings={"estimator": "straight-through"},
    ),
    "dir-net-a1": Setup(
        title="DIR-Net", quantization="dir-net", weight_bits=1, activation_bits=1, network=BINARY
    ),
    "dir-net-a1-plain": Setup(
        title="Straight-through gradient", quantization="dir-net", weight_bits=1, activation_bits=1,
        network=BINARY, settings={"estimator": "straight-through"},
    ),
    "daq": Setup(
        title="DAQ", quantization="daq", weight_bits=4, activation_bits=4, network=ENLARGING,
        **WITHOUT_BATCHNORM,
    ),
    "daq-tensor": Setup(
        title="A grid for each image alone", quantization="daq", weight_bits=4, activation_bits=4,
        network=ENLARGING, synthesis="gzsq", settings={"grids": "tensor"},
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
    "factorization-tucker": Setup(
        title="Tucker's form", quantization="factorization", weight_bits=4, settings={"form": "tucker"}
    ),
    "factorization-off": Setup(
        title="Factors found in floats, then rounded", quantization="factorization", weight_bits=4,
        settings={"aware": False},
    ),
    "nearest-w4-corrected": Setup(
        title="Nearest at as many bytes", quantization="nearest", weight_bits=4, settings=_DELTA
    ),
    "cfws": Setup(title="CFWS", quantization="cfws", weight_bits=4, **FUSED),
    "cfws-off": Setup(
        title="CFWS without the split", quantization="cfws", weight_bits=4,
        settings={"split": "none"}, **FUSED,
    ),
    "cfws-w5": Setup(
        title="No split, 5 bits (more bytes)", quantization="cfws", weight_bits=5,
        settings={"split": "none"}, **FUSED,
    ),
    "cfws-stress": Setup(title="CFWS", quantization="cfws", weight_bits=4, **STRESSED),
    "cfws-stress-w5": Setup(
        title="No split, 5 bits (more bytes)", quantization="cfws", weight_bits=5, settings={"split": "none"},
        **STRESSED,
    ),
    "zero-point": Setup(
        title="Zero point searched", quantization="nearest", weight_bits=4, activation_bits=4,
        network=MOBILENET, settings=_DELTA | {"activation_zero": "searched"},
    ),
    "zero-point-off": Setup(
        title="Zero at 0", quantization="nearest", weight_bits=4, activation_bits=4,
        network=MOBILENET, settings=_DELTA | {"activation_zero": "none"},
    ),
    "zero-point-vit": Setup(
        title="Zero point searched", quantization="nearest", weight_bits=4, activation_bits=4,
        network=TRANSFORMER, synthesis="gzsq", settings=_NONE | {"activation_zero": "searched"},
    ),
    "zero-point-vit-off": Setup(
        title="Zero at 0", quantization="nearest", weight_bits=4, activation_bits=4,
        network=TRANSFORMER, synthesis="gzsq", settings=_NONE | {"activation_zero": "none"},
    ),
}  # fmt: skip
