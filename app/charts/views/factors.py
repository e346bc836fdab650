"""The relative error of a kernel's quantized factors, sweep by sweep."""

from typing import Any

from app.charts.style import QUANTIZED, SHARES, LiveFigure, axis, layout
from app.charts.views.parts import filled, line, titled


def factors() -> LiveFigure:
    """The relative error of a kernel's quantized factors, sweep by sweep."""
    error = line("error of the product", QUANTIZED, "sweep %{x}: %{y:.2%} of the kernel's size")
    shown = layout(
        300, xaxis=axis("sweep (0: float factors, rounded)"),
        yaxis=axis("relative error", **SHARES, rangemode="tozero"), **titled(),
    )  # fmt: skip
    fills: list[dict[str, Any]] = [{"trace": 0, "x": "arrays.sweep", "y": "arrays.relative_error"}]
    alt = "How far the product of the quantized factors is from the kernel, over the sweeps."
    return LiveFigure(
        figure={"data": [error], "layout": shown}, bindings=[filled("factors", fills)], alt=alt
    )
