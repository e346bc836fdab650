"""Answers about a finished run, found once and kept. Imports no torch."""

import json
from collections.abc import Callable
from typing import Any

from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.folders.opened import brought_answer
from engine.run.questions.cached_answer import find_once, kept
from engine.run.subprocess_answer import answer_of

COMMANDS = (  # all of them go along in a bundle, and so do those of OF_LAYERS
    "explain", "predictions", "bits", "similarity", "ranges", "resources", "sensitivities", "storage",
)  # fmt: skip


def kept_answer(folder: RunFolder, command: str, layer: str = "") -> dict[str, Any] | None:
    """The answer of `python -m engine COMMAND RUN --json` where it is there already, or came with the run.

    `layer`: of a question that is put about one layer.
    """
    brought = brought_answer(folder.path, command, layer)
    return brought or kept(folder.path.parent, command, folder.recipe, by=_by(folder, layer))


def answer(
    folder: RunFolder,
    command: str,
    find: Callable[[], dict[str, Any]] | None = None,
    layer: str = "",
) -> dict[str, Any]:
    """The kept answer, else found now: by `find` in this process, or in one of its own.

    UserError in one line where the run is unfinished or cannot be opened.
    """
    by = _by(folder, layer)
    if find is None:
        there = kept_answer(folder, command, layer)
        if there is None:
            place = ("--runs", str(folder.path.parent), *(("--layer", layer) if layer else ()))
            printed = answer_of(command, folder.run_id, "--json", *place)
            # What is printed has no pictures.
            there = kept_answer(folder, command, layer) or printed
        return there
    return find_once(folder.path.parent, command, folder.recipe, by=by, find=find)


def of_layer(found: dict[str, Any], path: str | None) -> dict[str, Any]:
    """An explanation of one layer alone, whose verdict is then the sentence; UserError for no such layer."""
    if path is None:
        return found
    rows = [row for row in found["layers"] if row["path"] == path]
    if not rows:
        known = ", ".join(row["path"] for row in found["layers"])
        raise UserError(f"run {found['run']!r} has no layer {path!r}; choose one of {known}")
    return found | {"layers": rows, "sentence": f"{path}: {rows[0]['verdict']}"}


def explain(folder: RunFolder, layer: str | None = None) -> dict[str, Any]:
    """Where each layer's error comes from: see `engine.run.questions.why.explain`; one call, kept."""
    return of_layer(answer(folder, "explain"), layer)


def predictions(folder: RunFolder) -> dict[str, Any]:
    """What changes for whoever uses the network: see `engine.run.questions.why.predictions`; kept."""
    return answer(folder, "predictions")


def bits(folder: RunFolder) -> dict[str, Any]:
    """What other bits would do: see `engine.run.questions.why.fewer_bits.bits`; measured once, then kept."""
    return answer(folder, "bits")


TRIAL = "bits-at"  # what a measured choice of bits is kept under


def trial(
    folder: RunFolder,
    at: dict[str, dict[str, int]],
    find: Callable[[], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """What the network keeps at these bits, measured: see `questions.why.fewer_bits.trial`; kept."""
    by = _by(folder) | {"at": at, "beside": "own"}  # answers without it are of an older engine
    there = kept(folder.path.parent, TRIAL, folder.recipe, by=by)
    if there is not None:
        return there
    if find is None:  # in a process, which keeps it
        place = ("--runs", str(folder.path.parent))
        return answer_of("bits", folder.run_id, "--at", json.dumps(at), "--json", *place)
    return find_once(folder.path.parent, TRIAL, folder.recipe, by=by, find=find)


def _by(folder: RunFolder, layer: str = "") -> dict[str, Any]:
    """What an answer depends on beside the network: the run, when it was finished, the layer asked about."""
    try:
        finished = (folder.path / "result.json").stat().st_mtime_ns
    except OSError:
        finished = 0
    by = {"run": folder.run_id, "finished": finished}
    return by | {"layer": layer} if layer else by
