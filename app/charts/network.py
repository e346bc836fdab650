"""The map of a network: layers as cells in order of execution, blocks as boxes, shortcuts as arcs.

Ranks and lanes are found here; how many boxes stand in a row is for the page to say, which knows its width.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

FOLLOWERS = (
    "batchnorm", "relu", "silu", "swish", "hardswish", "hardsigmoid", "hardtanh", "gelu", "elu",
    "sigmoid", "dropout", "identity", "stochasticdepth",
)  # fmt: skip
OPEN_UP_TO = 44  # cells: a network with more begins with its blocks closed
SHADES = {
    "bits": "Bits of the weights",
    "parameters": "Parameters",
    "macs": "Work (MACs)",
    "ratio": "Channel ranges",
}
SIGNS = {
    "add": "+",
    "iadd": "+",
    "cat": "⧺",
    "concat": "⧺",
    "mul": "×",
    "flatten": "flat",
    "mean": "mean",
}


@dataclass(slots=True, kw_only=True)
class Cell:
    """A node that is drawn, with the followers (BatchNorm, activation) that are drawn into it."""

    node: dict[str, Any]
    followers: list[dict[str, Any]] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)  # indices of cells
    rank: int = 0
    lane: int = 0


def network_map(
    answer: dict[str, Any], layers: list[dict[str, Any]], findings: list[dict[str, Any]], shade: str
) -> dict[str, Any]:
    """{"groups": [{name, cells, lanes, ranks, ..}], "edges": [[cell, cell]], "open": bool}, for the page."""
    cells = merged(answer["graph"])
    about = {layer["path"]: layer for layer in layers}
    flagged = _flagged(findings)
    shades = _shades(layers, shade)
    groups = []
    for name, members in _groups(cells):
        lanes, ranks = arrange(cells, members)
        inside = [about[cells[i].node["path"]] for i in members if cells[i].node["path"] in about]
        groups.append(
            {
                "name": name,
                "lanes": lanes,
                "ranks": ranks,
                "tint": _tint(cells[members[-1]].node["shape"], cells),
                "summary": _summary(cells[members[-1]], inside),
                "cells": [_drawn(i, cells[i], about, shades, flagged) for i in members],
            }
        )
    edges = [[source, i] for i, cell in enumerate(cells) for source in cell.sources]
    return {"groups": groups, "edges": edges, "open": len(cells) <= OPEN_UP_TO}


# --- cells --------------------------------------------------------------------------------------


def merged(graph: dict[str, Any]) -> list[Cell]:
    """The graph's nodes as cells: what only follows another stands in its cell."""
    sources: dict[int, list[int]] = {node["id"]: [] for node in graph["nodes"]}
    readers: dict[int, int] = dict.fromkeys(sources, 0)
    for source, reader in graph["edges"]:
        sources[reader].append(source)
        readers[source] += 1
    cell_of: dict[int, int] = {}
    cells: list[Cell] = []
    for node in graph["nodes"]:
        before = sources[node["id"]]
        if node["kind"] == "Identity" and len(before) == 1 and before[0] in cell_of:
            cell_of[node["id"]] = cell_of[before[0]]  # nothing happens there: a line is enough
            continue
        alone = len(before) == 1 and readers[before[0]] == 1 and before[0] in cell_of
        if alone and _follows(node) and cells[cell_of[before[0]]].node["kind"] != "image":
            cell_of[node["id"]] = cell_of[before[0]]
            cells[cell_of[before[0]]].followers.append(node)
            continue
        cell_of[node["id"]] = len(cells)
        behind = list(dict.fromkeys(cell_of[source] for source in before))
        cells.append(Cell(node=node, sources=behind))
    return cells


def _follows(node: dict[str, Any]) -> bool:
    return not node["layer"] and node["kind"].lower().replace("_", "").startswith(FOLLOWERS)


def _groups(cells: list[Cell]) -> list[tuple[str, list[int]]]:
    """(block's name, its cells) in order; what runs between blocks is a group without a name."""
    groups: list[tuple[str, list[int]]] = []
    for i, cell in enumerate(cells):
        name = cell.node["block"]
        if not groups or groups[-1][0] != name:
            groups.append((name, []))
        groups[-1][1].append(i)
    return groups


def arrange(cells: list[Cell], members: list[int]) -> tuple[int, int]:
    """Give each member a rank (column) and a lane (row, 0 the longest way); how many there are of each."""
    inside = set(members)
    for i in members:
        ranks = [cells[s].rank for s in cells[i].sources if s in inside]
        cells[i].rank = max(ranks, default=-1) + 1
    main = _longest_way(cells, members)
    taken: list[list[tuple[int, int]]] = [[(0, cells[members[-1]].rank)]]
    for i in members:
        if i in main:
            cells[i].lane = 0
            continue
        span = cells[i].rank, cells[i].rank
        lane = 1
        while lane < len(taken) and any(a <= span[1] and span[0] <= b for a, b in taken[lane]):
            lane += 1
        if lane == len(taken):
            taken.append([])
        taken[lane].append(span)
        cells[i].lane = lane
    return len(taken), max(cells[i].rank for i in members) + 1


