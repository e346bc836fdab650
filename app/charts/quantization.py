"""Charts of the lost bits: bars a layer, reconstruction a block, flipped codes."""

from typing import Any

from app.charts.style import (
    FLOAT,
    GRID,
    OVER,
    QUANTIZED,
    QUIET,
    SERIES,
    WATCH,
    LiveFigure,
    axis,
    layout,
)
from app.charts.synthesis import short

GOOD_DB, BAD_DB = 20.0, 10.0  # SQNR: an error of a tenth, and of a third, of the signal's size
COLUMNS = 4
BANDS = [[BAD_DB, OVER], [GOOD_DB, WATCH]]


def layer_bars(layers: list[dict[str, Any]]) -> LiveFigure:
    """SQNR of every layer in order: by its own error (solid), with all errors before it (hollow)."""
    paths = [layer["path"] for layer in layers]
    hollow = {"color": ["rgba(0,0,0,0)"] * len(paths), "line": {"color": QUIET, "width": 1.5}}
    solid = {"color": [QUANTIZED] * len(paths)}
    measured = (("this layer alone", solid), ("with all layers before it", hollow))
    traces = [
        {
            "type": "bar",
            "name": name,
            "x": paths,
            "y": [None] * len(paths),
            "marker": marker,
            "hovertemplate": "%{x}<br>%{y:.1f} dB<extra>" + name + "</extra>",
        }
        for name, marker in measured
    ]
    figure = {
        "data": traces,
        "layout": layout(
            380,
            barmode="group",
            bargap=0.25,
            xaxis=_layer_axis(paths),
            yaxis=axis("SQNR (dB)", rangemode="tozero"),
            shapes=[_threshold(GOOD_DB, WATCH), _threshold(BAD_DB, OVER)],
            annotations=[_label(GOOD_DB, "good", WATCH), _label(BAD_DB, "bad", OVER)],
            showlegend=True,
            margin={"l": 56, "r": 58, "t": 14, "b": 38},
        ),
    }
    common = {"on": "layer-measured", "do": "put", "at": "path"}
    bindings = [
        common | {"trace": 0, "value": "values.sqnr_local_db", "bands": BANDS, "colour": QUANTIZED},
        common | {"trace": 1, "value": "values.sqnr_accumulated_db"},
    ]
    alt = (
        "Bars of signal to quantization noise in decibels for every layer, local and accumulated; "
        "20 and more is good, under 10 is bad."
    )
    return LiveFigure(figure=figure, bindings=bindings, alt=alt)


def _layer_axis(paths: list[str]) -> dict[str, Any]:
    return axis(
        type="category",
        showgrid=False,
        tickvals=paths,
        ticktext=[short(path) for path in paths],
        tickangle=-60,
        tickfont={"size": 10},
        range=[-0.6, len(paths) - 0.4],
    )


def _threshold(level: float, colour: str) -> dict[str, Any]:
    line = {"color": colour, "width": 1.2, "dash": "dot"}
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": level,
        "y1": level,
        "line": line,
        "layer": "below",
    }


def _label(level: float, text: str, colour: str) -> dict[str, Any]:
    return {
        "text": f"▲ {text}" if level == GOOD_DB else f"▼ {text}",
        "xref": "paper",
        "x": 1,
        "xanchor": "left",
        "y": level,
        "yanchor": "middle",
        "showarrow": False,
        "font": {"size": 10, "color": colour},
    }


def flipped_bars(layers: list[dict[str, Any]]) -> LiveFigure:
    """The share of each layer's codes that differ from rounding to the nearest."""
    paths = [layer["path"] for layer in layers]
    trace = {
        "type": "bar",
        "name": "flipped",
        "x": paths,
        "y": [None] * len(paths),
        "marker": {"color": QUANTIZED},
        "hovertemplate": "%{x}<br>%{y:.1%} of the codes differ from nearest<extra></extra>",
    }
    y_axis = axis("codes not at nearest", tickformat=".0%", rangemode="tozero")
    figure = {"data": [trace], "layout": layout(300, xaxis=_layer_axis(paths), yaxis=y_axis)}
    binding = {
        "on": "layer-measured",
        "do": "put",
        "at": "path",
        "trace": 0,
        "value": "values.flipped",
    }
    alt = (
        "Bars: the share of weight codes of each layer that learned rounding moved off the nearest."
    )
    return LiveFigure(figure=figure, bindings=[binding], alt=alt)


