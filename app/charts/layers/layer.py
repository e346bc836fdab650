"""One layer's weights on its grid: where the floats lie, which codes they became, one channel's levels."""

from typing import Any

from app.charts.style import FLOAT, OVER, QUANTIZED, SHARES, LiveFigure, axis, layout

HEIGHT = 280


def codes(view: dict[str, Any]) -> LiveFigure:
    """Float weights (blue, as shares for each step of the grid) over the codes taken (orange)."""
    arrays = view["arrays"]
    places, count = arrays["places"], _levels(arrays)
    width = places[1] - places[0]
    floats = {
        "type": "scatter",
        "mode": "lines",
        "name": "float weights",
        "x": places,
        "y": [share / width for share in arrays["floats"]],
        "line": {"color": FLOAT, "width": 2, "shape": "hvh"},
        "hovertemplate": "at %{x:.2f}: %{y:.1%} of the weights for each step<extra></extra>",
    }
    together = arrays["codes"][1] - arrays["codes"][0] if len(arrays["codes"]) > 1 else 1
    taken = {
        "type": "bar",
        "name": "codes taken",
        "x": arrays["codes"],
        "y": [share / together for share in arrays["taken"]],
        "width": 0.7 * together,
        "marker": {"color": QUANTIZED, "opacity": 0.75},
        "hovertemplate": "code %{x}: %{y:.1%} of the weights<extra></extra>",
    }
    beyond = [(-1, -0.5), (count - 0.5, count)]
    shown = layout(
        HEIGHT,
        xaxis=axis("code: one step of each channel's grid", range=[-1, count], showgrid=False),
        yaxis=axis("weights a step", **SHARES, rangemode="tozero"),
        shapes=[_beyond(low, high) for low, high in beyond],
        showlegend=True,
    )
    alt = f"Histogram of the float weights of {view['what']} on the grid of {count} codes, and of the codes."
    return LiveFigure(figure={"data": [taken, floats], "layout": shown}, alt=alt)


def _levels(arrays: dict[str, Any]) -> int:
    """How many levels the grid has: the places reach from one code below it to one above."""
    places = arrays["places"]
    return int(0.5 + places[-1] + (places[1] - places[0]) / 2)


def _beyond(low: float, high: float) -> dict[str, Any]:
    """Where a weight is more than half a step off the grid."""
    fill = {"fillcolor": OVER, "opacity": 0.12, "line": {"width": 0}, "layer": "below"}
    return {"type": "rect", "yref": "paper", "x0": low, "x1": high, "y0": 0, "y1": 1} | fill


def channel(view: dict[str, Any]) -> LiveFigure:
    """The widest output channel in its own units, with its levels as lines."""
    shares, values = view["arrays"]["channel_shares"], view["values"]
    low, high = values.get("low", 0.0), values.get("high", 1.0)
    width = (high - low) / max(1, len(shares))
    bars = {
        "type": "bar",
        "x": [low + (k + 0.5) * width for k in range(len(shares))],
        "y": shares,
        "width": width,
        "marker": {"color": FLOAT, "line": {"width": 0}},
        "hovertemplate": "near %{x:.3g}: %{y:.1%} of the channel's weights<extra></extra>",
    }
    lines = [
        {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1}
        | {"line": {"color": QUANTIZED, "width": 1}, "opacity": 0.7}
        for x in view["arrays"]["channel_levels"]
        if x is not None
    ]
    shown = layout(
        HEIGHT,
        bargap=0,
        xaxis=axis("weight (lines: levels)", showgrid=False),
        yaxis=axis("weights", **SHARES, rangemode="tozero"),
        shapes=lines,
    )
    alt = f"Histogram of output channel {values.get('channel', 0):.0f} of {view['what']} with its levels."
    return LiveFigure(figure={"data": [bars], "layout": shown}, alt=alt)
