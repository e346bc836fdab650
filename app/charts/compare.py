"""Charts of runs side by side: gap maps on one scale, images on one plane, distributions on one axis."""

from collections.abc import Sequence
from typing import Any

from app.charts.style import GAP_SCALE, SERIES, LiveFigure, axis, layout
from app.charts.synthesis import short

# Twelve colours for classes, told apart on light and dark; beyond twelve they repeat.
CLASSES = (
    "#3b8bd0", "#ee8a1d", "#1ba57b", "#d6323f", "#b86fa0", "#c9a100",
    "#5fb4c9", "#8c6bd1", "#7a9a3a", "#d97b66", "#8a94a3", "#4a5fc1",
)  # fmt: skip
ROOM = 0.06  # of the width, between charts side by side
Rows = Sequence[Sequence[float | None]]


def letter(k: int) -> str:
    """What a side is called in charts: A, B, C, ..."""
    return chr(ord("A") + k)


def gap_maps(layers: list[str], grids: Sequence[Rows]) -> LiveFigure:
    """The logarithm of each side's gap over the course of its synthesis, on one scale and one axis."""
    data = [
        _map(k, layers, grid, zmin=-2, zmax=0.5, colorscale=GAP_SCALE, showscale=k == 0)
        | {"colorbar": _bar("gap", [-2, -1, 0, 0.5], ["0.01", "0.1", "1", "3"])}
        for k, grid in enumerate(grids)
    ]
    height = max(260, min(560, 90 + 14 * len(layers)))
    shown = layout(height, **_side_by_side(len(grids), "of the synthesis", layers))
    alt = "BatchNorm gap of every layer over the course of the synthesis, one map a run."
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def gap_difference(layers: list[str], grid: Rows, k: int = 1) -> LiveFigure:
    """log10 of the k-th run's gap over A's: orange where it is larger, blue where it is smaller."""
    ratio = f"{letter(k)} / A"
    scale = [[0, "#3b8bd0"], [0.5, "#f2f2f2"], [1, "#ee8a1d"]]
    bar = _bar(ratio, [-1, -0.5, 0, 0.5, 1], ["0.1", "0.3", "1", "3", "10"])
    drawn = _map(0, layers, grid, name=ratio, zmin=-1, zmax=1, colorscale=scale)
    data = [drawn | {"colorbar": bar}]
    height = max(260, min(560, 90 + 14 * len(layers)))
    shown = layout(height, **_side_by_side(1, "of the synthesis", layers))
    alt = (
        f"Ratio of the BatchNorm gaps {ratio}: blue where {letter(k)} is closer to the teacher, orange where "
        "A is."
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def _map(k: int, layers: list[str], grid: Rows, *, name: str = "", **more: Any) -> dict[str, Any]:
    """A map of logarithms; the pointer is told the numbers themselves."""
    columns = len(grid[0]) if grid else 1
    return {
        "type": "heatmap",
        "x": [round((i + 1) / columns, 4) for i in range(columns)],
        "y": layers,
        "z": [list(row) for row in grid],
        "xaxis": f"x{k + 1 if k else ''}",
        "yaxis": "y",
        "customdata": [[None if z is None else 10**z for z in row] for row in grid],
        "hovertemplate": f"{name or letter(k)} · %{{y}} at %{{x:.0%}}: %{{customdata:.3g}}<extra></extra>",
    } | more


def _bar(title: str, values: list[float], words: list[str]) -> dict[str, Any]:
    return {
        "title": {"text": title, "side": "right"},
        "tickvals": values,
        "ticktext": words,
        "thickness": 10,
        "outlinewidth": 0,
    }


def _side_by_side(count: int, title: str, layers: list[str]) -> dict[str, Any]:
    width = (1 - ROOM * (count - 1)) / count
    axes: dict[str, Any] = {}
    for k in range(count):
        low = k * (width + ROOM)
        label = f"{letter(k)}, share {title}" if count > 1 else f"share {title}"
        axes[f"xaxis{k + 1 if k else ''}"] = axis(
            label, domain=[low, low + width], tickformat=".0%", range=[0, 1.0], showgrid=False
        )
    shown = layers[:: max(1, -(-len(layers) // 24))]
    axes["yaxis"] = axis(
        type="category", autorange="reversed", showgrid=False, tickvals=shown,
        ticktext=[short(name) for name in shown], tickfont={"size": 10},
    )  # fmt: skip
    return axes


def feature_maps(
    points: Sequence[Rows], classes: Sequence[Sequence[int]], names: Sequence[str]
) -> LiveFigure:
    """Every image as a dot on one common plane, one panel a side, the colour is the teacher's class."""
    every = [p for side in points for p in side]
    spans = [_span([float(p[i] or 0) for p in every]) for i in (0, 1)]
    present = sorted({c for side in classes for c in side})
    data = [
        _dots(
            k, [p for p, c in zip(side, labels, strict=True) if c == wanted], wanted, names, k == 0
        )
        for k, (side, labels) in enumerate(zip(points, classes, strict=True))
        for wanted in present
    ]
    width = (1 - ROOM * (len(points) - 1)) / len(points)
    axes: dict[str, Any] = {"yaxis": axis("second axis", range=spans[1], showticklabels=False)}
    for k in range(len(points)):
        low = k * (width + ROOM)
        axes[f"xaxis{k + 1 if k else ''}"] = axis(
            f"{letter(k)}, first axis",
            domain=[low, low + width],
            range=spans[0],
            showticklabels=False,
        )
    shown = layout(340, showlegend=len(present) <= len(CLASSES), **axes)
    alt = "The images as dots on one plane of the teacher's features, one panel a run, coloured by class."
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def _dots(k: int, points: Rows, label: int, names: Sequence[str], legend: bool) -> dict[str, Any]:  # noqa: FBT001
    name = names[label] if label < len(names) else f"class {label}"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "legendgroup": name,
        "showlegend": legend,
        "x": [p[0] for p in points],
        "y": [p[1] for p in points],
        "xaxis": f"x{k + 1 if k else ''}",
        "yaxis": "y",
        "marker": {"color": CLASSES[label % len(CLASSES)], "size": 7, "opacity": 0.8},
        "hovertemplate": f"{letter(k)}: {name}<extra></extra>",
    }


def _span(values: list[float]) -> list[float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.06 * (high - low) or 1.0
    return [low - room, high + room]


def lines(
    sides: Sequence[tuple[Sequence[float], Sequence[float]] | None], *, x_title: str, y_title: str,
    logarithmic: bool = False, filled: bool = False, alt: str,
) -> LiveFigure:  # fmt: skip
    """One line a side on common axes; a side of None is left out."""
    data = [
        {
            "type": "scatter", "mode": "lines", "name": letter(k), "x": list(side[0]), "y": list(side[1]),
            "line": {"color": SERIES[k % len(SERIES)], "width": 2, "shape": "hvh" if filled else "linear"},
            "fill": "tozeroy" if filled else "none", "opacity": 0.85,
            "hovertemplate": f"{letter(k)}: %{{x:.3g}}: %{{y:.3g}}<extra></extra>",
        }
        for k, side in enumerate(sides)
        if side is not None
    ]  # fmt: skip
    y_axis = (
        axis(y_title, type="log", exponentformat="power", dtick=1) if logarithmic else axis(y_title)
    )
    shown = layout(260, xaxis=axis(x_title), yaxis=y_axis, showlegend=True)
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def class_bars(shares: Sequence[Sequence[float] | None], names: Sequence[str]) -> LiveFigure:
    """The share of images that the teacher puts into each class, one colour a side."""
    data = [
        {
            "type": "bar", "name": letter(k), "y": list(side),
            "x": [names[c] if c < len(names) else str(c) for c in range(len(side))],
            "marker": {"color": SERIES[k % len(SERIES)]},
            "hovertemplate": f"{letter(k)}: %{{x}}: %{{y:.1%}}<extra></extra>",
        }
        for k, side in enumerate(shares)
        if side is not None
    ]  # fmt: skip
    y_axis = axis("share of the images", tickformat=".0%", rangemode="tozero")
    shown = layout(260, xaxis=axis(type="category", showgrid=False), yaxis=y_axis, showlegend=True)
    shown |= {"barmode": "group", "bargap": 0.25}
    return LiveFigure(
        figure={"data": data, "layout": shown}, alt="Share of the images in each class, by run."
    )
