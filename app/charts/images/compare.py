"""Charts of runs side by side over their syntheses: gap maps on one scale, lines on one axis."""

from collections.abc import Sequence
from typing import Any

from app.charts.images.synthesis import short
from app.charts.panels import letter, panels
from app.charts.style import GAP_SCALE, SERIES, SHARES, LiveFigure, axis, layout

Rows = Sequence[Sequence[float | None]]
RATIO_SCALE = [[0, "#3b8bd0"], [0.5, "#f2f2f2"], [1, "#ee8a1d"]]
MOST_NAMED = 24  # layers along an axis


def gap_maps(layers: list[str], grids: Sequence[Rows], steps: int = 0) -> LiveFigure:
    """The logarithm of each side's gap over the course of its synthesis, on one scale and one axis.

    Columns are shares of each synthesis, or lie evenly over so many `steps`.
    """
    bar = _bar([-2, -1, 0, 0.5], ["0.01", "0.1", "1", "3"])
    scale = {"zmin": -2, "zmax": 0.5, "colorscale": GAP_SCALE}
    data = [
        _map(k, layers, grid, letter(k), steps, showscale=k == 0, colorbar=bar, **scale)
        for k, grid in enumerate(grids)
    ]
    alt = "BatchNorm gap of every layer over the course of the synthesis, one map a run."
    return _maps(layers, data, [letter(k) for k in range(len(grids))], steps, alt)


def gap_differences(
    layers: list[str], grids: Sequence[Rows], steps: int = 0, of: Sequence[str] = ()
) -> LiveFigure:
    """log10 of the gap of B, C, ... (or those named) over A's: orange where larger, blue where smaller."""
    letters = of or [letter(k + 1) for k in range(len(grids))]
    names = [f"{one} / A" for one in letters]
    bar = _bar([-1, -0.5, 0, 0.5, 1], ["× 0.1", "× 0.3", "× 1", "× 3", "× 10"])
    scale = {"zmin": -1, "zmax": 1, "colorscale": RATIO_SCALE}
    data = [
        _map(k, layers, grid, name, steps, showscale=k == 0, colorbar=bar, **scale)
        for k, (grid, name) in enumerate(zip(grids, names, strict=True))
    ]
    alt = f"Ratio of the BatchNorm gaps, {', '.join(names)}: blue where it is below 1."
    return _maps(layers, data, names, steps, alt)


def _maps(
    layers: list[str], data: list[dict[str, Any]], names: list[str], steps: int, alt: str
) -> LiveFigure:
    shown = layers[:: max(1, -(-len(layers) // MOST_NAMED))]
    across = [
        axis(f"{name} · step", range=[0, steps], showgrid=False)
        if steps
        else axis(f"{name} · share", **SHARES, range=[0, 1.0], showgrid=False)
        for name in names
    ]
    up = axis(
        type="category", autorange="reversed", showgrid=False, tickvals=shown,
        ticktext=[short(name) for name in shown], tickfont={"size": 10},
    )  # fmt: skip
    height = max(260, min(420, 90 + 14 * len(layers)))
    return LiveFigure(figure={"data": data, **panels(across, up, height=height)}, alt=alt)


def _map(
    k: int, layers: list[str], grid: Rows, name: str, steps: int, **more: Any
) -> dict[str, Any]:
    """A map of logarithms; the pointer is told the numbers themselves."""
    columns = len(grid[0]) if grid else 1
    number = k + 1 if k else ""
    where = "step %{x:.0f}" if steps else "%{x:.0%}"
    return {
        "type": "heatmap",
        "name": name,
        "x": [round((i + 0.5) / columns * (steps or 1), 4) for i in range(columns)],
        "y": layers,
        "z": [list(row) for row in grid],
        "xaxis": f"x{number}",
        "yaxis": f"y{number}",
        "customdata": [[None if z is None else 10**z for z in row] for row in grid],
        "hovertemplate": f"{name} · %{{y}} at {where}: %{{customdata:.3g}}<extra></extra>",
    } | more


def _bar(values: list[float], words: list[str]) -> dict[str, Any]:
    return {
        "tickvals": values,
        "ticktext": words,
        "thickness": 10,
        "outlinewidth": 0,
    }


def lines(
    sides: Sequence[tuple[Sequence[float | str], Sequence[float]] | None], *,
    x: dict[str, Any], y: dict[str, Any], shape: str = "linear", mode: str = "lines",
    height: int = 260, alt: str,
) -> LiveFigure:  # fmt: skip
    """One line a side on the axes `x` and `y`; a side of None is left out."""
    told = f"%{{y:{y.get('hoverformat', '.3g')}}}"
    data = [
        {
            "type": "scatter", "mode": mode, "name": letter(k), "x": list(side[0]), "y": list(side[1]),
            "line": {"color": SERIES[k % len(SERIES)], "width": 2, "shape": shape}, "opacity": 0.85,
            "hovertemplate": f"{letter(k)} at %{{x}}: {told}<extra></extra>",
        }
        for k, side in enumerate(sides)
        if side is not None
    ]  # fmt: skip
    shown = layout(height, xaxis=x, yaxis=y, showlegend=True)
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def course(
    sides: Sequence[tuple[Sequence[float], Sequence[float]] | None], name: str, steps: int = 0, *,
    alt: str, **up: Any,
) -> LiveFigure:  # fmt: skip
    """A number over the course of each synthesis: over so many `steps`, or over the share of it."""
    x = (
        axis("step", range=[0, steps])
        if steps
        else axis("share", **SHARES, range=[0, 1], dtick=0.25)
    )
    return lines(sides, x=x, y=axis(name, **up), alt=alt)
