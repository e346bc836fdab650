"""Charts of the lost bits: bars a layer, and the codes that learned rounding moved."""

from typing import Any

from app.charts.style import OVER, QUANTIZED, QUIET, WATCH, LiveFigure, axis, layout
from app.charts.synthesis import short

GOOD_DB, BAD_DB = 20.0, 10.0  # SQNR: an error of a tenth, and of a third, of the signal's size
BANDS = [[BAD_DB, OVER], [GOOD_DB, WATCH]]


def layer_bars(layers: list[dict[str, Any]]) -> LiveFigure:
    """SQNR of every layer in order: by its own error (solid), with all errors before it (hollow)."""
    paths = [layer["path"] for layer in layers]
    shown = layout(
        380,
        barmode="group",
        bargap=0.25,
        xaxis=layer_axis(paths),
        yaxis=axis("SQNR (dB)", rangemode="tozero"),
        shapes=[_threshold(GOOD_DB, WATCH), _threshold(BAD_DB, OVER)],
        annotations=[_label(GOOD_DB, "good", WATCH), _label(BAD_DB, "bad", OVER)],
        showlegend=True,
        margin={"l": 56, "r": 58, "t": 14, "b": 38},
    )
    common = {"on": "layer-measured", "do": "put", "at": "path"}
    bindings = [
        common | {"trace": 0, "value": "values.sqnr_local_db", "bands": BANDS, "colour": QUANTIZED},
        common | {"trace": 1, "value": "values.sqnr_accumulated_db"},
    ]
    alt = (
        "Bars of signal to quantization noise in decibels for every layer, local and accumulated; "
        "20 and more is good, under 10 is bad."
    )
    figure = {"data": _layer_traces(paths), "layout": shown}
    return LiveFigure(figure=figure, bindings=bindings, alt=alt)


def _layer_traces(paths: list[str]) -> list[dict[str, Any]]:
    hollow = {"color": ["rgba(0,0,0,0)"] * len(paths), "line": {"color": QUIET, "width": 1.5}}
    solid = {"color": [QUANTIZED] * len(paths)}
    measured = (("this layer alone", solid), ("with all layers before it", hollow))
    return [
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


def layer_axis(paths: list[str]) -> dict[str, Any]:
    """An axis with a place for every layer, in order."""
    return axis(
        type="category",
        showgrid=False,
        tickvals=paths,
        ticktext=[short(path, 26) for path in paths],
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
    figure = {"data": [trace], "layout": layout(300, xaxis=layer_axis(paths), yaxis=y_axis)}
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
