"""What was said before a run, against what the run took: small budgets on eight networks.

One thread, so that seconds of the processor can be compared whatever else the machine does; and five
hundred test images instead of ten thousand, or judging would be most of every run.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from engine.data.idx import read_idx
from engine.models.card import ASSETS
from engine.run.benches.image_files import write_images, write_table
from engine.run.benches.speed.apart import machine
from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.questions.before_a_run.estimate import estimate, pace_of
from engine.run.recipes.recipe import Recipe
from engine.run.workers.launch import start

_LOOK_EVERY_S = 0.1
JUDGED = 500  # test images
FACTOR = 1.5  # within which an estimate is to be


@dataclass(frozen=True, slots=True)
class Case:
    """A recipe by what is special of it."""

    model: str
    synthesis: str
    quantization: str
    images: int
    settings: dict[str, int] = field(default_factory=dict)  # "synthesis.steps" and the like


_SMALL = {"synthesis.steps": 8, "quantization.steps": 6}
_LARGER = {"synthesis.steps": 30, "quantization.steps": 30}
_FEW = {"synthesis.batch": 8, "quantization.batch": 8}
_WITH_BATCHNORM = (
    "resnet20-fashion", "mobilenet-fashion", "preact-fashion", "repvgg-fashion", "binary-fashion",
    "embedding-fashion",
)  # fmt: skip


def cases() -> list[Case]:
    """Thirty-two recipes: two kinds of methods at two budgets, on eight networks."""
    found = []
    for model in _WITH_BATCHNORM:
        found += [Case(model, "genie", "genie-m", 32, _SMALL)]
        found += [Case(model, "genie", "genie-m", 64, _LARGER)]
        found += [Case(model, "zeroq", "nearest", 16, {"synthesis.steps": 10})]
        found += [Case(model, "zeroq", "nearest", 64, {"synthesis.steps": 40})]
    for quantization in ("qdrop", "nearest"):
        learned = {} if quantization == "nearest" else {"quantization.steps": 30}
        found += [Case("vgg-fashion", "noise", quantization, n, learned) for n in (16, 128)]
    found += [Case("efficientnet-lite0", "noise", "nearest", n) for n in (8, 32)]
    small = {"synthesis.steps": 3, "quantization.steps": 3, **_FEW}
    found += [Case("efficientnet-lite0", "genie", "genie-m", 8, small)]
    return [
        *found,
        Case("efficientnet-lite0", "genie", "genie-m", 16, small | {"synthesis.steps": 6}),
    ]


def measured(
    chosen: Sequence[Case], make_recipe: Callable[..., Recipe], tell: Callable[[str], None]
) -> Any:
    """A row for each case, and how many estimates are within FACTOR."""
    kept = os.environ.get("QUANTOSCOPE_THREADS")
    os.environ["QUANTOSCOPE_THREADS"] = "1"
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            test = _test_images(Path(place) / "test")
            rows = [_row(case, make_recipe, (Path(place), test), tell) for case in chosen]
    finally:
        if kept is None:
            del os.environ["QUANTOSCOPE_THREADS"]
        else:
            os.environ["QUANTOSCOPE_THREADS"] = kept
    return {"machine": machine(1), "rows": rows, **summary(rows)}


def _row(
    case: Case,
    make_recipe: Callable[..., Recipe],
    places: tuple[Path, Path],  # for estimates and runs; the test images
    tell: Callable[[str], None],
) -> dict[str, Any]:
    place, test = places
    said, runs = (
        place / "said",
        place / "runs",
    )  # apart: an estimate from finished runs is another one
    stages: dict[str, dict[str, int]] = {"synthesis": {}, "quantization": {}}
    for name, value in case.settings.items():
        stage, _, knob = name.partition(".")
        stages[stage][knob] = value
    recipe = make_recipe(
        model=case.model, synthesis=case.synthesis, quantization=case.quantization, preset="quick",
        images=case.images, synthesis_settings=stages["synthesis"],
        quantization_settings=stages["quantization"],
        data=str(test) if case.model.endswith("-fashion") else "",
    )  # fmt: skip
    told = estimate(recipe, said, pace_of(said, recipe))
    folder = start(recipe, runs)
    cpu_s = _processor_time(folder)
    result = folder.result() or {}
    row = {
        "network": case.model,
        "images": case.images,
        "work": f"{case.synthesis} {case.quantization} "
        + " ".join(f"{name}={value}" for name, value in case.settings.items()),
        "said_s": told["total_s"][1],
        "said_stages_s": told["seconds"],
        "cpu_s": cpu_s,
        "stages_s": result.get("seconds"),
        "said_mb": told["memory_mb"][1],
        "peak_mb": result.get("peak_memory_mb"),
    }
    tell(f"{row['network']} {row['work']}: said {row['said_s']:.1f} s, took {cpu_s:.1f} s")
    return row


def _test_images(folder: Path) -> Path:
    """A folder with the first of Fashion-MNIST's test images."""
    images = read_idx(ASSETS / "fashion-mnist" / "t10k-images-idx3-ubyte.gz")[:JUDGED]
    labels = read_idx(ASSETS / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz")[:JUDGED]
    write_table(folder, write_images(folder, images, labels.tolist()))
    return folder


def _processor_time(folder: RunFolder) -> float:
    """Seconds that the worker had of the processor, its own start included, as last seen."""
    spent = 0.0
    worker = psutil.Process(int(folder.status()["pid"]))
    while folder.status()["state"] in ACTIVE:
        try:
            times = worker.cpu_times()
            spent = times.user + times.system
        except psutil.Error:
            break
        time.sleep(_LOOK_EVERY_S)
    return spent


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """{"time", "memory"}: how many are within FACTOR, of how many, and the median of said over true."""
    done = [row for row in rows if row["peak_mb"]]
    found = {}
    for name, said, true in (("time", "said_s", "cpu_s"), ("memory", "said_mb", "peak_mb")):
        ratios = [row[said] / row[true] for row in done]
        within = sum(1 / FACTOR <= one <= FACTOR for one in ratios)
        median = statistics.median(ratios) if ratios else None
        found[name] = {"within": within, "of": len(rows), "median": median}
    return found
