"""Which layers cost a run its answers: every layer in turn made float again, on several networks and bits.

Bundled networks rounded to nearest at few bits, and one with learned rounding. They are calibrated on real
images, as where images come from makes no difference to what an error of a layer costs.
"""

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine.run import new_recipe
from engine.run.folders.folder import RunFolder, write_atomically
from engine.run.folders.tail import follow
from engine.run.questions.costs import layer_costs
from engine.run.questions.costs.analyse import analyse
from engine.run.workers.launch import start

IMAGES = 400  # of the test images, judged once for each layer
CALIBRATION = 32
SUBJECTS = (  # network, quantizer, bits of weights and inputs
    ("resnet20-fashion", "nearest", 2, 4),
    ("mobilenet-fashion", "nearest", 2, 4),
    ("vgg-fashion", "nearest", 2, 4),
    ("vgg-fashion", "nearest", 3, 4),
    ("resnet20-fashion", "nearest", 4, 4),
    ("preact-fashion", "nearest", 4, 4),
    ("resnet20-fashion", "quantoscope", 2, 4),
)


def outcomes(runs: Path, out: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Of every layer its own SQNR, and the share of answers that come back with it float.

    The file `out` is written anew after every run; begun again, what was finished is found among the runs.
    """
    result: dict[str, Any] = {
        "command": "python -m engine bench outcomes",
        "images": IMAGES,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "runs": [],
    }
    for model, quantization, weight_bits, activation_bits in SUBJECTS:
        recipe = new_recipe(
            model=model, synthesis="real", quantization=quantization, weight_bits=weight_bits,
            activation_bits=activation_bits, preset="quick", images=CALIBRATION,
        )  # fmt: skip
        folder = start(recipe, runs)
        for _ in follow(folder):
            pass
        result["runs"].append(outcome(folder))
        result["date"] = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        write_atomically(out, (json.dumps(result, indent=1) + "\n").encode())
        tell(f"{recipe.model} {recipe.quantization} W{recipe.weight_bits}A{recipe.activation_bits}")
    return result


def outcome(folder: RunFolder) -> dict[str, Any]:
    """One run's layers in the file's words; they are judged now where they were not before."""
    costs = layer_costs.kept(folder) or analyse(folder, IMAGES)
    told = folder.result() or {}
    sqnr = {layer["path"]: layer.get("sqnr_local_db") for layer in told["layers"]}
    recipe = folder.recipe
    return {
        "model": recipe.model,
        "quantization": recipe.quantization,
        "bits": f"W{recipe.weight_bits}A{recipe.activation_bits}",
        "float_top1": told["fp32_top1"],
        "top1": told["quantized_top1"],
        "images": costs["images"],
        "layers": [
            {
                "path": layer["path"],
                "sqnr_db": sqnr[layer["path"]],
                "agreement_gain": layer["agreement_gain"],
                "low": layer["agreement_gain_low"],
                "high": layer["agreement_gain_high"],
            }
            for layer in costs["layers"]
            if sqnr.get(layer["path"]) is not None
        ],
    }
