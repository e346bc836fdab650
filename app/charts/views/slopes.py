"""The sum of the absolute slopes of the loss in all weights, over the training."""

from typing import Any

from app.charts.style import QUANTIZED, LiveFigure, axis, layout
from app.charts.views.parts import filled, line, titled


def slopes() -> LiveFigure:
    """The sum of the absolute slopes of the loss in all weights, over the training."""
    norm = line("sum of absolute slopes", QUANTIZED, "step %{x}: %{y:.4g}")
    shown = layout(
        300, xaxis=axis("step of the training"),
        yaxis=axis("sum of |slopes|", rangemode="tozero"), **titled(),
    )  # fmt: skip
    fills: list[dict[str, Any]] = [{"trace": 0, "x": "arrays.step", "y": "arrays.norm"}]
    alt = "The l1 norm of the loss's gradient in the weights over the steps of the training."
    return LiveFigure(
        figure={"data": [norm], "layout": shown}, bindings=[filled("slopes", fills)], alt=alt
    )
