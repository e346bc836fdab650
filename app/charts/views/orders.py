"""A layer's error as its columns are rounded one after another, in three orders."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, QUIET, SHARES, LiveFigure, axis, layout
from app.charts.views.parts import filled, line, titled

COLOURS = {"importance": QUANTIZED, "magnitude": FLOAT, "random": QUIET}
NAMES = {
    "importance": "strongest inputs first",
    "magnitude": "largest weights first",
    "random": "at random",
}


def orders() -> LiveFigure:
    """A layer's error as its columns are rounded one after another, in three orders."""
    lines = [
        line(NAMES[order], colour, "%{x:.0%} of the columns: %{y:.2%}")
        for order, colour in COLOURS.items()
    ]
    shown = layout(
        300, showlegend=True, xaxis=axis("columns rounded", **SHARES),
        yaxis=axis("error so far", **SHARES, rangemode="tozero"), **titled(),
    )  # fmt: skip
    fills: list[dict[str, Any]] = [
        {"trace": k, "x": "arrays.at", "y": f"arrays.{order}"} for k, order in enumerate(COLOURS)
    ]
    alt = (
        "The error of the layer's output over the share of its columns that are rounded: with the strongest "
        "inputs first, with the largest weights first, and in random order."
    )
    return LiveFigure(
        figure={"data": lines, "layout": shown}, bindings=[filled("orders", fills)], alt=alt
    )
