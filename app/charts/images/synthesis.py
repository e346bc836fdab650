"""Charts of the images' growth: the gap map, the losses, what the teacher thinks of the images."""

from typing import Any

from app.charts.style import (
    FLOAT,
    GAP_SCALE,
    LOG,
    QUANTIZED,
    SERIES,
    LiveFigure,
    axis,
    layout,
)

SYNTHESIS = {"stage": "synthesis"}
MOST_LABELS = 24  # of layers beside the map; more would overlap
LABEL_LETTERS = 18
FEW_STEPS = 5


def gap_map(bn_layers: list[str], *, total_steps: int = 0, height: int = 0) -> LiveFigure:
    """BatchNorm layers by steps, the colour is the gap: how the layers come to agree."""
    x_axis = axis("step", showgrid=False)
    if total_steps:
        x_axis["range"] = [0.5, total_steps + 0.5]
        if total_steps < FEW_STEPS:
            x_axis["dtick"] = 1  # there is no half of a step
    height = height or max(300, min(560, 90 + 15 * len(bn_layers)))
    shown = layout(height, xaxis=x_axis, yaxis=_layer_axis(bn_layers))
    binding = {
        "on": "stepped",
        "where": SYNTHESIS,
        "do": "column",
        "trace": 0,
        "x": "step",
        "z": "bn_gap",
    }
    alt = (
        "Heat map of the BatchNorm gap: one row a layer, one column a step; "
        "dark means that the images' statistics agree with the teacher's."
    )
    figure = {"data": [_heat(bn_layers)], "layout": shown}
    return LiveFigure(figure=figure, bindings=[binding], alt=alt)


def _heat(bn_layers: list[str]) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "x": [],
        "y": bn_layers,
        "z": [[] for _ in bn_layers],
        "customdata": [[] for _ in bn_layers],
        "zmin": -2,
        "zmax": 0.5,
        "colorscale": GAP_SCALE,
        "colorbar": {
            "title": {"text": "gap", "side": "right"},
            "tickvals": [-2, -1, 0, 0.5],
            "ticktext": ["0.01", "0.1", "1", "3"],
            "thickness": 10,
            "outlinewidth": 0,
        },
        "hovertemplate": "%{y}<br>step %{x}: gap %{customdata:.3g}<extra></extra>",
    }


def _layer_axis(bn_layers: list[str]) -> dict[str, Any]:
    shown = bn_layers[:: max(1, -(-len(bn_layers) // MOST_LABELS))]
    return axis(
        type="category",
        autorange="reversed",
        showgrid=False,
        tickvals=shown,
        ticktext=[short(name) for name in shown],
        tickfont={"size": 10},
    )


def short(path: str, letters: int = LABEL_LETTERS) -> str:
    """The end of a long layer path, where the difference lies."""
    return path if len(path) <= letters else "…" + path[1 - letters :]


def losses() -> LiveFigure:
    """Every part of the loss over the steps, on a logarithmic axis; parts appear as they are told."""
    y_axis = axis("loss part", **LOG)
    figure = {
        "data": [],
        "layout": layout(260, xaxis=axis("step"), yaxis=y_axis, showlegend=True)
        | {"hovermode": "x unified"},
    }
    binding = {
        "on": "stepped",
        "where": SYNTHESIS,
        "do": "append-each",
        "group": "losses",
        "x": "step",
        "template": {"type": "scatter", "mode": "lines"},
        "colours": SERIES,
    }
    return LiveFigure(
        figure=figure, bindings=[binding], alt="Each part of the loss over the steps."
    )


def teacher_view() -> LiveFigure:
    """The teacher's mean confidence, and how many classes it sees, over the steps."""
    lines = [_line("confidence", QUANTIZED, "y"), _line("classes seen", FLOAT, "y2")]
    figure = {
        "data": lines,
        "layout": layout(
            260,
            xaxis=axis("step", anchor="y2"),
            yaxis=axis("confidence", range=[0, 1.02], domain=[0.56, 1.0]),
            yaxis2=axis("classes seen", rangemode="tozero", domain=[0.0, 0.44]),
        ),
    }
    bindings = [
        {"trace": 0, "y": "values.confidence"},
        {"trace": 1, "y": "values.class_spread"},
    ]
    common = {"on": "stepped", "where": SYNTHESIS, "do": "append", "x": "step"}
    alt = "The teacher's mean confidence and the effective number of classes over the steps."
    return LiveFigure(figure=figure, bindings=[common | b for b in bindings], alt=alt)


def _line(name: str, colour: str, y_axis: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [],
        "y": [],
        "yaxis": y_axis,
        "line": {"color": colour, "width": 2},
        "hovertemplate": f"step %{{x}}: {name} %{{y:.3g}}<extra></extra>",
    }


def channels() -> LiveFigure:
    """Mean and std of every channel of one layer: the teacher's blue, the images' orange; below, the gap.

    The gap of a channel is in its own units, and the map shows its mean over the layer. Empty: the page
    fills it from `/api/runs/{run}/channels` with the paths in `fill`.
    """
    traces = [_dots(source, part) for part in ("mean", "std") for source in ("target", "sample")]
    traces.append(_dots("sample", "gap"))
    figure = {
        "data": traces,
        "layout": layout(
            480,
            xaxis=axis("channel", anchor="y3"),
            yaxis=axis("mean", domain=[0.70, 1.0]),
            yaxis2=axis("std", domain=[0.35, 0.65], rangemode="tozero"),
            yaxis3=axis("gap", domain=[0.0, 0.30], **LOG),
            showlegend=True,
        ),
    }
    alt = (
        "Mean and standard deviation of every channel, the teacher's and the images', and its gap in units "
        "of its own deviation."
    )
    return LiveFigure(figure=figure, alt=alt)


def _dots(source: str, part: str) -> dict[str, Any]:
    dash = {"color": FLOAT, "symbol": "line-ew-open", "size": 8, "line": {"width": 2}}
    dot = {"color": QUANTIZED, "size": 6}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "the teacher's statistics" if source == "target" else "the images'",
        "showlegend": part == "mean",
        "legendgroup": source,
        "x": [],
        "y": [],
        "xaxis": "x",
        "yaxis": {"mean": "y", "std": "y2", "gap": "y3"}[part],
        "marker": dash if source == "target" else dot,
        "hovertemplate": f"channel %{{x}}: {part} %{{y:.3g}}<extra>{source}</extra>",
        "meta": {"fill": f"{source}.{part}"},
    }
