"""The weights that are still free as a cloud, and the values that hold the others, round by round."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, SHARES, LiveFigure, axis
from app.charts.views.parts import dots, filled, trace, two


def fixing() -> LiveFigure:
    """The weights that are still free as a cloud, and the values that hold the others, round by round."""
    free = trace("bar", "free", "near %{x:.3g}: %{y:.1%} of all weights are free")
    free["marker"] = {"color": FLOAT}
    held = trace("scatter", "fixed to a value", "%{x:.4g} holds %{y:.1%} of all weights")
    held |= {"mode": "markers", "marker": {"color": QUANTIZED, "size": 7}}
    course = dots("values", QUANTIZED, "circle", 5) | {"xaxis": "x", "yaxis": "y2"}
    course |= {"hovertemplate": "round %{y}: %{x:.4g}<extra></extra>", "showlegend": False}
    figure = {
        "data": [free, held, course],
        "layout": two(
            xaxis=axis("weight", tickformat=".2g", anchor="y2"),
            yaxis=axis("of all weights", **SHARES, rangemode="tozero"),
            yaxis2=axis("round", autorange="reversed", type="category"),
            bargap=0.05,
        ),
    }
    fills: list[dict[str, Any]] = [
        {"trace": 0, "x": "arrays.centres", "y": "arrays.free"},
        {"trace": 1, "x": "arrays.now", "y": "arrays.held"},
        {"trace": 2, "x": "arrays.value", "y": "arrays.round"},
    ]
    alt = (
        "Histogram of the weights that are free, the values of the codebook with the share of weights that "
        "each holds, and which values there were after each round of fixing."
    )
    return LiveFigure(figure=figure, bindings=[filled("fixing", fills)], alt=alt)
