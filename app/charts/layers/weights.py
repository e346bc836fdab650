"""The weights of one layer: how they are spread, and how wide each output channel is."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, LiveFigure, axis, layout

HEIGHT = 250


def histogram(layer: dict[str, Any]) -> LiveFigure:
    """How many weights have which value, with the range of the widest and the median channel."""
    counts = layer["histogram"]["counts"]
    low, high = layer["histogram"]["ends"]
    width = (high - low) / max(1, len(counts))
    trace = {
        "type": "bar",
        "x": [low + (k + 0.5) * width for k in range(len(counts))],
        "y": counts,
        "width": width,
        "marker": {"color": FLOAT, "line": {"width": 0}},
        "hovertemplate": "near %{x:.3g}: %{y:,} weights<extra></extra>",
    }
    shown = layout(HEIGHT, bargap=0, xaxis=axis("weight"), yaxis=axis("weights", tickformat="~s"))
    alt = f"Histogram of the weights of {layer['path']}, from {low:.3g} to {high:.3g}."
    return LiveFigure(figure={"data": [trace], "layout": shown}, alt=alt)


def channel_ranges(layer: dict[str, Any]) -> LiveFigure:
    """The lowest and highest weight of every output channel, the widest channel first."""
    pairs = sorted(
        zip(
            layer["channels"]["low"],
            layer["channels"]["high"],
            range(layer["shape"][0]),
            strict=True,
        ),
        key=lambda pair: -max(abs(pair[0]), abs(pair[1])),
    )
    x = list(range(len(pairs)))
    named = [f"channel {pair[2]}: {pair[0]:.3g} to {pair[1]:.3g}" for pair in pairs]
    line = {"shape": "hvh", "width": 1, "color": QUANTIZED}
    common = {"type": "scatter", "mode": "lines", "x": x, "text": named, "line": line}
    common["hovertemplate"] = "%{text}<extra></extra>"
    filled = {"fill": "tonexty", "fillcolor": "rgba(238,138,29,0.28)"}
    lows = {**common, "name": "lowest", "y": [pair[0] for pair in pairs]}
    highs = {**common, **filled, "name": "highest", "y": [pair[1] for pair in pairs]}
    x_axis = axis("output channels, the widest first", range=[-0.5, len(x) - 0.5])
    shown = layout(HEIGHT, xaxis=x_axis, yaxis=axis("lowest to highest weight"))
    alt = f"Range of the weights of each of the {len(x)} output channels of {layer['path']}."
    return LiveFigure(figure={"data": [lows, highs], "layout": shown}, alt=alt)
