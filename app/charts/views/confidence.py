"""How probable each weight's most probable level is, and the share of the decided over the steps."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, QUIET, LiveFigure, axis
from app.charts.views.parts import filled, line, on, trace, two


def confidence() -> LiveFigure:
    """How probable each weight's most probable level is, and the share of the decided over the steps."""
    bars = trace("bar", "now", "probability near %{x:.2f}: %{y:.1%} of the weights")
    bars |= {"marker": {"color": QUANTIZED}}
    began = line("as it began", QUIET, "near %{x:.2f}: %{y:.1%} at first", shape="hvh")
    decided = line("decided", FLOAT, "step %{x}: %{y:.1%} decided", lower=True)
    figure = {
        "data": [bars, began, decided | {"showlegend": False}],
        "layout": two(
            xaxis=axis("probability of the most probable level", range=[0, 1.02], showgrid=False),
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
    follow = on("confidence") | {"do": "append", "trace": 2, "x": "step", "y": "values.decided"}
    alt = (
        "Histogram of how probable each weight's most probable level is in the block at work, and the share "
        "of weights that are sure of one, over the steps."
    )
    return LiveFigure(figure=figure, bindings=[filled("confidence", fills), follow], alt=alt)
