"""From the command to the accuracy: `quick` on the bundled ResNet-20, and where its seconds go."""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from engine.core.events import RunStarted
from engine.run.benches.speed.apart import machine
from engine.run.benches.speed.processes import timed_command
from engine.run.folders.folder import RunFolder

MODEL = "resnet20-fashion"
STAGES = {"images": "synthesis", "codes": "quantization", "judging": "evaluation"}


def measured(
    rounds: int | None, tell: Callable[[str], None], wanted: Sequence[str] = ("--preset", "quick")
) -> Any:
    """A row for each part of the time, of the median run: by the clock, and the whole of the processor's."""
    told, found = machine(torch.get_num_threads()), []
    for number in range(rounds or 1):
        tell(f"{MODEL}, {' '.join(wanted)}, run {number + 1} of {rounds or 1}")
        found.append(one_run(wanted))
    found.sort(key=lambda one: float(one["rows"][0]["wall_s"]))
    return {"machine": told, **found[(len(found) - 1) // 2]}


def one_run(wanted: Sequence[str], bits: tuple[int, int] = (4, 4)) -> dict[str, Any]:
    """The rows of a run of MODEL by the command line, and its top-1; `bits` of weights and of inputs."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "engine", "run", "--model", MODEL]
        command += ["--synthesis", "genie", "--quantization", "quantoscope"]
        command += ["--weight-bits", str(bits[0]), "--activation-bits", str(bits[1])]
        command += ["--runs", place, "--json", *wanted]
        took, printed = timed_command(command)
        result = json.loads(printed.strip().splitlines()[-1])
        folder = RunFolder.open(Path(place), result["run"])
        first = next(event.time_s for _, event in folder.events() if isinstance(event, RunStarted))
        asked = float(json.loads((folder.path / "status.json").read_text())["asked_s"])
    stages = {name: float(result["seconds"][stage]) for name, stage in STAGES.items()}
    parts = {"starting": max(0.0, took.wall - sum(stages.values())), **stages}
    peak = result["peak_memory_mb"]
    whole = {"work": "command to accuracy", "cpu_s": took.cpu, "wall_s": took.wall, "peak_mb": peak}
    rows = [whole, *({"work": f"of it {name}", "wall_s": s} for name, s in parts.items())]
    rows.append({"work": "until the worker's first event", "wall_s": first - asked})
    return {
        "rows": [{"network": MODEL, "images": result["images"], **row} for row in rows],
        "top1": result["quantized_top1"],
    }
