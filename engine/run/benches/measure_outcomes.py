"""Which layers cost a run its answers: every layer in turn made float again, on several networks and bits.

The five bundled networks, rounded to nearest at few bits, and two of them with learned rounding. They are
calibrated on real images, as the images make no difference to what an error of a layer costs.
"""

import json
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from engine.run import new_recipe
from engine.run.folders.folder import RunFolder, write_atomically
from engine.run.folders.tail import follow
from engine.run.questions import layer_costs
from engine.run.questions.analyse import analyse
from engine.run.workers.launch import start

IMAGES = 400  # of the test images, judged once for each layer
CALIBRATION = 32
NETWORKS = (
    "resnet20-fashion",
    "mobilenet-fashion",
    "vgg-fashion",
    "preact-fashion",
    "repvgg-fashion",
)
LEARNED = ("resnet20-fashion", "mobilenet-fashion")
NEAREST_BITS, LEARNED_BITS = ((2, 4), (4, 4), (3, 4)), ((2, 4), (4, 4))


def subjects() -> Iterator[dict[str, Any]]:
    """What each run differs in, the ones that tell most first."""
    for quantization, every, networks in (
        ("nearest", NEAREST_BITS, NETWORKS), ("quantoscope", LEARNED_BITS, LEARNED),
    ):  # fmt: skip
        for weight_bits, activation_bits in every:
            for model in networks:
                yield {
                    "model": model, "quantization": quantization, "weight_bits": weight_bits,
                    "activation_bits": activation_bits,
                }  # fmt: skip


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
    for subject in subjects():
        recipe = new_recipe(synthesis="real", preset="quick", images=CALIBRATION, **subject)
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
