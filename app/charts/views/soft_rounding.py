"""Soft roundings as a histogram from down to up, and the share of the decided over the steps."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, QUIET, LiveFigure, axis
from app.charts.views.parts import filled, line, on, trace, two


def soft_rounding() -> LiveFigure:
    """Soft roundings as a histogram from down to up, and the share of the decided over the steps."""
    bars = trace("bar", "now", "h near %{x:.2f}: %{y:.1%} of the weights")
    bars |= {"marker": {"color": QUANTIZED}, "width": 1 / 24}
    began = line("as it began", QUIET, "h near %{x:.2f}: %{y:.1%} at first", shape="hvh")
    decided = line("decided", FLOAT, "step %{x}: %{y:.1%} decided", lower=True)
    figure = {
        "data": [bars, began, decided | {"showlegend": False}],
        "layout": two(
            xaxis=axis("soft rounding: 0 is down, 1 is up", range=[-0.02, 1.02], showgrid=False),
            yaxis=axis("weights", tickformat=".0%", rangemode="tozero"),
            xaxis2=axis("step"),
            yaxis2=axis("decided", tickformat=".0%", range=[0, 1.02]),
            bargap=0.05,
        ),
    }
    fills: list[dict[str, Any]] = [
        {"trace": 0, "x": "arrays.centres", "y": "arrays.shares"},
        {"trace": 1, "x": "arrays.centres", "y": "arrays.shares", "once": True},
    ]
    follow = on("soft-rounding") | {"do": "append", "trace": 2, "x": "step", "y": "values.decided"}
    alt = (
        "Histogram of the soft roundings of the block at work, and the share of weights that have "
        "decided for up or down, over the steps."
    )
    return LiveFigure(figure=figure, bindings=[filled("soft-rounding", fills), follow], alt=alt)
