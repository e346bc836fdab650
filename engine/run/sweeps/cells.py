"""The matrix of a sweep: of each cell a mean over seeds with its band, and what cannot be told apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.paired import Band, mean_band
from engine.run.folders.folder import RunFolder
from engine.run.sweeps.plan import Cell, Planned

# What a run is judged by, the first that it has; each: more is better.
MEASURES = ("quantized_top1", "agreement", "embedding_cosine", "output_sqnr_db")
WITHIN = {
    "quantized_top1": (0.0, 1.0),
    "agreement": (0.0, 1.0),
    "embedding_cosine": (-1.0, 1.0),
}
Results = Mapping[int, Mapping[str, Any]]  # by seed


def cells_of(plan: Sequence[Planned], runs: Path) -> list[dict[str, Any]]:
    """One object a cell, in the order of the plan; unfinished ones have no mean.

    `mean`, `low`, `high`: of the seeds that are done, in the unit of `measure`. From two seeds on the band
    is that of the mean over seeds (Student's t, 95 %, within what the measure can be); of one seed it is that
    of its test images. `best`:
    the largest mean among the cells of the same network and bits. `like_best`: its difference to that one
    may be chance, over seeds or over test images; None where that cannot be said.
    """
    by_cell: dict[Cell, list[Planned]] = {}
    for one in plan:
        by_cell.setdefault(one.cell, []).append(one)
    results = {cell: _results(of_cell, runs) for cell, of_cell in by_cell.items()}
    told = {cell: _as_row(cell, by_cell[cell], results[cell]) for cell in by_cell}
    for cell, row in told.items():
        group = [c for c in told if _group(c) == _group(cell) and told[c]["mean"] is not None]
        best = max(group, key=lambda c: float(told[c]["mean"])) if group else None
        row["best"] = cell == best
        row["like_best"] = None
        if best is not None and row["mean"] is not None:
            row["like_best"] = cell == best or may_be_chance(results[best], results[cell])
    return list(told.values())


def _group(cell: Cell) -> tuple[str, int, int]:
    return cell.model, cell.weight_bits, cell.activation_bits


def _results(of_cell: Sequence[Planned], runs: Path) -> Results:
    found = {}
    for one in of_cell:
        result = RunFolder(runs / one.recipe.run_id).result() if one.recipe else None
        if result is not None:
            found[one.seed] = result
    return found


def _as_row(cell: Cell, of_cell: Sequence[Planned], results: Results) -> dict[str, Any]:
    measure = next(
        (
            m
            for m in MEASURES
            if results and all(_value(r, m) is not None for r in results.values())
        ),
        "",
    )
    values = [_number(result, measure) for result in results.values()] if measure else []
    band = _band(values, next(iter(results.values()), {}), measure)
    return {
        **asdict(cell),
        "seeds": sorted(results),
        "mean": math.fsum(values) / len(values) if values else None,
        "low": None if band is None else band.low,
        "high": None if band is None else band.high,
        "measure": measure,
        "runs": [one.recipe.run_id for one in of_cell if one.recipe is not None],
        "planned": len(of_cell),
        "reason": next((one.reason for one in of_cell if one.reason), ""),
        "size_bytes": next(
            (r["size_bytes"]["quantized"] for r in results.values() if r.get("size_bytes")), None
        ),
    }


def _value(result: Mapping[str, Any], measure: str) -> float | None:
    value = result.get(measure)
    if isinstance(value, Mapping):  # of embeddings: mean and least
        value = value.get("mean")
    return float(value) if isinstance(value, (int, float)) else None


def _number(result: Mapping[str, Any], measure: str) -> float:
    value = _value(result, measure)
    assert value is not None
    return value


def _band(values: Sequence[float], first: Mapping[str, Any], measure: str) -> Band | None:
    if len(values) > 1:
        band, (least, most) = mean_band(values), WITHIN.get(measure, (-math.inf, math.inf))
        # Student's t of two or three seeds can reach beyond what a share can be.
        return band and Band(max(least, band.low), min(most, band.high))
    of_images = {
        "quantized_top1": (first.get("top1_band") or {}).get("quantized"),
        "agreement": first.get("agreement_band"),
    }.get(measure)
    return Band(*of_images) if of_images else None


def may_be_chance(best: Results, other: Results) -> bool | None:
    """Whether the difference of two cells may be chance; None where there is too little to say.

    It is not where two bands of the mean difference both leave 0 out: that over test images, of which each
    gives its mean over the seeds, and, from two seeds on, that over seeds.
    """
    seeds = sorted({*best} & {*other})
    pairs = [(_right(best[seed]), _right(other[seed])) for seed in seeds]
    rows = [a - b for a, b in pairs if a is not None and b is not None and len(a) == len(b)]
    if not rows or len(rows) < len(seeds) or len({len(row) for row in rows}) > 1:
        return None
    bands = [mean_band(np.mean(rows, axis=0).tolist())]
    if len(rows) > 1:
        bands.append(mean_band([float(row.mean()) for row in rows]))
    return any(band is None or band.low <= 0 <= band.high for band in bands)


def _right(result: Mapping[str, Any]) -> Any:
    """Which test images are answered right, [images] of 0 and 1; None where that was not kept."""
    packed, n = result.get("right"), int(result.get("test_images") or 0)
    if not packed or not n:
        return None
    digits = np.frombuffer(bytes.fromhex(packed.zfill(2 * -(-n // 8))), np.uint8)
    return np.unpackbits(digits)[-n:].astype(np.float64)
