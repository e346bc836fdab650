"""What a layer reads, by kind of images, on the levels of its grid; how far each channel reaches."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.style import (
    FINE,
    FLOAT,
    LOG,
    OVER,
    QUANTIZED,
    QUIET,
    SHARES,
    LiveFigure,
    axis,
    layout,
)
from engine.core.percent import percent

HEIGHT = 280
MOST_LINES = 64  # levels that are drawn one by one; more would be a wall
COLOURS = {"test": FLOAT, "calibration": QUANTIZED, "noise": QUIET}


def input_histogram(given: Mapping[str, Any]) -> LiveFigure:
    """Shares of the values that the layer reads, by kind of images, over the levels of its grid."""
    low, high = given["low"], given["high"]
    lines = []
    for one in given["sources"]:
        width = (high - low) / len(one["shares"])
        lines.append(
            {
                "type": "scatter", "mode": "lines", "name": one["title"],
                "x": [low + (k + 0.5) * width for k in range(len(one["shares"]))],
                "y": [share or None for share in one["shares"]],
                "line": {"color": COLOURS[one["name"]], "width": 2, "shape": "hvh"},
                "hovertemplate": f"{one['title']}: %{{y:.2%}} near %{{x:.3g}}<extra></extra>",
            }
        )  # fmt: skip
    levels = given["levels"] or []
    shown = layout(
        HEIGHT,
        xaxis=axis("value read (lines: levels)", showgrid=False),
        yaxis=axis("share of the values", **LOG | SHARES),
        shapes=[_line(x, at_end=at_end) for x, at_end in _drawn(levels)],
        showlegend=True,
    )
    clipped = ", ".join(f"{one['title']} {percent(one['clipped'], 2)}" for one in given["sources"])
    alt = f"Histogram of the layer's input on {len(levels)} levels. Clipped: {clipped}."
    return LiveFigure(figure={"data": lines, "layout": shown}, alt=alt)


def _drawn(levels: Sequence[float]) -> list[tuple[float, bool]]:
    """The levels that are drawn, and whether each is an end of the grid, beyond which values are clipped."""
    if len(levels) > MOST_LINES:
        levels = [levels[0], levels[-1]]
    return [(x, x in (levels[0], levels[-1])) for x in levels]


def _line(x: float, *, at_end: bool) -> dict[str, Any]:
    line = {"color": OVER, "width": 2, "dash": "dash"} if at_end else {"color": FINE, "width": 1}
    return {
        "type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1,
        "line": line, "opacity": 0.9 if at_end else 0.45, "layer": "below",
    }  # fmt: skip


def reach(channels: Mapping[str, Any], ends: Sequence[float], what: str) -> LiveFigure:
    """From the least to the greatest value of each channel; dashed: the ends of the one grid of all."""
    low, high = channels["low"], channels["high"]
    bars = {
        "type": "bar", "x": list(range(len(low))), "base": low,
        "y": [b - a for a, b in zip(low, high, strict=True)], "customdata": high,
        "marker": {"color": FLOAT, "line": {"width": 0}},
        "hovertemplate": "channel %{x}: %{base:.3g} to %{customdata:.3g}<extra></extra>",
    }  # fmt: skip
    lines = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y}
        | {"line": {"color": OVER, "width": 2, "dash": "dash"}}
        for y in ends
    ]
    shown = layout(
        HEIGHT, bargap=0.15, xaxis=axis(f"channel of the {what}", showgrid=False),
        yaxis=axis("from the least to the greatest value"), shapes=lines,
    )  # fmt: skip
    widest = max(range(len(low)), key=lambda k: max(-low[k], high[k]))
    alt = (
        f"The range of {len(low)} channels of the {what}; channel {widest} reaches furthest: "
        f"{low[widest]:.3g} to {high[widest]:.3g}."
    )
    return LiveFigure(figure={"data": [bars], "layout": shown}, alt=alt)
