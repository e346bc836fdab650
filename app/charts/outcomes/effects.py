"""One claim as dots: the method and its baseline seed by seed, between the controls noise and real."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.style import FLOAT, GRID, QUANTIZED, QUIET, LiveFigure, axis, layout

REAL = "#1ba57b"
WIDE = 20.0  # of largest over smallest number: from here on the axis is logarithmic
Row = Mapping[str, Any]


def claim(row: Row, seeds: Sequence[int]) -> LiveFigure:
    """A line for each seed, from the baseline's dot to the method's; noise and real stand across."""
    values = row["values"]
    names = [f"seed {seed}" for seed in seeds]
    controls = [
        (name, colour, dash, _mean(values[name]))
        for name, colour, dash in (("noise", QUIET, "dot"), ("real", REAL, "dash"))
    ]
    if row["baseline"] == "noise":  # then it has dots already
        controls = controls[1:]
    shown = [v for side in ("method", "baseline") for v in values[side] if v is not None]
    shown += [mean for *_, mean in controls if mean is not None]
    logarithmic = bool(shown) and min(shown) > 0 and max(shown) / min(shown) > WIDE
    data = [
        _pair(b, m, name)
        for b, m, name in zip(values["baseline"], values["method"], names, strict=True)
    ]
    data += [
        _dots(values["baseline"], names, str(row["baseline_title"]), FLOAT, "circle"),
        _dots(values["method"], names, str(row["method_title"]), QUANTIZED, "diamond"),
    ]
    data += [
        _named(name, colour, dash, mean, names[0])
        for name, colour, dash, mean in controls
        if mean is not None
    ]
    arrow = "← the claimed side" if row["lower"] else "the claimed side →"
    x_axis = axis(arrow, nticks=6, exponentformat="power") | _reach(shown, logarithmic=logarithmic)
    y_axis = axis(type="category", showgrid=False, range=[len(seeds) - 0.4, -0.6])
    y_axis |= {"categoryorder": "array", "categoryarray": names, "tickfont": {"size": 11}}
    figure = layout(122 + 22 * len(seeds), xaxis=x_axis, yaxis=y_axis, showlegend=True)
    figure["margin"] = {"l": 56, "r": 16, "t": 34, "b": 44}
    figure["shapes"] = [
        _line(colour, dash, mean) for _, colour, dash, mean in controls if mean is not None
    ]
    return LiveFigure(figure={"data": data, "layout": figure}, alt=_alt(row))


def _reach(shown: Sequence[float], *, logarithmic: bool) -> dict[str, Any]:
    """The axis over all numbers with room on both sides; on a logarithmic one, ticks at 1, 2, 5."""
    if not shown:
        return {}
    if not logarithmic:
        room = 0.06 * (max(shown) - min(shown)) or 0.5
        return {"range": [min(shown) - room, max(shown) + room]}
    low, high = math.log10(min(shown)), math.log10(max(shown))
    room = 0.06 * (high - low)
    steps = (1, 2, 5) if high - low < 2.5 else (1,)
    decades = range(math.floor(low), math.ceil(high) + 1)
    ticks = [float(f"{step}e{decade}") for decade in decades for step in steps]
    return {
        "type": "log", "range": [low - room, high + room], "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }  # fmt: skip


def _line(colour: str, dash: str, at: float) -> dict[str, Any]:
    line = {"color": colour, "width": 2, "dash": dash}
    return {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _pair(baseline: float | None, method: float | None, name: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "x": [baseline, method], "y": [name, name],
        "line": {"color": GRID, "width": 6}, "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip


def _dots(
    values: Sequence[float | None], names: Sequence[str], title: str, colour: str, symbol: str
) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": title, "x": list(values), "y": list(names),
        "marker": {"color": colour, "size": 11, "symbol": symbol}, "cliponaxis": False,
        "hovertemplate": f"{title}, %{{y}}: %{{x:.4g}}<extra></extra>",
    }  # fmt: skip


def _named(name: str, colour: str, dash: str, mean: float, place: str) -> dict[str, Any]:
    """A control in the legend, and its number where the pointer meets it; the line is a shape."""
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": [mean, mean], "y": [place, place],
        "line": {"color": colour, "width": 2, "dash": dash},
        "hovertemplate": f"{name}, mean: %{{x:.4g}}<extra></extra>",
    }  # fmt: skip


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _alt(row: Row) -> str:
    sides = (
        ("method", row["method_title"]),
        ("baseline", row["baseline_title"]),
        ("noise", "noise"),
        ("real", "real"),
    )
    said = "; ".join(
        f"{title} {', '.join('–' if v is None else f'{v:.3g}' for v in row['values'][side])}"
        for side, title in sides
        if side in ("method", "baseline") or _mean(row["values"][side]) is not None
    )
    return f"{row['says']} Seed by seed: {said}."
