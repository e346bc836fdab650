"""What a choice of bits leads to: every layer's SQNR, the front of size against loss, layers by widths."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.layers.layer_errors import layer_axis
from app.charts.layers.levels import bad_db
from app.charts.style import (
    FLOAT,
    GAP_SCALE,
    LOG,
    OVER,
    QUANTIZED,
    QUIET,
    SERIES,
    WATCH,
    LiveFigure,
    axis,
    layout,
)
from engine.core.percent import percent
from engine.run.questions.why.fewer_bits.fader import CLIFF_DB

HEIGHT = 310
GREEN = SERIES[2]
TOP_DB = 62.0  # of the axis: 8 bits give less than 55 dB, and above stands the row of fewest bits
NEEDS_DB = 57.0
TOP_BAR_DB = NEEDS_DB - 4


def needed(cliff: int | None) -> str:
    """The fewest bits at which a layer stays above its cliff."""
    return "2" if cliff is None else ">8" if cliff >= 8 else str(cliff + 1)


def sqnr_bars(
    layers: Sequence[Mapping[str, Any]],
    sqnr_db: Sequence[float],
    bits: Mapping[str, tuple[int, int | None]],
    chosen: str = "",
) -> LiveFigure:
    """Each layer's SQNR by itself at these bits, with the line of the cliff and the fewest bits it needs.

    layers: of an answer of `bits`, each with `path` and `cliff`. `meta` tells a browser how to draw them anew
    for other bits (app/components/fader/moving.js).
    """
    paths = [one["path"] for one in layers]
    levels: list[tuple[float, str]] = [(bad_db(), OVER), (CLIFF_DB, WATCH)]
    colours = [next((c for level, c in levels if db < level), QUANTIZED) for db in sqnr_db]
    bars = {
        "type": "bar", "name": "SQNR by itself", "x": paths,
        "y": [min(max(db, 0.0), TOP_BAR_DB) for db in sqnr_db],
        "marker": {"color": colours},
        "meta": {"top": TOP_BAR_DB, "levels": levels, "fine": QUANTIZED},
        "customdata": [[words(bits[path]), db] for path, db in zip(paths, sqnr_db, strict=True)],
        "hovertemplate": "%{x} at %{customdata[0]}: %{customdata[1]:.1f} dB<extra></extra>",
    }  # fmt: skip
    needs = {
        "type": "scatter", "mode": "text", "name": "fewest bits it needs", "x": paths,
        "y": [NEEDS_DB] * len(paths),
        "text": [needed(one["cliff"]) for one in layers],
        "textfont": {"size": 11, "color": [OVER if db < CLIFF_DB else QUIET for db in sqnr_db]},
        "meta": {"level": [CLIFF_DB, OVER, QUIET]},
        "hovertemplate": "%{x} stays above the line from %{text} bits on<extra></extra>",
    }  # fmt: skip
    shown = layout(
        HEIGHT, bargap=0.25, xaxis=layer_axis(paths, chosen),
        yaxis=axis("SQNR by itself (dB)", range=[0, TOP_DB], tickvals=[0, 10, 20, 30, 40, 50]),
        shapes=[{
            "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": CLIFF_DB, "y1": CLIFF_DB,
            "line": {"color": WATCH, "width": 1.2, "dash": "dot"},
        }],
        annotations=[
            _note("fewest bits<br>it needs", NEEDS_DB, QUIET),
            _note(f"{CLIFF_DB:.0f} dB: cliff", CLIFF_DB, WATCH),
        ],
        margin={"l": 56, "r": 74, "t": 8, "b": 38},
    )  # fmt: skip
    below = [one["path"] for one, db in zip(layers, sqnr_db, strict=True) if db < CLIFF_DB]
    alt = (
        f"Bars of each layer's SQNR by itself at the chosen bits; {len(below)} of {len(layers)} are under "
        f"{CLIFF_DB:.0f} dB{': ' + ', '.join(below[:8]) if below else ''}. Above each stand the fewest bits "
        "it needs."
    )
    return LiveFigure(figure={"data": [bars, needs], "layout": shown}, alt=alt)


def _note(text: str, y: float, colour: str) -> dict[str, Any]:
    return {
        "text": text, "xref": "paper", "x": 1, "xanchor": "left", "y": y, "yanchor": "middle",
        "align": "left", "showarrow": False, "font": {"size": 10, "color": colour},
    }  # fmt: skip


def words(bits: tuple[int, int | None]) -> str:
    """W4A4, or W4 where the input stays as it is."""
    return f"W{bits[0]}" + ("" if bits[1] is None else f"A{bits[1]}")


def front(
    points: Sequence[Mapping[str, Any]],
    mine: tuple[int, float],
    run: tuple[int, float],
    measured_kl: float | None = None,
    ends: Sequence[tuple[int, float]] = (),
) -> LiveFigure:
    """Size against predicted loss: the best for each size, what was measured, the choice, the run's own bits.

    points: an answer's front; mine, run: (bytes, predicted KL in nats); measured_kl: of the choice; ends: all
    layers at the fewest and at the most bits. The axes reach to those, so that none moves with the choice.
    """
    best = [(one["size_bytes"], one["predicted_kl"]) for one in points]
    tried = [(one["size_bytes"], one["measured"]["kl"]) for one in points if one["measured"]]
    told = [
        f", {percent(one['measured']['agreement'])} of answers kept"
        for one in points
        if one["measured"]
    ]
    hollow = {"color": "rgba(0,0,0,0)", "size": 10, "line": {"color": QUANTIZED, "width": 2}}
    data = [
        _points("lines+markers", "best, predicted", best, _mark(FLOAT, 7)),
        _points("markers", "best, measured", tried, hollow, customdata=told),
        _points("markers", "this run", [run], _mark(QUIET, 10, "square")),
        _points("markers", "yours", [mine], _mark(QUANTIZED, 15, "star")),
    ]  # fmt: skip
    if measured_kl is not None:
        data.append(
            _points("markers", "yours, measured", [(mine[0], measured_kl)], _mark(GREEN, 11))
        )
    held = [*ends, *best, *tried, run] if ends else []
    shown = layout(
        HEIGHT, xaxis=axis("size of the network (kB)", **_span([size / 1e3 for size, _ in held])),
        yaxis=axis(
            "loss (KL, nats)", **LOG, **_span([math.log10(kl) for _, kl in held if kl > 0]),
        ),
        showlegend=True,
    )  # fmt: skip
    shown["legend"] |= {"font": {"size": 10}}
    alt = (
        f"The smallest predicted loss for each size, from {best[0][0] / 1e3:.0f} kB at {best[0][1]:.2g} nats "
        f"to {best[-1][0] / 1e3:.0f} kB at {best[-1][1]:.2g}; the chosen bits take {mine[0] / 1e3:.0f} kB at "
        f"{mine[1]:.2g}, the run's own {run[0] / 1e3:.0f} kB at {run[1]:.2g}."
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def _span(values: Sequence[float]) -> dict[str, Any]:
    """The range of an axis that has room for all of them; none where there are none."""
    if not values:
        return {}
    margin = 0.06 * ((max(values) - min(values)) or 1.0)
    return {"range": [min(values) - margin, max(values) + margin]}


def _mark(colour: str, size: int, symbol: str = "circle") -> dict[str, Any]:
    return {"color": colour, "size": size, "symbol": symbol}


def _points(
    mode: str, name: str, points: Sequence[tuple[int, float]], marker: dict[str, Any],
    customdata: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    told = customdata or [""] * len(points)
    known = [
        (*point, more) for point, more in zip(points, told, strict=True) if point[1] > 0
    ]  # a logarithmic axis has no 0
    return {
        "type": "scatter", "mode": mode, "name": name, "x": [one[0] / 1e3 for one in known],
        "y": [one[1] for one in known], "customdata": [one[2] for one in known], "marker": marker,
        "line": {"color": FLOAT, "width": 2},
        "hovertemplate": "%{x:,.0f} kB: %{y:.3g} nats%{customdata}<extra>" + name + "</extra>",
    }  # fmt: skip


def matrix(layers: Sequence[Mapping[str, Any]]) -> LiveFigure:
    """Every layer at every width, weights and input at the same; the steps mark each layer's cliff."""
    paths = [one["path"] for one in layers]
    widths = list(layers[0]["sqnr_db"])
    heat = {
        "type": "heatmap", "x": paths, "y": widths, "colorscale": GAP_SCALE, "zmin": 0, "zmax": 50,
        "z": [[one["sqnr_db"][width] for one in layers] for width in widths],
        "colorbar": {"title": {"text": "dB"}, "thickness": 12},
        "hovertemplate": "%{x} at %{y} bits: %{z:.1f} dB<extra></extra>",
    }  # fmt: skip
    steps = {
        "type": "scatter", "mode": "lines", "line": {"color": OVER, "width": 2, "shape": "hvh"}, "x": paths,
        "y": [-0.5 if one["cliff"] is None else widths.index(str(one["cliff"])) + 0.5 for one in layers],
        "yaxis": "y2", "hoverinfo": "skip",
    }  # fmt: skip
    shown = layout(
        HEIGHT, xaxis=layer_axis(paths), yaxis=axis("bits", type="category", showgrid=False),
        yaxis2={"overlaying": "y", "range": [-0.5, len(widths) - 0.5], "visible": False},
    )  # fmt: skip
    alt = (
        "Each layer's SQNR by itself at 2 to 8 bits; below the line it is under 20 dB: "
        + ", ".join(f"{one['path']} needs {needed(one['cliff'])}" for one in layers)
        + "."
    )
    return LiveFigure(figure={"data": [heat, steps], "layout": shown}, alt=alt)
