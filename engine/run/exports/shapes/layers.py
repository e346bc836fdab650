"""Answers about a run's layers side by side: who minds bits, whose weights moved, which images count."""

from collections.abc import Sequence
from itertools import combinations

from engine.run.exports.shapes.kinds import By, Count, Found, Maybe, are_indices, are_of

MEASURES = ("sqnr", "output", "hessian", "kl")
FIRST_SHOWN = 4  # bits that the page shows first
FITTING = "fitting"  # seconds that all measures share
RANKED = {"spearman": float, "kendall": float}
SENSITIVITIES = {
    "run": str, "sentence": str, "notes": [str], "widths": [Count()], "measures": [str], "images": Count(),
    "layers": [
        {"path": str, "trace": Maybe(float), "values": By(By(float)), "ranks": By(By(float))}
    ],
    "agreement": [
        {"a": str, "b": str, "by_bits": By(Maybe(RANKED))}
        | {name: Maybe(kind) for name, kind in RANKED.items()}
    ],
    "seconds": By(float), "best": Maybe(str),
}  # fmt: skip
ROUNDING = 1e-9  # of a correlation
COSINES = ("raw", "chain", "matched", "drift")
SIMILARITY = {
    "run": str, "other": Maybe(str), "sentence": str, "notes": [str], "moved_channels": Count(),
    "layers": [{"path": str} | dict.fromkeys(COSINES, Maybe(float))],
    "matrix": {"rows": [str], "columns": [str], "cosines": [[Maybe(float)]]},
    "test": Maybe({
        "same": Maybe(float), "different": Maybe(float), "p": Maybe(float), "pairings": Count(),
    }),
    "drift_rank": Maybe(float),
}  # fmt: skip
MOST_NAMED = 3  # images of a layer, which stand beside one another
RANGES = {
    "run": str, "pictures": By(str),
    "ranges": [{
        "layer": str, "step": float,
        "images": [{
            "image": Count(), "reach": float, "step": float, "sqnr_db": float, "sqnr_without_db": float,
        }],
    }],
}  # fmt: skip


def sensitivities_fit(found: Found, layers: Sequence[str]) -> bool:
    """Whether every layer of the run has a value and a rank by each measure at each width."""
    widths, measures, rows = found["widths"], found["measures"], found["layers"]
    cells = [row[name] for row in rows for name in ("values", "ranks")]
    pairs = [(one["a"], one["b"]) for one in found["agreement"]]
    return (
        FIRST_SHOWN in widths
        and measures == [kind for kind in MEASURES if kind in measures]
        and are_of([row["path"] for row in rows], layers)
        and all([*table] == measures for table in cells)
        and all([*by] == [str(w) for w in widths] for table in cells for by in table.values())
        and all(1 <= r <= len(rows) for row in rows for by in row["ranks"].values() for r in by.values())
        and pairs == [*combinations(measures, 2)]
        and found["seconds"].keys() == {FITTING, *measures}
        and found["best"] in (None, *measures)
    )  # fmt: skip


def similarity_fits(found: Found, _layers: Sequence[str]) -> bool:
    """Whether the teacher's layers stand against as many of the student's, of the same names.

    They are not held against the run's: layers that keep their floats are compared too.
    """
    matrix, paths = found["matrix"], [one["path"] for one in found["layers"]]
    rank = found["drift_rank"]
    return (
        found["other"] is None
        and are_of(paths, paths)
        and paths == matrix["rows"] == matrix["columns"]
        and len(matrix["cosines"]) == len(paths)
        and all(len(row) == len(paths) for row in matrix["cosines"])
        and all((one["drift"] is None) == (one["chain"] is None) for one in found["layers"])
        and (rank is None or abs(rank) <= 1 + ROUNDING)
    )


def ranges_fit(found: Found, layers: Sequence[str]) -> bool:
    """Whether its layers are the run's, each with a few different images, and only these are pictured."""
    paths = [one["layer"] for one in found["ranges"]]
    named = [[one["image"] for one in layer["images"]] for layer in found["ranges"]]
    return (
        (not paths or are_of(paths, layers))
        and all(len({*places}) == len(places) <= MOST_NAMED for places in named)
        and are_indices(found["pictures"])
        and {*map(int, found["pictures"])} <= {place for places in named for place in places}
    )
