"""What each part of the `quantoscope` quantizer is worth: GENIE-M, changed in one thing after the other.

Weights of 2 bits, activations of 4, in the setting of the published figures (parity.py) and on the bundled
network: three networks, so that no part is chosen that only helps one.
"""

import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from engine.core.percent import percent
from engine.run.benches.ladder import CONTROL, LADDER
from engine.run.benches.parity import STEPS, cifar_network, results_of
from engine.run.folders.folder import write_atomically

BITS = 2
BUNDLED = "resnet20-fashion"
Rung = tuple[str, dict[str, Any]]  # the quantizer, and its settings


def ablation(
    data: Path, runs: Path, seeds: Sequence[int], out: Path, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Top-1 on each network, rung by rung, seed by seed; `data` as for parity.

    The file `out` is written anew after every run, so that nothing is lost where it ends early; begun
    again, what was finished is found among the runs.
    """
    result = _heading(seeds)
    for title, folder, network in _networks(data, runs / "parity"):
        found: dict[str, Any] = {
            "title": title,
            "float": None,
            "top1": {rung: [None] * len(seeds) for rung in rungs()},
        }
        for k, seed in enumerate(seeds):
            for rung, (method, settings) in rungs().items():
                (one,) = results_of(network, method, settings, BITS, folder, [seed])
                found["top1"][rung][k] = one["quantized_top1"]
                found |= {
                    "float": one["fp32_top1"],
                    "band": one["top1_band"]["fp32"],
                    "test_images": one["test_images"],
                }
                kept = {"date": _now(), "networks": [*result["networks"], found]}
                write_atomically(out, (json.dumps(result | kept, indent=1) + "\n").encode())
                tell(f"{title}, seed {seed}, {rung}: {percent(one['quantized_top1'])}")
        result = result | {"date": _now(), "networks": [*result["networks"], found]}
    return result


def rungs() -> dict[str, Rung]:
    """Every rung by name, from the control upwards."""
    settings: dict[str, Any] = {"steps": STEPS}
    every: dict[str, Rung] = {CONTROL: ("nearest", {})}
    for rung, change in LADDER.items():
        settings = settings | change
        every[rung] = ("genie-m", settings)
    return every


def _networks(data: Path, folder: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    for depth in (20, 56):
        name = f"resnet{depth}"
        yield f"ResNet-{depth} · CIFAR-10", folder / name, cifar_network(data, folder, depth)
    yield "ResNet-20 · Fashion-MNIST", folder / BUNDLED, {"model": BUNDLED}


def _heading(seeds: Sequence[int]) -> dict[str, Any]:
    listed = ",".join(map(str, seeds))
    return {
        "command": f"python -m engine bench ablation --seeds {listed} --data CIFAR10",
        "seeds": list(seeds),
        "bits": {"weights": BITS, "activations": 4},
        "steps": STEPS,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "networks": [],
    }


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime())