def _longest_way(cells: list[Cell], members: list[int]) -> set[int]:
    """The cells of one longest way to the last member."""
    inside, at = set(members), members[-1]
    way = {at}
    while True:
        before = [
            s for s in cells[at].sources if s in inside and cells[s].rank == cells[at].rank - 1
        ]
        if not before:
            return way
        at = before[0]
        way.add(at)


# --- what stands in them ------------------------------------------------------------------------


def _drawn(
    index: int,
    cell: Cell,
    about: dict[str, dict[str, Any]],
    shades: dict[str, float],
    flagged: dict[str, str],
) -> dict[str, Any]:
    node = cell.node
    layer = about.get(node["path"]) if node["layer"] else None
    paths = [node["path"], *(f["path"] for f in cell.followers)]
    levels = [
        flagged[path] for path in paths if path in flagged and (layer or path != node["path"])
    ]
    return {
        "id": index,
        "rank": cell.rank,
        "lane": cell.lane,
        "layer": node["path"] if layer else "",
        "label": _label(node, layer),
        "sub": _bits(layer) if layer else "",
        "marks": "".join(_mark(follower) for follower in cell.followers),
        "shade": shades.get(node["path"], 0.0) if layer else None,
        "level": "problem" if "problem" in levels else "warning" if "warning" in levels else "",
        "tip": [*_tip(node, layer), *(f["kind"] for f in cell.followers if _mark(f) == "")],
    }


def _label(node: dict[str, Any], layer: dict[str, Any] | None) -> str:
    if layer is None:
        kind = str(node["kind"])
        if kind == "image":
            return "image"
        short = kind.lower().replace("_", "")
        pooled = "pool" if "pool" in short else "norm" if "batchnorm" in short else short[:7]
        return SIGNS.get(short, pooled)
    if layer["kind"] == "linear":
        return "linear"
    size = "×".join(map(str, layer["shape"][2:]))
    return {"depthwise": f"dw {size}", "grouped": f"gr {size}"}.get(layer["kind"], size)


def _bits(layer: dict[str, Any]) -> str:
    activation = layer["activation_bits"]
    return f"W{layer['weight_bits']}A{'–' if activation is None else activation}"


def _mark(follower: dict[str, Any]) -> str:
    """n: a BatchNorm, a: an activation; nothing for what changes nothing."""
    kind = follower["kind"].lower()
    if "norm" in kind:
        return "n"
    return "" if kind.startswith(("dropout", "identity", "stochastic")) else "a"


def _tip(node: dict[str, Any], layer: dict[str, Any] | None) -> list[str]:
    shape = " × ".join(map(str, node["shape"]))
    if layer is None:
        return [node["path"] or node["kind"], f"{node['kind']}, output {shape}"]
    lines = [
        layer["path"],
        f"{layer['kind']}, weight {' × '.join(map(str, layer['shape']))}",
        f"output {shape}",
        f"{layer['parameters']:,} parameters, {layer['macs']:,} MACs",
        _around(layer),
        f"weights {layer['low']:.3g} to {layer['high']:.3g}"
        + (f", channel ranges 1 : {layer['range_ratio']:.3g}" if layer["range_ratio"] else ""),
        f"{_bits(layer)}",
    ]
    return [line for line in lines if line]


def _around(layer: dict[str, Any]) -> str:
    parts = []
    if layer["batchnorm_before"]:
        parts.append("BatchNorm before it")
    if layer["batchnorm_behind"]:
        parts.append("BatchNorm behind it")
    if layer["activation"]:
        parts.append(f"then {layer['activation']}")
    return ", ".join(parts)


def _summary(last: Cell, inside: list[dict[str, Any]]) -> list[str]:
    count = len(inside)
    parameters = sum(layer["parameters"] for layer in inside)
    shape = " × ".join(map(str, last.node["shape"]))
    if not count:
        return [shape]
    return [f"{count} layer{'s' if count > 1 else ''}, {short_count(parameters)}", f"→ {shape}"]


def short_count(number: float) -> str:
    """For example 950, 2.3 k, 4.65 M, 11.3 G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:g}"


def _tint(shape: list[int], cells: Iterable[Cell]) -> int:
    """Blocks of one resolution have one tint: a number from 0 on, in order of execution."""
    sides = list(dict.fromkeys(_side(cell.node["shape"]) for cell in cells))
    return sides.index(_side(shape))


def _side(shape: list[int]) -> int:
    return shape[-1] if len(shape) == 3 else 1


def _flagged(findings: list[dict[str, Any]]) -> dict[str, str]:
    """The worst level of each layer that a problem or a warning names."""
    flagged: dict[str, str] = {}
    for level in ("warning", "problem"):
        for finding in findings:
            if finding["level"] == level:
                for path in {finding["layer"], *finding["layers"]} - {""}:
                    flagged[path] = level
    return flagged


def _shades(layers: list[dict[str, Any]], shade: str) -> dict[str, float]:
    """In [0, 1], of each layer: what the colouring is by, on a scale of its own."""
    if shade == "bits":
        return {layer["path"]: layer["weight_bits"] / 8 for layer in layers}
    key = {"parameters": "parameters", "macs": "macs", "ratio": "range_ratio"}[shade]
    values = {layer["path"]: float(layer[key] or 0.0) for layer in layers}
    top = max(values.values(), default=0.0)
    # The root, for work and weights differ by orders of magnitude and small ones should still be seen.
    return {path: (value / top) ** 0.5 if top else 0.0 for path, value in values.items()}
