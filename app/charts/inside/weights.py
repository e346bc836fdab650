"""The range of each output channel's weights, and one channel with a weight that is moved on its grid."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.inside.inputs import HEIGHT, MOST_LINES, reach
from app.charts.style import FLOAT, OVER, QUANTIZED, SHARES, LiveFigure, axis, layout


def weight_ranges(channels: Mapping[str, Any], chosen: int) -> LiveFigure:
    """From the least to the greatest weight of each output channel, and the ends of its own grid."""
    figure = reach(channels, (), "output")
    count = len(channels["low"])
    figure.figure["data"][0]["marker"]["color"] = [
        QUANTIZED if k == chosen else FLOAT for k in range(count)
    ]
    figure.figure["data"][0]["name"] = "weights"
    for name, title in (("grid_low", "lowest level"), ("grid_high", "highest level")):
        figure.figure["data"].append(
            {
                "type": "scatter", "mode": "markers", "name": title, "x": list(range(count)),
                "y": channels[name],
                "marker": {"color": OVER, "symbol": "line-ew-open", "size": 7},
                "hovertemplate": "channel %{x}: its grid ends at %{y:.3g}<extra></extra>",
            }
        )  # fmt: skip
    return figure


def one_channel(one: Mapping[str, Any], weight: float) -> LiveFigure:
    """One output channel's weights over its levels, and a weight that is moved with the level it takes."""
    low, high = one["low"], one["high"]
    points = {
        "type": "histogram", "x": one["values"], "xbins": {"start": low, "size": (high - low) / 48},
        "histnorm": "probability", "marker": {"color": FLOAT, "line": {"width": 0}},
        "hovertemplate": "near %{x:.3g}: %{y:.1%} of the channel's weights<extra></extra>",
    }  # fmt: skip
    taken = nearest(one["levels"], weight)
    levels = one["levels"] if len(one["levels"]) <= MOST_LINES else []
    lines = [
        {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1}
        | {"line": {"color": QUANTIZED, "width": 1}, "opacity": 0.6}
        for x in levels
    ]
    moved = [
        {"type": "line", "yref": "paper", "x0": weight, "x1": weight, "y0": 0, "y1": 1}
        | {"line": {"color": OVER, "width": 3}},
        {"type": "rect", "yref": "paper", "y0": 0.9, "y1": 1}
        | {"x0": weight, "x1": one["levels"][taken]}
        | {"fillcolor": OVER, "opacity": 0.35, "line": {"width": 0}},
    ]
    shown = layout(
        HEIGHT, bargap=0, xaxis=axis("weight (lines: levels)", showgrid=False),
        yaxis=axis("weights", **SHARES, rangemode="tozero"), shapes=[*lines, *moved],
    )  # fmt: skip
    alt = (
        f"Weights of output channel {one['channel']} with {len(one['levels'])} levels; a weight of "
        f"{weight:.3g} takes code {taken}, {one['levels'][taken]:.3g}."
    )
    return LiveFigure(figure={"data": [points], "layout": shown}, alt=alt)


def nearest(levels: Sequence[float], weight: float) -> int:
    """The code of the level that is nearest to a weight."""
    return min(range(len(levels)), key=lambda k: abs(levels[k] - weight))
