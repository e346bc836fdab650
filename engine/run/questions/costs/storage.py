"""How few bytes a finished run's codes take, coded by how often each of them stands. Imports torch."""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.errors import UserError
from engine.core.percent import percent
from engine.export.network import WeightGrid
from engine.export.storage.file import grid_bytes, read_file, smallest, write_file
from engine.export.storage.forms import Written
from engine.export.storage.huffman import code_lengths, entropy
from engine.export.storage.symbols import symbols
from engine.run.exports.plain import plain_network
from engine.run.folders.folder import RunFolder
from engine.run.questions.costs.crossing import crossing
from engine.run.questions.costs.planes import IMAGES, planes_read
from engine.run.questions.why.opened import Tell, open_run, tell_nobody

FORMS = ("packed", "huffman", "sparse")


def storage(folder: RunFolder, tell: Tell = tell_nobody) -> dict[str, Any]:
    """What `python -m engine storage RUN --json` prints: bytes of each form, by layer and together.

    `layers`: path, weights, bits (of a stored code), zeros (share, in [0, 1]), entropy_bits (a code),
    payload_bits (a coded symbol of the chosen form), bytes (packed, huffman, sparse, entropy: the
    codes alone), form (the smallest of the three), grid_bytes (scales, zero points, levels), and ratio:
    the form and the grid to float32. `total` has the same sums; there `file_bytes` is the size of the file
    that was written, with all layers' names and shapes, and `ratio` is its. The bytes are counted in that
    file, which is read back and compared, code by code, and then removed. Biases and BatchNorm stay
    float32 in every form, and are not in it. `crossing`: the largest layer pruned more and more, and
    `planes`: what the first planes of nested codes give; see there. UserError where the run cannot be opened.
    """
    run = open_run(folder, IMAGES)
    network = plain_network(run.context, run.student)
    grids = network.weights
    if not grids:
        raise UserError(
            f"every weight of run {folder.run_id!r} is made of several codes, which this does not count; see "
            "the size in its result"
        )
    rows, total = written(grids, tell)
    notes = _notes(total)
    if network.composed:
        notes.append(
            f"{len(network.composed)} layers whose weights are made of several codes each are left out: "
            f"{', '.join(network.composed)}."
        )
    planes = planes_read(run, tell)
    if planes:
        notes.append(
            "Of the planes: BatchNorm and the grids of inputs are the run's, made for its own bits, so other "
            "numbers of planes may answer worse than a run of so many bits."
        )
    return {
        "run": folder.run_id, "layers": rows, "total": total, "exact": True, "notes": notes,
        "crossing": crossing(grids), "planes": planes,
    }  # fmt: skip


def written(
    grids: Mapping[str, WeightGrid], tell: Tell = tell_nobody
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(`layers`, `total`) of `storage`, counted in a file that is written and read back."""
    rows, chosen = [], {}
    for done, (path, grid) in enumerate(grids.items()):
        tell(done, len(grids), path)
        best, sizes = smallest(grid)
        chosen[path] = (grid, best)
        rows.append(_row(path, grid, best, sizes))
    return rows, _total(rows, _file_bytes(chosen))


def _row(path: str, grid: WeightGrid, written: Written, sizes: dict[str, int]) -> dict[str, Any]:
    found = symbols(grid)
    values, counts = np.unique(found, return_counts=True)
    bound = entropy(counts)
    side = len(grid_bytes(grid))
    weights = grid.codes.size
    return {
        "path": path,
        "weights": weights,
        "bits": grid.bits,
        "symbols": len(values),
        "zeros": float((grid.values() == 0).mean()),
        "entropy_bits": bound,
        "lengths": _lengths(counts),
        "payload_bits": written.payload_bits / written.coded if written.coded else 0.0,
        "bytes": {**sizes, "entropy": math.ceil(weights * bound / 8)},
        "form": written.form,
        "grid_bytes": side,
        "ratio": (len(written.data) + side) / (4 * weights),
    }


def _lengths(counts: Any) -> list[int]:
    """How many weights have a Huffman code of 0, 1, .. bits."""
    if not len(counts):
        return []
    return [int(one) for one in np.bincount(code_lengths(counts), weights=counts)]


def _file_bytes(chosen: dict[str, tuple[WeightGrid, Written]]) -> int:
    """The size of the file that holds all this; RuntimeError where it does not give the codes back."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "codes"
        write_file(file, chosen)
        for path, found in read_file(file).items():
            grid = chosen[path][0]
            if not (
                np.array_equal(found.codes, grid.codes)
                and np.array_equal(found.values(), grid.values())
            ):
                raise RuntimeError(f"the codes of {path} are not read back as they were written")
        return file.stat().st_size


def _total(rows: list[dict[str, Any]], file_bytes: int) -> dict[str, Any]:
    weights = sum(row["weights"] for row in rows)
    return {
        "weights": weights,
        "zeros": sum(row["zeros"] * row["weights"] for row in rows) / weights,
        "entropy_bits": sum(row["entropy_bits"] * row["weights"] for row in rows) / weights,
        "bytes": {
            name: sum(row["bytes"][name] for row in rows)
            for name in (*FORMS, "entropy")
        },
        "chosen_bytes": sum(row["bytes"][row["form"]] for row in rows),
        "forms": {form: sum(row["form"] == form for row in rows) for form in FORMS},
        "grid_bytes": sum(row["grid_bytes"] for row in rows),
        "file_bytes": file_bytes,
        "float32_bytes": 4 * weights,
        "ratio": file_bytes / (4 * weights),
    }  # fmt: skip


def _notes(total: dict[str, Any]) -> list[str]:
    of = total["forms"]
    told = ", ".join(f"{form} {of[form]}" for form in FORMS)
    notes = [
        f"The smallest form, by layers: {told}.",
        "Entropy is that of single codes, layer by layer: the sparse form can fall below it where zeros "
        "fill whole columns, Huffman codes cannot.",
    ]
    if not of["sparse"]:
        notes.append(
            f"No layer is smallest in the sparse form; {percent(total['zeros'])} of the weights are "
            f"zero, and it takes some {percent(0.9, 0)}."
        )
    return notes
