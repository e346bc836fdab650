"""Bytes against sparsity: the codes of one layer pruned more and more, in each form that a file may take."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from engine.export.network import WeightGrid
from engine.export.storage.file import smallest
from engine.export.storage.symbols import zero_codes

SHARES = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
MOST = 300_000  # weights: of a larger layer its first channels


def crossing(grids: Mapping[str, WeightGrid]) -> dict[str, Any] | None:
    """Of the largest layer that has a zero: {"path", "weights", "rows", "sparse_from"}; None without one.

    rows: zeros (share, in [0, 1]) and bytes (packed, huffman, sparse), from the layer as it is to nearly
    all zeros, its smallest weights pruned first. sparse_from: the share of zeros from which on the sparse
    form is the smallest of these rows; None where it never is.
    """
    zeroed = {path: one for path, one in grids.items() if _has_zero(one)}
    if not zeroed:
        return None
    path = max(zeroed, key=lambda one: zeroed[one].codes.size)
    grid = _cut(zeroed[path])
    sizes = np.abs(grid.values()).reshape(-1)
    order = sizes.argsort(kind="stable")
    has = float((sizes == 0).mean())
    rows: list[dict[str, Any]] = []
    for share in (has, *(share for share in SHARES if share > has)):
        pruned = _pruned(grid, order[: round(share * len(order))])
        found = smallest(pruned)[1]
        rows.append({"zeros": float((pruned.values() == 0).mean()), "bytes": found})
    wins = [row["bytes"]["sparse"] == min(row["bytes"].values()) for row in rows]
    first = next((k for k in range(len(wins)) if all(wins[k:])), None)
    from_ = None if first is None else rows[first]["zeros"]
    return {"path": path, "weights": len(order), "rows": rows, "sparse_from": from_}


def _has_zero(grid: WeightGrid) -> bool:
    return grid.levels is None or bool((grid.levels == 0).any(1).all())


def _cut(grid: WeightGrid) -> WeightGrid:
    """So many of its first channels that they can be packed ten times in a moment."""
    keep = max(1, MOST // max(1, grid.codes[0].size))

    def first(side: Any) -> Any:
        return side if side is None or len(side) == 1 else side[:keep]

    return replace(
        grid, codes=grid.codes[:keep], scale=first(grid.scale), zero_point=first(grid.zero_point),
        levels=first(grid.levels),
    )  # fmt: skip


def _pruned(grid: WeightGrid, gone: Any) -> WeightGrid:
    """The grid with these weights, by their place in the layer, at the code of zero."""
    zeros = np.broadcast_to(zero_codes(grid)[:, None], (len(grid.codes), grid.codes[0].size))
    flat = grid.codes.reshape(-1).copy()
    flat[gone] = zeros.reshape(-1)[gone].astype(np.uint8)
    return replace(grid, codes=flat.reshape(grid.codes.shape))
