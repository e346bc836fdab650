"""The error column by column beside nearest rounding's; below, the codes of one output channel."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, QUIET, LiveFigure, axis
from app.charts.views.parts import LEVEL_LINES, dots, filled, line, two


def path() -> LiveFigure:
    """The error column by column beside nearest rounding's; below, the codes of one output channel."""
    plain = line("rounded to nearest", QUIET, "column %{x}: %{y:.3g} if rounded to nearest")
    error = line("as chosen", QUANTIZED, "column %{x}: %{y:.3g}")
    weight = dots("float weight", FLOAT, "line-ew-open", 9)
    taken = dots("level taken", QUANTIZED, "circle", 6)
    levels = axis("channel 0", gridcolor=LEVEL_LINES, showticklabels=False, tickvals=[])
    figure = {
        "data": [plain, error, weight, taken],
        "layout": two(
            xaxis=axis("column of the layer"),
            yaxis=axis("error so far", rangemode="tozero"),
            xaxis2=axis("column (lines: the levels)", showgrid=False),
            yaxis2=levels,
        ),
    }
    fills: list[dict[str, Any]] = [
        {"trace": 0, "x": "arrays.at", "y": "arrays.nearest"},
        {"trace": 1, "x": "arrays.at", "y": "arrays.error"},
        {"trace": 2, "x": "arrays.column", "y": "arrays.weight"},
        {"trace": 3, "x": "arrays.column", "y": "arrays.taken"},
        {"axis": "yaxis2", "value": "arrays.levels"},
    ]
    alt = (
        "The error of the layer's output as its columns are rounded one after another, beside that of "
        "nearest rounding; and the levels that the weights of output channel 0 take."
    )
    return LiveFigure(figure=figure, bindings=[filled("path", fills)], alt=alt)
