"""The gradient of a weight's sign as it is estimated, where the weights lie, and what a sign says."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, QUIET, LiveFigure, axis
from app.charts.views.parts import filled, line, on, trace, two

_WEIGHTS = "rgba(138,148,163,0.35)"


def signs() -> LiveFigure:
    """The gradient of a weight's sign as it is estimated, where the weights lie, and what a sign says."""
    weights = trace("bar", "weights", "%{x:.1f} deviations: %{y:.1%} of the weights")
    data: list[dict[str, Any]] = [
        weights | {"marker": {"color": _WEIGHTS}, "yaxis": "y3"},
        line("gradient as it began", QUIET, "%{x:.1f} deviations: %{y:.2f} at first"),
        line("gradient now", QUANTIZED, "%{x:.1f} deviations: %{y:.2f}"),
        line("balanced sign", FLOAT, "step %{x}: %{y:.3f} bits", lower=True),
        line(
            "sign of the weight itself", QUIET, "step %{x}: %{y:.3f} bits", lower=True, dash="dash"
        ),
    ]
    shown = two(
        xaxis=axis("weight, in standard deviations from its border", range=[-3, 3], showgrid=False),
        yaxis=axis("gradient of the sign", rangemode="tozero"),
        yaxis3={"overlaying": "y", "side": "right", "visible": False, "rangemode": "tozero"},
        xaxis2=axis("step"),
        yaxis2=axis("bits a sign says"),
        bargap=0.05,
    )
    fills: list[dict[str, Any]] = [
        {"trace": 0, "x": "arrays.centres", "y": "arrays.shares"},
        {"trace": 1, "x": "arrays.place", "y": "arrays.slope", "once": True},
        {"trace": 2, "x": "arrays.place", "y": "arrays.slope"},
    ]
    follow = [
        on("signs") | {"do": "append", "trace": 3 + k, "x": "step", "y": f"values.{name}"}
        for k, name in enumerate(("entropy", "plain"))
    ]
    return LiveFigure(
        figure={"data": data, "layout": shown},
        bindings=[filled("signs", fills), *follow],
        alt="The estimated gradient of the weights' signs over the weights' distance from their border, as "
        "it began and now, with a histogram of the weights; below, the bits a sign says, over the steps.",
    )
