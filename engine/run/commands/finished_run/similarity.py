"""`similarity`: how far a run's weights are from the teacher's, or from those of another run."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from engine.run.commands.printed.common import runs_folder
from engine.run.commands.printed.tables import table
from engine.run.folders.folder import RunFolder
from engine.run.questions.cached_answer import find_once
from engine.run.questions.why import answers


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add it to the command line; `add` takes its name, what it does, and a line on it."""
    text = "compare a finished run's weights with the float network's, or with another run's"
    parser = add("similarity", similarity, text)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("other", metavar="OTHER", nargs="?", help="a run to compare it with")


def similarity(options: argparse.Namespace) -> int:
    runs = runs_folder(options)
    folder = RunFolder.open(runs, options.run)
    other = None if options.other is None else RunFolder.open(runs, options.other)

    def find() -> dict[str, Any]:
        from engine.run.questions.why.similarity import (
            similarity,  # torch, which a kept answer does not need
        )
        from engine.run.workers.worker import settle_in

        settle_in()
        return similarity(folder, other)

    if other is None:
        found = answers.answer(folder, "similarity", find)
    else:
        by = {"runs": [(one.run_id, _finished(one)) for one in (folder, other)]}
        found = find_once(runs, "similarity", folder.recipe, by=by, find=find)
    print(json.dumps(found) if options.json else _as_text(found))
    return 0


def _finished(folder: RunFolder) -> int:
    """When it was, in nanoseconds; 0 for a run that is not."""
    try:
        return (folder.path / "result.json").stat().st_mtime_ns
    except OSError:
        return 0


def _as_text(found: dict[str, Any]) -> str:
    if found["layers"]:
        names = ("raw", "chain", "matched")
        rows = [(row["path"], *(_cosine(row[name]) for name in names)) for row in found["layers"]]
        told = table([("layer", "as they are", "chain-normalised", "and matched"), *rows])
    else:
        told = table([("layer", "most like", "cosine"), *_nearest(found["matrix"])])
    return "\n".join([told, "", *found["notes"], found["sentence"]])


def _nearest(matrix: dict[str, Any]) -> list[tuple[str, str, str]]:
    """For each layer the one of its shape with the highest cosine."""
    rows = []
    for path, cosines in zip(matrix["rows"], matrix["cosines"], strict=True):
        known = [(c, k) for k, c in enumerate(cosines) if c is not None]
        if known:
            best, place = max(known)
            rows.append((path, matrix["columns"][place], _cosine(best)))
    return rows


def _cosine(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"
