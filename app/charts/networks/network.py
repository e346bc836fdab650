"""The map of a network: layers as cells in order of execution, blocks as boxes, shortcuts as arcs.

Ranks and lanes are found here; how many boxes stand in a row is for the page to say, which knows its width.
"""

from collections.abc import Iterable
from typing import Any

from app.charts.networks.network_cells import Cell, arrange, groups_of, merged

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


def network_map(
    answer: dict[str, Any], layers: list[dict[str, Any]], findings: list[dict[str, Any]], shade: str
) -> dict[str, Any]:
    """{"groups": [{name, cells, lanes, ranks, ..}], "edges": [[cell, cell]], "open": bool}, for the page."""
    cells = merged(answer["graph"])
    about = {layer["path"]: layer for layer in layers}
    flagged = _flagged(findings)
    shades = _shades(layers, shade)
    groups = []
    for name, members in groups_of(cells):
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
