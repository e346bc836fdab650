"""What each part of a recipe earns, on one network: a row a rung, a dot a seed, their mean a diamond."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from app.charts.style import FLOAT, GRID, QUANTIZED, QUIET, LiveFigure, axis, layout
from engine.run.benches.ladder import CONTROL, mean_of, percent

LONGEST = 22  # letters of a row's name in one line
MOST_SPAN = 0.12  # of top-1: a rung further below the next is said in words instead of drawn


def shown(network: Mapping[str, Any]) -> dict[str, Sequence[float | None]]:
    """The rungs that are drawn: measured, and near enough for one axis."""
    known = {rung: tops for rung, tops in network["top1"].items() if mean_of(tops) is not None}
    best = max((mean_of(tops) or 0.0 for tops in known.values()), default=0.0)
    far = best - (mean_of(known.get(CONTROL, [])) or 0.0) > MOST_SPAN
    return {rung: tops for rung, tops in known.items() if rung != CONTROL or not far}


def earned(network: Mapping[str, Any], seeds: Sequence[int]) -> LiveFigure:
    """Top-1 in percent, rung by rung from above; the float network's band stands across."""
    rungs = shown(network)
    means = [_percent(mean_of(tops)) for tops in rungs.values()]
    data = [_line(means, list(rungs))]
    data += [
        _dots([_percent(tops[k]) for tops in rungs.values()], list(rungs), f"seed {seed}")
        for k, seed in enumerate(seeds)
    ]
    data += [_means(means, list(rungs))]
    y_axis = axis(type="category", showgrid=False, range=[len(rungs) - 0.4, -0.6])
    y_axis |= {"categoryorder": "array", "categoryarray": list(rungs), "tickfont": {"size": 12}}
    y_axis |= {"tickvals": list(rungs), "ticktext": [_in_lines(rung) for rung in rungs]}
    x_axis = axis("top-1, %", nticks=6) | _reach(network, rungs)
    figure = layout(86 + 34 * len(rungs), xaxis=x_axis, yaxis=y_axis)
    figure["margin"] = {"l": 120, "r": 16, "t": 26, "b": 44}
    figure["shapes"], figure["annotations"] = _float(network)
    return LiveFigure(figure={"data": data, "layout": figure}, alt=_alt(network, rungs))


def _in_lines(rung: str) -> str:
    """In two lines where it is long, so that a narrow page keeps room for the dots."""
    return "<br>".join(wrap(rung, LONGEST))


def _reach(
    network: Mapping[str, Any], rungs: Mapping[str, Sequence[float | None]]
) -> dict[str, Any]:
    """The axis over all dots and the float network's band, with room on both sides."""
    every = [*network["band"], *(top for tops in rungs.values() for top in tops)]
    known = [100 * share for share in every if share is not None]
    if not known:
        return {}
    room = 0.05 * (max(known) - min(known)) or 0.5
    return {"range": [min(known) - room, max(known) + room]}


def _percent(top1: float | None) -> float | None:
    return None if top1 is None else round(100 * top1, 2)


def _line(means: Sequence[float | None], rungs: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "x": list(means), "y": list(rungs),
        "line": {"color": GRID, "width": 5}, "hoverinfo": "skip",
    }  # fmt: skip


def _dots(tops: Sequence[float | None], rungs: Sequence[str], name: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": list(tops), "y": list(rungs),
        "marker": {"color": QUIET, "size": 8, "opacity": 0.75}, "cliponaxis": False,
        "hovertemplate": f"%{{y}}, {name}: %{{x:.4g}} %<extra></extra>",
    }  # fmt: skip


def _means(means: Sequence[float | None], rungs: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": "mean", "x": list(means), "y": list(rungs),
        "marker": {"color": QUANTIZED, "size": 12, "symbol": "diamond"}, "cliponaxis": False,
        "hovertemplate": "%{y}, mean: %{x:.4g} %<extra></extra>",
    }  # fmt: skip


def _float(network: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The float network's top-1 as a line in its 95 % band, and its name above."""
    if network["float"] is None:
        return [], []
    at, (low, high) = 100 * network["float"], (100 * side for side in network["band"])
    across = {"yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    band = {"type": "rect", "x0": low, "x1": high, "fillcolor": FLOAT, "opacity": 0.12}
    line = {
        "type": "line",
        "x0": at,
        "x1": at,
        "line": {"color": FLOAT, "width": 2, "dash": "dash"},
    }
    words = {
        "text": f"float {percent(at / 100)}", "x": at, "yref": "paper", "y": 1, "yanchor": "bottom",
        "showarrow": False, "font": {"color": FLOAT, "size": 12},
    }  # fmt: skip
    return [band | across | {"line": {"width": 0}}, line | across], [words]


def _alt(network: Mapping[str, Any], rungs: Mapping[str, Sequence[float | None]]) -> str:
    said = "; ".join(f"{rung} {percent(mean_of(tops))}" for rung, tops in rungs.items())
    return f"{network['title']}, mean top-1: {said}; float {percent(network['float'])}."
