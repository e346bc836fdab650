"""What the first planes of nested codes give: bytes read, and how the answers come nearer."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.style import FLOAT, QUANTIZED, QUIET, SHARES, LiveFigure, axis, layout
from app.wording.words import size_words
from engine.core.percent import percent

HEIGHT = 250
MEASURES = {  # what is drawn of a row: the first that is known
    "top1": "top-1", "agreement": "agreement with float", "sqnr_db": "SQNR of the output, dB",
}  # fmt: skip


def measure_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The number by which these rows are judged."""
    return next(name for name in MEASURES if all(row[name] is not None for row in rows))


def of_planes(rows: Sequence[Mapping[str, Any]], read: int) -> LiveFigure:
    """Bars of the bytes read and a line of the answers, plane by plane; the first `read` planes are lit."""
    kind = measure_of(rows)
    x = [row["bits"] for row in rows]
    sizes = {
        "type": "bar", "name": "bytes read", "x": x, "y": [row["bytes"] for row in rows],
        "marker": {"color": [QUANTIZED if bits <= read else QUIET for bits in x],
                   "opacity": [0.8 if bits <= read else 0.3 for bits in x]},
        "customdata": [size_words(row["bytes"]) for row in rows],
        "hovertemplate": "%{x} planes: %{customdata}<extra></extra>",
    }  # fmt: skip
    shown = "%{y:.1f}" if kind == "sqnr_db" else "%{y:.1%}"
    answers = {
        "type": "scatter", "mode": "lines+markers", "name": MEASURES[kind], "yaxis": "y2",
        "x": x[:read], "y": [row[kind] for row in rows[:read]], "line": {"color": FLOAT, "width": 2},
        "hovertemplate": f"%{{x}} planes: {shown}<extra></extra>",
    }  # fmt: skip
    values = [row[kind] for row in rows]
    span: dict[str, Any] = SHARES | {
        "range": [0, 1.05],
        "tick0": 0,
        "dtick": 0.25,
        "tickmode": "linear",
    }
    if kind == "sqnr_db":
        span = {"range": [min(0.0, *values), 1.05 * max(values)]}
    figure = layout(
        HEIGHT, showlegend=True, xaxis=axis("planes read", dtick=1, range=[0.4, len(x) + 0.6]),
        yaxis=axis("bytes read", rangemode="tozero", exponentformat="SI"),
        yaxis2=axis(MEASURES[kind], overlaying="y", side="right", showgrid=False) | span,
        margin={"l": 56, "r": 56, "t": 30, "b": 38},
    )  # fmt: skip
    alt = f"{read} of {len(x)} planes: {words(rows[read - 1])}."
    return LiveFigure(figure={"data": [sizes, answers], "layout": figure}, alt=alt)


def words(row: Mapping[str, Any]) -> str:
    """A row in words."""
    kind = measure_of([row])
    value = f"{row[kind]:.1f}" if kind == "sqnr_db" else percent(row[kind])
    return f"{size_words(row['bytes'])} read, {MEASURES[kind]} {value}"
