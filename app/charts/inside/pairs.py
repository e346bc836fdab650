"""How many values lie where: float across, quantized upward."""

from collections.abc import Mapping
from math import log10
from typing import Any

from app.charts.inside.inputs import HEIGHT
from app.charts.style import GAP_SCALE, OVER, LiveFigure, axis, layout


def pairs(found: Mapping[str, Any], across: str, upward: str) -> LiveFigure:
    """How many values lie where: the first across, the second upward; the diagonal is no error."""
    counts, low, high = found["counts"], found["low"], found["high"]
    width = (high - low) / len(counts)
    places = [low + (k + 0.5) * width for k in range(len(counts))]
    cells = {
        "type": "heatmap", "x": places, "y": places, "showscale": False, "colorscale": GAP_SCALE,
        "z": [[log10(n) if n else None for n in row] for row in counts],
        "customdata": counts, "hoverongaps": False,
        "hovertemplate": "%{customdata:,} values<br>"
        f"{across} %{{x:.3g}}, {upward} %{{y:.3g}}<extra></extra>",
    }  # fmt: skip
    diagonal = {
        "type": "line", "x0": low, "y0": low, "x1": high, "y1": high,
        "line": {"color": OVER, "width": 1, "dash": "dot"},
    }  # fmt: skip
    shown = layout(
        HEIGHT, xaxis=axis(across, range=[low, high]), yaxis=axis(upward, range=[low, high]),
        shapes=[diagonal],
    )  # fmt: skip
    total = sum(map(sum, counts))
    alt = f"{total:,} values, {across} against {upward}, counted in cells; the dotted line is no error."
    return LiveFigure(figure={"data": [cells], "layout": shown}, alt=alt)
