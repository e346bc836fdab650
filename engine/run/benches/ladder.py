"""The rungs from GENIE-M as released to the quantizer `quantoscope`, and what was measured of them.

A file of plain numbers, without torch, for pages too; `ablation.py` beside this file measures it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.core import percent as shares

FILE = "ablation.json"  # in the runs folder, or shipped among the assets
CONTROL = "nearest rounding"
OWN = "BatchNorm corrected (quantoscope)"
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
    OWN: {"batchnorm": "delta"},
    "mirrored images too": {"mirror": True},
}  # fmt: skip


def rows_of(result: Mapping[str, Any]) -> list[list[str]]:
    """The file's table for a person: a heading, and of each network every rung's top-1, seed by seed."""
    seeds = result["seeds"]
    head = ["network", "rung", *(f"seed {seed}" for seed in seeds), "mean"]
    return [head] + [
        [network["title"], rung, *map(percent, tops), percent(mean_of(tops))]
        for network in result["networks"]
        for rung, tops in network["top1"].items()
    ]


def percent(share: float | None) -> str:
    """For example "90.4 %"; a dash where nothing was measured."""
    return "–" if share is None else shares.percent(share)


def mean_of(tops: Sequence[float | None]) -> float | None:
    """The mean of those seeds that were measured; None where there is none."""
    known = [top for top in tops if top is not None]
    return math.fsum(known) / len(known) if known else None


def read(folder: Path) -> dict[str, Any] | None:
    """The file in this folder; None where it is missing or is not one."""
    try:
        result: dict[str, Any] = json.loads((folder / FILE).read_text())
        whole = all(_whole(network, len(result["seeds"])) for network in result["networks"])
        needed = all(key in result for key in ("date", "command", "bits", "versions"))
        return result if whole and needed and result["networks"] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _whole(network: dict[str, Any], seeds: int) -> bool:
    every = [
        network["float"],
        *network["band"],
        *(top for tops in network["top1"].values() for top in tops),
    ]
    counted = all(len(tops) == seeds for tops in network["top1"].values())
    return (
        counted
        and {"title", "test_images"} <= network.keys()
        and all(t is None or 0 <= t <= 1 for t in every)
    )
