"""The doctor's predictions beside what was measured: a dot for each change that was tried."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.style import GRID, OVER, QUANTIZED, QUIET, LiveFigure, axis, layout
from engine.core.percent import percent
from engine.run.benches.advice.file import held

HEIGHT = 420
LEAST = -60.0  # percent, at which what made a run much worse is drawn
KINDS = (("inside its band", True, QUANTIZED), ("outside", False, OVER))


def predicted_and_measured(rows: Sequence[Mapping[str, Any]]) -> LiveFigure:
    """Shares of the loss that go away, in percent: predicted across with the 95 % band, measured up.

    On the dashed line both agree. What made a run worse than by `LEAST` is drawn there.
    """
    data = [_line()]
    data += [
        _dots(name, [row for row in rows if held(row) is inside], colour)
        for name, inside, colour in KINDS
    ]
    reach = {"range": [LEAST - 6, 108], "ticksuffix": " %", "nticks": 8}
    figure = layout(
        HEIGHT, showlegend=True,
        xaxis=axis("predicted share of the loss", **reach),
        yaxis=axis("measured share of the loss", **reach),
    )  # fmt: skip
    figure["margin"] = figure["margin"] | {"t": 34}
    figure["shapes"] = [_zero("x"), _zero("y")]
    inside = sum(map(held, rows))
    alt = f"{len(rows)} changes that were tried; of {inside} the measured gain lies in the predicted band."
    return LiveFigure(figure={"data": data, "layout": figure}, alt=alt)


def _line() -> dict[str, Any]:
    ends = [LEAST, 100]
    return {
        "type": "scatter", "mode": "lines", "x": ends, "y": ends, "hoverinfo": "skip", "showlegend": False,
        "line": {"color": QUIET, "width": 1, "dash": "dash"},
    }  # fmt: skip


def _dots(name: str, rows: Sequence[Mapping[str, Any]], colour: str) -> dict[str, Any]:
    points = [_percent(row["predicted"]) for row in rows]
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": points,
        "y": [_percent(row["measured"]) for row in rows],
        "error_x": {
            "type": "data", "symmetric": False, "thickness": 1, "width": 0, "color": colour,
            "array": [_percent(row["high"]) - point for row, point in zip(rows, points, strict=True)],
            "arrayminus": [point - _percent(row["low"]) for row, point in zip(rows, points, strict=True)],
        },
        "marker": {"color": colour, "size": 9, "line": {"color": GRID, "width": 1}},
        "text": [_said(row) for row in rows],
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _said(row: Mapping[str, Any]) -> str:
    return (
        f"{row['model']}, {row['quantization']}, {row['bits']}<br>{row['change']}<br>predicted "
        f"{percent(row['predicted'], 0)}, measured {percent(row['measured'], 0)}"
    )


def _percent(share: float) -> float:
    return max(LEAST, min(105.0, round(100 * share, 1)))


def _zero(of: str) -> dict[str, Any]:
    other = "y" if of == "x" else "x"
    line = {"type": "line", "layer": "below", "line": {"color": GRID, "width": 2}}
    return line | {f"{of}0": 0, f"{of}1": 0, f"{other}ref": "paper", f"{other}0": 0, f"{other}1": 1}
