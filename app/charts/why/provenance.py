"""Where a layer's error comes from: its four parts as a waterfall, those of all layers as stacked bars."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.layers.layer_errors import BARS_HEIGHT, layer_axis
from app.charts.style import FLOAT, QUANTIZED, QUIET, SERIES, SHARES, LiveFigure, axis, layout
from engine.core.percent import percent

MAUVE = SERIES[3]
PARTS = {
    "weights": ("its weights", QUANTIZED),
    "activations": ("the grid of its input", FLOAT),
    "inherited": ("came in with its input", QUIET),
    "interaction": ("both together", MAUVE),
}
WHOLE = "the whole error"
SMALL_DB = 30.0  # from here on an error is small (3 % of the signal): such bars are pale
WATERFALL_HEIGHT = 196


def waterfall(row: Mapping[str, Any]) -> LiveFigure:
    """The parts of one layer's error one on top of the other, up to the whole; a negative one goes back.

    row: of an answer of `explain`, with a `share`.
    """
    share: Mapping[str, float] = row["share"]
    names, bases, widths, colours, patterns, texts = [], [], [], [], [], []
    reached = 0.0
    for part, (title, colour) in PARTS.items():
        value = share[part]
        names.append(title)
        bases.append(reached if value >= 0 else reached + value)
        widths.append(abs(value))
        colours.append(colour)
        patterns.append("" if value >= 0 else "/")
        texts.append(signed(value))
        reached += value
    bars = {
        "type": "bar", "orientation": "h", "y": [*names, WHOLE], "base": [*bases, 0], "x": [*widths, reached],
        "text": [*texts, signed(reached)], "textposition": "outside", "cliponaxis": False,
        "marker": {
            "color": [*colours, "rgba(0,0,0,0)"], "pattern": {"shape": [*patterns, ""]},
            "line": {"width": [0] * len(colours) + [1.5], "color": QUIET},
        },
        "hovertemplate": "%{y}: %{text} of the error<extra></extra>",
    }  # fmt: skip
    low = min(0.0, *bases)
    high = max(1.0, *(base + width for base, width in zip(bases, widths, strict=True)))
    room = 0.16 * (high - low)
    x_axis = axis(
        "share of the error", **SHARES, range=[low - (room if low < 0 else 0), high + room]
    )
    y_axis = axis(type="category", showgrid=False, autorange="reversed")
    shown = layout(WATERFALL_HEIGHT, bargap=0.3, xaxis=x_axis, yaxis=y_axis)
    told = ", ".join(f"{PARTS[part][0]} {signed(value)}" for part, value in share.items())
    alt = f"Where the error of {row['path']} comes from, in shares that add up to {percent(1, 0)}: {told}."
    return LiveFigure(figure={"data": [bars], "layout": shown}, alt=alt)


def stacked(rows: Sequence[Mapping[str, Any]], chosen: str = "") -> LiveFigure:
    """A bar a layer of the four parts, those below zero make up for others; pale where the error is small."""
    paths = [row["path"] for row in rows]
    pale = [0.35 if is_small(row) else 1.0 for row in rows]
    data = [
        {
            "type": "bar", "name": title, "x": paths,
            "y": [None if row["share"] is None else row["share"][part] for row in rows],
            "customdata": [decibels(row) for row in rows],
            "marker": {"color": colour, "opacity": pale},
            "hovertemplate": "%{x}: %{y:.0%} " + title + "<br>its output: %{customdata}<extra></extra>",
        }
        for part, (title, colour) in PARTS.items()
    ]  # fmt: skip
    shown = layout(
        BARS_HEIGHT, barmode="relative", bargap=0.25, xaxis=layer_axis(paths, chosen),
        yaxis=axis("share of the layer's error", **SHARES, zeroline=True, zerolinecolor=QUIET),
        showlegend=True,
    )  # fmt: skip
    largest = dict.fromkeys(PARTS, 0)
    for row in rows:
        if row["share"] is not None:
            largest[max(row["share"], key=lambda part: row["share"][part])] += 1
    told = ", ".join(f"{count} {PARTS[part][0]}" for part, count in largest.items() if count)
    alt = (
        f"Where the error of every layer comes from, in shares that add up to {percent(1, 0)}. The "
        f"largest part is in so many layers: {told}."
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def is_small(row: Mapping[str, Any]) -> bool:
    """Whether a layer's output is off by so little that its parts hardly matter."""
    return bool(row["sqnr_accumulated_db"] >= SMALL_DB)


def decibels(row: Mapping[str, Any]) -> str:
    """How good the layer's output is, in words."""
    return f"{row['sqnr_accumulated_db']:.0f} dB of SQNR with all before it"


def signed(share: float) -> str:
    """A share with its sign, as a person writes it."""
    return f"{'−' if share <= -0.005 else ''}{percent(abs(share), 0)}"
