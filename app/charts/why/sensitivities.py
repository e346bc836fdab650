"""Layers ranked by several measures of sensitivity, and how alike the measures rank them."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.images.synthesis import short
from app.charts.style import FLOAT, GAP_SCALE, OVER, LiveFigure, axis, layout

MEASURES = {  # by the engine's names, cheapest kind first
    "sqnr": "weights", "output": "output", "hessian": "curvature", "kl": "answers",
}  # fmt: skip
ROW_PX, ABOVE_PX, LEAST_PX = 19, 60, 240
AGREEMENT_PX = 260
AGREEMENT_SCALE = [[0.0, OVER], [0.5, "#e6e8ec"], [1.0, FLOAT]]


def ranks(found: Mapping[str, Any], width: int) -> LiveFigure:
    """A row a layer, a column a measure; the cell is the layer's rank at so many bits, 1: minds most."""
    layers, kinds = found["layers"], found["measures"]
    paths = [one["path"] for one in layers]
    cells = {
        "type": "heatmap", "x": [MEASURES[kind] for kind in kinds], "y": paths,
        "z": [[one["ranks"][kind][str(width)] for kind in kinds] for one in layers],
        "customdata": [[one["values"][kind][str(width)] for kind in kinds] for one in layers],
        "zmin": 1, "zmax": max(2, len(paths)), "colorscale": GAP_SCALE, "reversescale": True,
        "showscale": False, "xgap": 2, "ygap": 1, "texttemplate": "%{z}", "textfont": {"size": 11},
        "hovertemplate": "%{y}<br>by %{x}: rank %{z}<br>%{customdata:.3g}<extra></extra>",
    }  # fmt: skip
    shown = layout(
        max(LEAST_PX, ABOVE_PX + ROW_PX * len(paths)),
        xaxis=axis(type="category", side="top", showgrid=False, fixedrange=True),
        yaxis=axis(
            type="category", autorange="reversed", showgrid=False, tickvals=paths,
            ticktext=list(map(short, paths)),
        ),
        margin={"l": 56, "r": 12, "t": 34, "b": 8},
    )  # fmt: skip
    return LiveFigure(figure={"data": [cells], "layout": shown}, alt=_most(layers, kinds, width))


def _most(layers: Sequence[Mapping[str, Any]], kinds: Sequence[str], width: int) -> str:
    first = (
        f"{MEASURES[kind]}: {min(layers, key=lambda one: one['ranks'][kind][str(width)])['path']}"
        for kind in kinds
    )
    return f"{len(layers)} layers ranked at {width} bits. The one that minds most, by {', '.join(first)}."


def agreement(found: Mapping[str, Any], coefficient: str = "spearman") -> LiveFigure:
    """Measures against measures: the rank correlation over the layers, its mean over the widths."""
    kinds = found["measures"]
    names = [MEASURES[kind] for kind in kinds]
    of = {(one["a"], one["b"]): one[coefficient] for one in found["agreement"]}
    table = [[1.0 if a == b else of.get((a, b), of.get((b, a))) for b in kinds] for a in kinds]
    cells = {
        "type": "heatmap", "x": names, "y": names, "z": table, "zmin": -1, "zmax": 1,
        "colorscale": AGREEMENT_SCALE, "showscale": False, "xgap": 2, "ygap": 2, "hoverongaps": False,
        "texttemplate": "%{z:+.2f}",
        "hovertemplate": "%{y} and %{x}: %{z:+.3f}<extra></extra>",
    }  # fmt: skip
    shown = layout(
        AGREEMENT_PX,
        xaxis=axis(type="category", side="top", showgrid=False, fixedrange=True),
        yaxis=axis(type="category", autorange="reversed", showgrid=False, fixedrange=True),
        margin={"l": 56, "r": 12, "t": 34, "b": 8},
    )
    said = ", ".join(
        f"{MEASURES[a]} and {MEASURES[b]} {'unknown' if rho is None else f'{rho:+.2f}'}"
        for (a, b), rho in of.items()
    )
    alt = f"Rank correlation of the measures, {coefficient.capitalize()}: {said}."
    return LiveFigure(figure={"data": [cells], "layout": shown}, alt=alt)
