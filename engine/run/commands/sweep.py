"""`sweep`: many runs as one matrix."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from engine.run.commands.printed.common import hear_interrupts, load_catalog, runs_folder
from engine.run.commands.printed.progress import Progress
from engine.run.commands.printed.tables import duration, table
from engine.run.folders.folder import RunFolder
from engine.run.sweeps import process
from engine.run.sweeps.cells import cells_of
from engine.run.sweeps.plan import Planned, make_sweep, planned, read_request, recipes_of
from engine.run.sweeps.work import Cost, cost_of, work_through


def sweep(options: argparse.Namespace) -> int:
    """Say what the sweep is and takes, then do it and print its matrix; exit status 1 where runs failed."""
    hear_interrupts()  # how a page stops it
    runs = runs_folder(options)
    asked = read_request(options.file)
    plan = planned(make_sweep(**asked), load_catalog(options), runs, own_code=True)
    recipes, progress = recipes_of(plan), Progress(runs=options.runs)
    cost = cost_of(recipes, runs)
    progress.line(f"{len(recipes)} runs, {_cost_words(cost)}")
    for reason in dict.fromkeys(one.reason for one in plan if one.reason):
        progress.line(f"left out: {reason}")
    if options.plan:
        return _tell(
            options, {"runs": [one.run_id for one in recipes], "cost": asdict(cost)}, plan, runs
        )
    process.enter(asked, runs)  # pages list it
    failed = []

    def tell(folder: RunFolder, done: int, of: int) -> None:
        result = folder.result()
        if result is None:
            failed.append(folder.run_id)
        told = "done" if result is not None else folder.status()["state"]
        progress.line(f"{done}/{of} {folder.run_id}: {told}")

    folders = work_through(recipes, runs, tell)
    answer = {"runs": [folder.run_id for folder in folders], "failed": failed}
    _tell(options, answer, plan, runs)
    return int(bool(failed))


def _tell(
    options: argparse.Namespace, answer: dict[str, Any], plan: list[Planned], runs: Any
) -> int:
    cells = cells_of(plan, runs)
    if options.json:
        print(json.dumps(answer | {"cells": cells}))
        return 0
    names = (
        "model",
        "synthesis",
        "quantization",
        "bits",
        "seeds",
        "mean",
        "95 %",
        "measure",
        "against the best",
    )
    print(table([names, *(_row(cell) for cell in cells)]))
    return 0


def _row(cell: dict[str, Any]) -> tuple[object, ...]:
    band = "-" if cell["low"] is None else f"{cell['low']:.4f} to {cell['high']:.4f}"
    verdict = {True: "not distinguishable", False: "worse", None: "-"}[cell["like_best"]]
    return (
        cell["model"], cell["synthesis"], cell["quantization"],
        f"W{cell['weight_bits']}A{cell['activation_bits']}",
        f"{len(cell['seeds'])} of {cell['planned']}",
        "-" if cell["mean"] is None else f"{cell['mean']:.4f}", band, cell["measure"] or "-",
        "cannot work" if cell["reason"] else "best" if cell["best"] else verdict,
    )  # fmt: skip


def _cost_words(cost: Cost) -> str:
    if not cost.runs:
        return "all finished already"
    if not cost.known:
        return f"{cost.runs} to compute; how long that takes is not known yet"
    words = f"{cost.runs} to compute, about {duration(cost.seconds)}"
    rest = cost.runs - cost.known
    return words if not rest else f"{words} for {cost.known} of them, the others are not known yet"
