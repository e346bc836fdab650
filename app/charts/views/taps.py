"""The centre taps of a layer's kernels against the outer ones, before the split and after it."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, SHARES, LiveFigure, axis
from app.charts.views.parts import filled, line, two


def taps() -> LiveFigure:
    """The centre taps of a layer's kernels against the outer ones, before the split and after it."""
    data = [
        line(
            "centre, before", QUANTIZED, "near %{x:.3g}: %{y:.1%} of the centre taps", shape="hvh"
        ),
        line("outer, before", FLOAT, "near %{x:.3g}: %{y:.1%} of the outer taps", shape="hvh"),
        line(
            "centre, now",
            QUANTIZED,
            "near %{x:.3g}: %{y:.1%} of the centre taps",
            lower=True,
            shape="hvh",
        ),
        line(
            "outer, now",
            FLOAT,
            "near %{x:.3g}: %{y:.1%} of the outer taps",
            lower=True,
            shape="hvh",
        ),
    ]
    for trace in data[2:]:
        trace["showlegend"] = False
    shares = axis("taps", **SHARES, rangemode="tozero")
    figure = {
        "data": data,
        "layout": two(
            xaxis=axis("weight before the split"), yaxis=dict(shares),
            xaxis2=axis("weight now", matches="x"), yaxis2=dict(shares),
        ),
    }  # fmt: skip
    fills: list[dict[str, Any]] = [
        {"trace": k, "x": "arrays.places", "y": f"arrays.{name}", "once": k < 2}
        for k, name in enumerate(("centre", "outer", "centre", "outer"))
    ]
    alt = "Histograms of the centre taps and of the outer taps of the kernels, before the split and now."
    return LiveFigure(figure=figure, bindings=[filled("taps", fills)], alt=alt)
