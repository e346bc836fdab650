"""What the app takes: the first catalogue, the first draw of each page, the answer of the bits fader."""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine.core.errors import UserError
from engine.run.benches.speed.apart import machine
from engine.run.benches.speed.interleaved import interleaved, seconds
from engine.run.benches.speed.processes import timed_command
from engine.run.folders.folder import RunFolder
from engine.run.folders.tail import follow
from engine.run.machine.environment import worker_environment
from engine.run.questions.why import answers
from engine.run.questions.why.fewer_bits.fader import follow_bits
from engine.run.workers.launch import start

_CATALOGUE = (
    "import sys, pathlib; from engine.run import catalog; catalog.load(pathlib.Path(sys.argv[1]))"
)
_ANSWERS = 20


def measured(tell: Callable[[str], None]) -> Any:
    """Rows; a short run is made first, for pages and fader to show."""
    told = machine(torch.get_num_threads())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        runs = Path(place)
        rows = [_catalogue(runs / "none", again) for again in (False, True)]
        tell("a short run, for the pages to show")
        folder = _short_run(runs)
        rows += _pages(runs, folder.run_id)
        rows.append(_fader(folder))
    return {"machine": told, "rows": rows}


def _catalogue(runs: Path, again: bool) -> dict[str, Any]:  # noqa: FBT001
    """A process that asks for it; Python's own start is in it."""
    took, _ = timed_command([sys.executable, "-c", _CATALOGUE, str(runs)])
    what = "catalogue, once more" if again else "first catalogue"
    return {"work": what, "cpu_s": took.cpu, "wall_s": took.wall}


def _short_run(runs: Path) -> RunFolder:
    from engine.run import new_recipe  # it knows all rooms of a run

    recipe = new_recipe(
        model="resnet20-fashion", synthesis="noise", quantization="nearest", preset="quick",
        images=16, runs=runs,
    )  # fmt: skip
    folder = start(recipe, runs)
    for _ in follow(folder):
        pass
    if folder.result() is None:
        raise UserError(
            f"the short run failed: {folder.status().get('why', '')}; run it by itself to see why"
        )
    return folder


def _pages(runs: Path, run: str) -> list[dict[str, Any]]:
    """Each page drawn twice in one process without a browser: the first draw imports what it needs."""
    environment = worker_environment() | {"QUANTOSCOPE_RUNS": str(runs)}
    took, printed = timed_command([sys.executable, "-m", "app.page_times", run], environment)
    if not printed.strip():
        raise UserError(
            f"the pages could not be drawn (app.page_times, {took.wall:.0f} s); run that module to see why"
        )
    return list(json.loads(printed.strip().splitlines()[-1]))


def _fader(folder: RunFolder) -> dict[str, Any]:
    found = answers.bits(folder)
    planned = found["planned"]
    weights = dict.fromkeys(planned["weight_bits"], 3)
    start_s = time.perf_counter()
    follow_bits(found, weights, planned["activation_bits"])
    first_s = time.perf_counter() - start_s
    samples = interleaved(
        {"fader": lambda: follow_bits(found, weights, planned["activation_bits"])}, _ANSWERS
    )
    return {
        "work": "fader: bits to SQNR, size and loss",
        "first_s": first_s,
        **seconds(samples["fader"]),
    }
