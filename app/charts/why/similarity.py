"""How alike the weights of teacher and student are: the drift of each layer, and all layers against all."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.images.synthesis import short
from app.charts.layers.layer_errors import layer_axis
from app.charts.style import QUANTIZED, QUIET, LiveFigure, axis, layout

ALIKE_SCALE = [[0.0, "rgba(128,140,160,0.16)"], [0.5, "#9cc3e6"], [1.0, "#2a6fb0"]]
DRIFT_PX, MAP_PX = 260, 380


def drifts(layers: Sequence[Mapping[str, Any]], chosen: str = "") -> LiveFigure:
    """1 − the chain-normalised cosine of each layer's weights, in order; more is further."""
    known = [one for one in layers if one["drift"] is not None]
    paths, values = [one["path"] for one in known], [float(one["drift"]) for one in known]
    bars = {
        "type": "bar", "x": paths, "y": values,
        "marker": {"color": [QUANTIZED if path == chosen else QUIET for path in paths]},
        "hovertemplate": "%{x}<br>drift %{y:.3g}<extra></extra>",
    }  # fmt: skip
    y_axis = axis("drift: 1 − cosine", rangemode="tozero", exponentformat="power")
    shown = layout(DRIFT_PX, bargap=0.25, xaxis=layer_axis(paths, chosen), yaxis=y_axis)
    worst = max(zip(values, paths, strict=True), default=(0.0, "no layer"))
    alt = f"The drift of {len(paths)} layers' weights; most at {worst[1]}: {worst[0]:.3g}."
    return LiveFigure(figure={"data": [bars], "layout": shown}, alt=alt)


def alike_map(matrix: Mapping[str, Any]) -> LiveFigure:
    """Every layer of the teacher against every layer of the student of its shape; empty: other shapes."""
    rows, columns = list(matrix["rows"]), list(matrix["columns"])
    cells = {
        "type": "heatmap", "x": columns, "y": rows, "z": matrix["cosines"], "zmin": 0, "zmax": 1,
        "colorscale": ALIKE_SCALE, "xgap": 1, "ygap": 1, "hoverongaps": False,
        "colorbar": {"thickness": 10, "title": {"text": "cosine"}},
        "hovertemplate": "teacher %{y}<br>student %{x}<br>cosine %{z:.4f}<extra></extra>",
    }  # fmt: skip
    y_axis = axis(
        "teacher", type="category", autorange="reversed", showgrid=False, tickvals=rows,
        ticktext=list(map(short, rows)),
    )  # fmt: skip
    x_axis = axis(
        "student, in the same order", type="category", showgrid=False, showticklabels=False
    )
    shown = layout(MAP_PX, xaxis=x_axis, yaxis=y_axis)
    diagonal = [row[k] for k, row in enumerate(matrix["cosines"]) if k < len(row)]
    known = [one for one in diagonal if one is not None]
    least = f"{min(known):.4f}" if known else "unknown"
    alt = f"Cosines of {len(rows)} layers against {len(columns)}; the least with itself is {least}."
    return LiveFigure(figure={"data": [cells], "layout": shown}, alt=alt)
