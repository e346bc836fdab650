"""How far a run's weights are from the teacher's, or from another run's, factors aside. Imports torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.analysis.layers.ranks import rank_correlations
from engine.analysis.similarity.chain import Floats, all_weights, normalised
from engine.analysis.similarity.compare import cosine, matrix, permutation_test
from engine.analysis.similarity.flow import find_streams
from engine.analysis.similarity.matching import matched
from engine.analysis.similarity.streams import Streams
from engine.core.errors import UserError
from engine.run.exports.plain import float_network, plain_network
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.opened import open_run

State = Mapping[str, NDArray[Any]]


def similarity(folder: RunFolder, other: RunFolder | None = None) -> dict[str, Any]:
    """What `python -m engine similarity RUN [OTHER] --json` prints.

    With RUN alone its teacher's weights are compared with its student's; with OTHER the two students'.
    `layers`, where both are of one architecture, else []: path, raw (cosine of the weights as they are),
    chain (after chain normalization), matched (and after the channels were put in one order), drift
    (1 - chain). `matrix`: `rows` and `columns` are paths, `cosines` the chain-normalised ones, None
    where shapes differ. `test`: whether namesakes are more alike than other layers of their shape.
    `drift_rank`: Spearman's rank correlation of a layer's drift with the share of noise in its output
    that its weights alone bring, by the run's own measurement; for RUN alone. UserError where no two
    layers have one shape.
    """
    streams, ours, theirs, theirs_streams = _both(folder, other)
    alike = _one_architecture(streams, theirs_streams)
    a, b = _layer_weights(streams, ours), _layer_weights(theirs_streams, theirs)
    table = matrix(a, b)
    if all(one is None for row in table for one in row):
        raise UserError(
            f"no layer of run {folder.run_id!r} has the shape of one of run {other and other.run_id!r}, so "
            "their weights cannot be compared; choose a run of a like network"
        )
    rows, moved = _layers(streams, ours, theirs) if alike else ([], 0)
    found = {
        "run": folder.run_id,
        "other": None if other is None else other.run_id,
        "layers": rows,
        "moved_channels": moved,
        "matrix": {"rows": [*a], "columns": [*b], "cosines": table},
        "test": _tested(table, a, folder.recipe.seed) if alike else None,
        "drift_rank": _drift_rank(rows, folder) if other is None else None,
    }
    return found | {"notes": _notes(found, alike=alike), "sentence": _sentence(found)}


def _both(folder: RunFolder, other: RunFolder | None) -> tuple[Streams, State, State, Streams]:
    """(our streams, our tensors, their tensors, their streams): ours: the teacher's, alone."""
    streams, teacher, student = _network(folder)
    if other is None:
        return streams, teacher, student, streams
    their_streams, _, theirs = _network(other)
    return streams, student, theirs, their_streams


def _network(folder: RunFolder) -> tuple[Streams, State, State]:
    """(streams, the teacher's tensors, the student's) of a finished run."""
    run = open_run(folder, images=1)
    streams = find_streams(run.teacher, run.context.card.image_shape[0])
    student = plain_network(run.context, run.student)
    return streams, float_network(run.context).state, student.state


def _chained(streams: Streams, state: State) -> dict[str, Floats]:
    return normalised(streams, all_weights(streams, state))


def _layer_weights(streams: Streams, state: State) -> dict[str, Floats]:
    found = _chained(streams, state)
    return {path: found[path] for path in streams.layers}


def _one_architecture(a: Streams, b: Streams) -> bool:
    def plan(streams: Streams) -> list[tuple[Any, ...]]:
        return [
            (u.path, u.groups, u.eps is None, len(u.reads), len(u.writes)) for u in streams.units
        ]

    return plan(a) == plan(b) and np.array_equal(a.factor, b.factor)


def _layers(streams: Streams, ours: State, theirs: State) -> tuple[list[dict[str, Any]], int]:
    """(each layer's cosines, how many channels have another place)."""
    a, b = _chained(streams, ours), _chained(streams, theirs)
    in_order, moved = matched(streams, a, b)
    rows = []
    for path in streams.layers:
        raw = (state[f"{path}.weight"].astype(np.float64) for state in (ours, theirs))
        chain = cosine(a[path], b[path])
        rows.append(
            {
                "path": path,
                "raw": cosine(*raw),
                "chain": chain,
                "matched": cosine(a[path], in_order[path]),
                "drift": None if chain is None else 1 - chain,
            }
        )
    return rows, moved


def _tested(table: list[list[float | None]], a: dict[str, Floats], seed: int) -> dict[str, Any]:
    return permutation_test(table, [one.shape for one in a.values()], seed)._asdict()


def _drift_rank(rows: list[dict[str, Any]], folder: RunFolder) -> float | None:
    """Spearman's correlation over the layers; None for too few, or where one side is all alike."""
    measured = {
        row["path"]: row.get("sqnr_weights_db") for row in (folder.result() or {})["layers"]
    }
    pairs = [
        (row["drift"], -measured[row["path"]])
        for row in rows
        if row["drift"] is not None and measured.get(row["path"]) is not None
    ]
    found = rank_correlations(*zip(*pairs, strict=True)) if pairs else None
    return None if found is None else found[0]


def _notes(found: dict[str, Any], *, alike: bool) -> list[str]:
    if not alike:
        return ["The two are of different architectures: layers are compared where shapes agree."]
    notes = []
    if found["moved_channels"]:
        notes.append(
            f"{found['moved_channels']} channels find their best partner in another place: matched, they "
            "are compared there."
        )
    test = found["test"]
    if test["p"] is None:
        notes.append("No two layers have one shape, so namesakes cannot be tested against others.")
    else:
        notes.append(
            f"Layers of one name: cosine {test['same']:.4f}, of one shape and other names "
            f"{test['different']:.4f}; p = {test['p']:.3f} in {test['pairings']} random pairings (a stand-in "
            "for the paper's trained discriminator)."
        )
    return notes


def _sentence(found: dict[str, Any]) -> str:
    """The layer that has drifted most, and whether drift goes along with the noise of the weights."""
    known = [row for row in found["layers"] if row["drift"] is not None]
    if not known:
        return "No layer's weights can be compared."
    worst = max(known, key=lambda row: row["drift"])
    said = f"{worst['path']} has drifted most: chain-normalised cosine {worst['chain']:.4f}."
    if found["drift_rank"] is None:
        return said
    return f"{said} Rank correlation of drift with the noise of the weights: {found['drift_rank']:.2f}."