def block_at_work() -> LiveFigure:
    """The reconstruction losses of the block being reconstructed now; empties with each block."""
    figure = {
        "data": [],
        "layout": layout(
            300,
            xaxis=axis("step"),
            yaxis=axis("loss", type="log", exponentformat="power", dtick=1),
            showlegend=True,
            title={"text": "", "font": {"size": 13}, "x": 1, "xanchor": "right", "y": 0.99},
        )
        | {"margin": {"l": 56, "r": 12, "t": 30, "b": 38}},
    }
    binding = {
        "on": "stepped",
        "where": {"stage": "quantization"},
        "do": "append-each",
        "group": "losses",
        "x": "step",
        "restart": "part",
        "template": {"type": "scatter", "mode": "lines"},
        "colours": SERIES,
    }
    alt = "The losses of the block that is reconstructed now, over its steps."
    return LiveFigure(figure=figure, bindings=[binding], alt=alt)


def block_multiples(blocks: list[dict[str, Any]]) -> LiveFigure:
    """One small chart a block: how far its reconstruction loss fell."""
    rows = max(1, -(-len(blocks) // COLUMNS))
    figure: dict[str, Any] = {"data": [], "layout": layout(40 + 84 * rows, annotations=[])}
    figure["layout"]["margin"] = {"l": 8, "r": 8, "t": 22, "b": 8}
    bindings = []
    for place, block in enumerate(blocks):
        row, column = divmod(place, COLUMNS)
        number = "" if place == 0 else str(place + 1)
        left, top = column / COLUMNS, 1 - row / rows
        x_domain = [left + 0.012, left + 1 / COLUMNS - 0.012]
        y_domain = [max(0.0, top - 1 / rows + 0.06 / rows), top - 0.26 / rows]
        frame = {"showticklabels": False, "showgrid": False, "zeroline": False, "linecolor": GRID}
        frame |= {"mirror": True, "ticks": ""}
        figure["layout"][f"xaxis{number}"] = frame | {"domain": x_domain, "anchor": f"y{number}"}
        figure["layout"][f"yaxis{number}"] = frame | {
            "domain": y_domain,
            "anchor": f"x{number}",
            "type": "log",
        }
        figure["layout"]["annotations"].append(
            {
                "text": short(block["name"]),
                "xref": "paper",
                "yref": "paper",
                "x": x_domain[0],
                "y": y_domain[1],
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 10},
            }
        )
        figure["data"].append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [],
                "y": [],
                "xaxis": f"x{number}",
                "yaxis": f"y{number}",
                "line": {"color": QUANTIZED, "width": 1.6},
                "hovertemplate": "step %{x}: %{y:.3g}<extra></extra>",
            }
        )
        where = {"stage": "quantization", "part": block["name"]}
        bindings.append({"on": "stepped", "where": where, "do": "append", "trace": place})
        bindings[-1] |= {"x": "step", "y": "losses.reconstruction"}
    alt = "One small curve a block: its reconstruction loss over its steps, logarithmic."
    return LiveFigure(figure=figure, bindings=bindings, alt=alt)


def judging() -> LiveFigure:
    """The running top-1 of teacher and student while the test images are judged."""
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [],
            "y": [],
            "line": {"color": colour, "width": 2},
            "hovertemplate": "%{x} images: %{y:.1%}<extra>" + name + "</extra>",
        }
        for name, colour in (("teacher", FLOAT), ("student", QUANTIZED))
    ]
    y_axis = axis("top-1 so far", tickformat=".0%")
    figure = {
        "data": traces,
        "layout": layout(240, xaxis=axis("images judged"), yaxis=y_axis, showlegend=True),
    }
    bindings = [
        {
            "on": "stepped",
            "where": {"stage": "evaluation", "part": part},
            "do": "append",
            "trace": trace,
            "x": "step",
            "y": "values.top1",
        }
        for trace, part in enumerate(("teacher", "student"))
    ]
    alt = "Running accuracy of teacher and student over the test images."
    return LiveFigure(figure=figure, bindings=bindings, alt=alt)
