"""Charts of the lost bits: the error of every layer, and the codes that learned rounding moved."""

from typing import Any

from app.charts.images.synthesis import short
from app.charts.layers.levels import bad_db, error_share, good_db
from app.charts.style import FINE, OVER, QUANTIZED, QUIET, SHARES, WATCH, LiveFigure, axis, layout
from engine.core.percent import percent

BARS_HEIGHT = 330  # of all bars that take turns on the tab Layers
ALONE, WITH_ALL = "by itself: as in layers that cost nothing", "with all layers before it"
TO_WATCH, BAD = "by itself: to watch", "by itself: bad"


def layer_bars(layers: list[dict[str, Any]], chosen: str = "") -> LiveFigure:
    """The error of each layer in order: by itself (solid), with all errors before it (hollow); more: worse.

    It is the size of the error over that of the layer's output, from its SQNR; `chosen` is marked.
    """
    paths = [layer["path"] for layer in layers]
    good, bad = error_share(good_db()), error_share(bad_db())
    shown = layout(
        BARS_HEIGHT,
        barmode="group",
        bargap=0.25,
        xaxis=layer_axis(paths, chosen),
        yaxis=axis("error ÷ output", rangemode="tozero", **SHARES),
        shapes=[_threshold(good, WATCH), _threshold(bad, OVER)],
        annotations=[
            *([_label(good, "to watch", WATCH, below=True)] if good < bad else []),
            _label(bad, "bad", OVER),
        ],
        showlegend=True,
        margin={"l": 56, "r": 66, "t": 14, "b": 38},
    )
    common = {"on": "layer-measured", "do": "put", "at": "path", "as": "error-share"}
    bands = [[bad, OVER], [good, WATCH]]
    bindings = [
        common | {"trace": 0, "value": "values.sqnr_local_db", "above": bands, "colour": FINE},
        common | {"trace": 1, "value": "values.sqnr_accumulated_db"},
    ]
    alt = (
        "Bars of the error of each layer, as a share of its output, by itself and with all layers before it; "
        f"more is worse, {percent(bad, 0)} and more is bad, under {percent(good, 0)} costs nothing."
    )
    figure = {"data": _layer_traces(paths), "layout": shown}
    return LiveFigure(figure=figure, bindings=bindings, alt=alt)


def _layer_traces(paths: list[str]) -> list[dict[str, Any]]:
    hollow = {"color": ["rgba(0,0,0,0)"] * len(paths), "line": {"color": QUIET, "width": 1.5}}
    solid = {"color": [FINE] * len(paths)}
    words = ("by itself", "with all layers before it")
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": paths,
            "y": [None] * len(paths),
            "marker": marker,
            "showlegend": False,
            "hovertemplate": "%{x}<br>error %{y:.1%} of its output<extra>" + told + "</extra>",
        }
        for name, marker, told in zip((ALONE, WITH_ALL), (solid, hollow), words, strict=True)
    ]
    keys = ((ALONE, FINE), (TO_WATCH, WATCH), (BAD, OVER))
    return [*bars, *(_key(name, colour) for name, colour in keys), _key(WITH_ALL, "rgba(0,0,0,0)")]


def _key(name: str, colour: str) -> dict[str, Any]:
    """An entry of the legend alone: each colour that a bar may take has its name."""
    marker = {
        "color": colour,
        "symbol": "square",
        "size": 11,
        "line": {"color": QUIET, "width": 1.5},
    }
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": [None], "y": [None], "marker": marker,
        "hoverinfo": "skip",
    }  # fmt: skip


def layer_axis(paths: list[str], chosen: str = "") -> dict[str, Any]:
    """An axis with a place for every layer, in order; the chosen one's name is marked."""
    names = [short(path, 26) for path in paths]
    return axis(
        type="category",
        showgrid=False,
        tickvals=paths,
        ticktext=[f"<b>▸ {n}</b>" if p == chosen else n for p, n in zip(paths, names, strict=True)],
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


def _label(level: float, text: str, colour: str, *, below: bool = False) -> dict[str, Any]:
    """A threshold's name on its line, or below it: two lines may be next to each other."""
    return {
        "text": f"▲ {text}",
        "xref": "paper",
        "x": 1,
        "xanchor": "left",
        "y": level,
        "yanchor": "top" if below else "bottom",
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
    y_axis = axis("codes not at nearest", **SHARES, rangemode="tozero")
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
