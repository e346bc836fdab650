"""Charts of finished runs: accuracies side by side with the bands they are known to."""

from dataclasses import dataclass

from app.charts.style import SHARES, LiveFigure, axis, layout
from engine.core.percent import BAND, percent, percents


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """A top-1, or another share that is right, in [0, 1] with its 95 % band."""

    name: str
    top1: float
    low: float
    high: float
    colour: str


def accuracies(
    rows: list[Accuracy], names: list[str] | None = None, what: str = "top-1"
) -> LiveFigure:
    """One dot an accuracy with its band, the first on top; the axis spans what is shown.

    `names` keeps a row for each of them, also for those whose accuracy is not known yet; `what` is of which
    share they are.
    """
    known, told = [row.name for row in rows], percents(*(row.top1 for row in rows))
    names = names or known
    trace = {
        "type": "scatter",
        "mode": "markers+text",
        "name": "measured",
        "x": [row.top1 for row in rows],
        "y": known,
        "text": told,
        "textposition": "top center",
        "cliponaxis": False,
        "marker": {"color": [row.colour for row in rows], "size": 12},
        "hovertemplate": "%{y}: %{x:.2%}<extra></extra>",
    }
    bands = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{BAND} band",
            "x": [row.low, row.high],
            "y": [row.name, row.name],
            "line": {"color": row.colour, "width": 5},
            "opacity": 0.45,
            "hoverinfo": "skip",
        }
        for row in rows
    ]
    low = min((row.low for row in rows), default=0.0)
    high = max((row.high for row in rows), default=1.0)
    room = max(0.02, 0.12 * (high - low))
    x_axis = axis(what, **SHARES, range=[max(0.0, low - room), min(1.02, high + room)])
    y_axis = axis(type="category", showgrid=False, autorange=False)
    y_axis["range"] = [len(names) - 0.5, -0.7]
    y_axis |= {"categoryorder": "array", "categoryarray": names}
    figure = {
        "data": [*bands, trace],
        "layout": layout(72 + 52 * len(names), xaxis=x_axis, yaxis=y_axis),
    }
    alt = f"{what[0].upper()}{what[1:]} with {BAND} bands: " + "; ".join(
        f"{row.name} {top1} ({percent(row.low)} to {percent(row.high)})"
        for row, top1 in zip(rows, told, strict=True)
    )
    return LiveFigure(figure=figure, alt=f"{alt}.")


def overlap(one: Accuracy, other: Accuracy) -> bool:
    """Whether the bands overlap, so that the two are not distinguishable by this test."""
    return one.low <= other.high and other.low <= one.high
