"""How right the float network is once its weights are rounded to several widths, before and after."""

from typing import Any

from app.charts.style import QUANTIZED, QUIET, SHARES, LiveFigure, axis, layout
from app.charts.views.parts import filled, line, titled


def widths() -> LiveFigure:
    """How right the float network is once its weights are rounded to several widths, before and after."""
    data = [
        line(f"{name} the training", colour, f"%{{x}} bits, {name}: %{{y:.1%}}") | {"mode": "lines+markers"}
        for name, colour in (("before", QUIET), ("after", QUANTIZED))
    ]  # fmt: skip
    shown = layout(
        300, xaxis=axis("bits a weight", dtick=1, autorange="reversed"),
        yaxis=axis("right, or as the teacher", **SHARES), showlegend=True, **titled(),
    )  # fmt: skip
    fills: list[dict[str, Any]] = [
        {"trace": k, "x": "arrays.bits", "y": f"arrays.{name}"}
        for k, name in enumerate(("before", "after"))
    ]
    alt = "Accuracy over the bits that weights are rounded to, before the training and after it."
    return LiveFigure(
        figure={"data": data, "layout": shown}, bindings=[filled("widths", fills)], alt=alt
    )
