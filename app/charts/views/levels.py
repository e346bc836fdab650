"""One channel's weights with its levels as lines; below, where the levels lay after each turn."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, SHARES, LiveFigure, axis
from app.charts.views.parts import LEVEL_LINES, dots, filled, trace, two


def levels() -> LiveFigure:
    """One channel's weights with its levels as lines; below, where the levels lay after each turn."""
    bars = trace("bar", "float weights", "near %{x:.3g}: %{y:.1%} of the weights")
    bars["marker"] = {"color": FLOAT}
    course = dots("levels", QUANTIZED, "circle", 6) | {"xaxis": "x", "yaxis": "y2"}
    course["hovertemplate"] = "after %{y} turns: a level at %{x:.3g}<extra></extra>"
    figure = {
        "data": [bars, course],
        "layout": two(
            xaxis=axis("weight (lines: the levels now)", gridcolor=LEVEL_LINES, tickvals=[], anchor="y2")
            | {"tickformat": ".2g", "tickangle": -60},
            yaxis=axis("weights", **SHARES, rangemode="tozero"),
            yaxis2=axis("turn", autorange="reversed", type="category"),
            bargap=0.05,
        ),
    }  # fmt: skip
    fills: list[dict[str, Any]] = [
        {"trace": 0, "x": "arrays.centres", "y": "arrays.shares"},
        {"trace": 1, "x": "arrays.levels", "y": "values.turn", "add": True},
        {"axis": "xaxis", "value": "arrays.levels"},
    ]
    alt = "Histogram of one channel's weights, and how its learned levels moved turn by turn."
    return LiveFigure(figure=figure, bindings=[filled("levels", fills)], alt=alt)
