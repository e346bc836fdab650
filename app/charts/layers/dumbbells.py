"""Two runs' layers on one axis: a dot each and the line between, so that a difference is a length."""

from collections.abc import Sequence

from app.charts.images.synthesis import short
from app.charts.panels import letter
from app.charts.style import GRID, SERIES, LiveFigure, axis, layout

ROW_PX = 17
MOST_NAMED = 60


def height_px(layers: int) -> int:
    """The height of the chart of so many layers."""
    return max(180, 90 + ROW_PX * layers)


def dumbbells(
    layers: Sequence[str], sides: Sequence[Sequence[float | None]], what: str
) -> LiveFigure:
    """A row a layer in order of execution, the first on top; a dot for each side that has a value."""
    links: dict[str, list[float | str | None]] = {"x": [], "y": []}
    for layer, values in zip(layers, zip(*sides, strict=True), strict=True):
        known = [value for value in values if value is not None]
        if len(known) > 1:
            links["x"] += [min(known), max(known), None]
            links["y"] += [layer, layer, None]
    lines = {"type": "scatter", "mode": "lines", **links, "hoverinfo": "skip", "showlegend": False,
             "line": {"color": "rgba(138,148,163,0.6)", "width": 3}}  # fmt: skip
    dots = [
        {
            "type": "scatter", "mode": "markers", "name": letter(k), "x": list(values), "y": list(layers),
            "marker": {"color": SERIES[k % len(SERIES)], "size": 9},
            "hovertemplate": f"{letter(k)} · %{{y}}: %{{x:.1f}} dB<extra></extra>",
        }
        for k, values in enumerate(sides)
    ]  # fmt: skip
    shown = list(layers)[:: max(1, -(-len(layers) // MOST_NAMED))]
    up = axis(
        type="category", autorange="reversed", tickvals=shown, gridcolor=GRID,
        ticktext=[short(name) for name in shown], tickfont={"size": 10},
    )  # fmt: skip
    figure = {
        "data": [lines, *dots],
        "layout": layout(height_px(len(layers)), xaxis=axis(what), yaxis=up, showlegend=True),
    }
    names = ", ".join(letter(k) for k in range(len(sides)))
    return LiveFigure(figure=figure, alt=f"{what} of every layer, for {names}.")
