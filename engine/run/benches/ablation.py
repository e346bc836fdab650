"""What each part of the `quantoscope` quantizer is worth: GENIE-M, changed in one thing after the other.

Weights of 2 bits, activations of 4, in the setting of the published figures (parity.py) and on the bundled
network: three networks, so that no part is chosen that only helps one.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.run.benches.parity import STEPS, cifar_network, results_of

LADDER: dict[str, dict[str, Any]] = {  # each on top of those before it
    "GENIE-M as released": {
        "step_rates": "absolute", "lr_activation_step": 4e-5, "lr_weight_step": 1e-4,
        "lr_rounding": 1e-3, "rounding_weight": 1.0,
    },
    "step sizes in proportion": {
        "step_rates": "relative", "lr_activation_step": 2e-3, "lr_weight_step": 5e-3,
    },
    "roundings learn faster": {"lr_rounding": 2e-2},
    "a milder regulariser": {"rounding_weight": 0.1},
    "BatchNorm corrected (quantoscope)": {"batchnorm": "delta"},
    "mirrored images too": {"mirror": True},
}  # fmt: skip
BITS = 2


def ablation(data: Path, runs: Path, seeds: Sequence[int] = (0, 1, 2)) -> dict[str, Any]:
    """Top-1 on each network, rung by rung, seed by seed; `data` as for parity."""
    folder = runs / "parity"
    networks = {f"resnet{depth}": cifar_network(data, folder, depth) for depth in (20, 56)}
    networks["resnet20-fashion"] = {"model": "resnet20-fashion"}
    found: dict[str, Any] = {}
    for name, network in networks.items():
        settings: dict[str, Any] = {"steps": STEPS}
        rungs: dict[str, tuple[str, dict[str, Any]]] = {"nearest": ("nearest", {})}
        for rung, change in LADDER.items():
            settings = settings | change
            rungs[rung] = ("genie-m", settings)
        for rung, (method, chosen) in rungs.items():
            results = results_of(network, method, chosen, BITS, folder / name, seeds)
            tops = [result["quantized_top1"] for result in results]
            found[f"{name}, {rung}"] = {"top1": tops, "mean": round(statistics.mean(tops), 4)}
    return found
