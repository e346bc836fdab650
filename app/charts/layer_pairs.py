"""Layers of several runs on one axis: a dot a run, and a line between the outermost of each layer."""

from collections.abc import Mapping, Sequence

from app.charts.style import GRID, LiveFigure, axis, layout

ROW_PX = 22
MOST_NAMED = 60  # layers that have room for their names


def layer_pairs(
    paths: Sequence[str],
    values: Mapping[str, Sequence[float | None]],
    colours: Mapping[str, str],
) -> LiveFigure:
    """`values`: of each run, a number of dB for each layer; None where it has none. The input on top."""
    lines_x: list[float | None] = []
    lines_y: list[str | None] = []
    for place, path in enumerate(paths):
        known = [v for run in values.values() if (v := run[place]) is not None]
        if len(known) > 1:
            lines_x += [min(known), max(known), None]
            lines_y += [path, path, None]
    data = [
        {
            "type": "scatter", "mode": "lines", "x": lines_x, "y": lines_y, "hoverinfo": "skip",
            "line": {"color": GRID, "width": 5}, "showlegend": False,
        }
    ]  # fmt: skip
    data += [
        {
            "type": "scatter", "mode": "markers", "name": name, "x": list(run), "y": list(paths),
            "marker": {"color": colours[name], "size": 9},
            "hovertemplate": f"{name}, %{{y}}: %{{x:.1f}} dB<extra></extra>",
        }
        for name, run in values.items()
    ]  # fmt: skip
    x_axis = axis("SQNR of the layer's output, dB")
    y_axis = axis(type="category", showgrid=False, autorange="reversed", automargin=True)
    y_axis |= {"categoryorder": "array", "categoryarray": list(paths)}
    if len(paths) > MOST_NAMED:
        y_axis["showticklabels"] = False
    figure = layout(90 + ROW_PX * len(paths), xaxis=x_axis, yaxis=y_axis, showlegend=True)
    return LiveFigure(figure={"data": data, "layout": figure}, alt=_alt(paths, values))


def _alt(paths: Sequence[str], values: Mapping[str, Sequence[float | None]]) -> str:
    weakest = []
    for name, run in values.items():
        known = [(v, path) for v, path in zip(run, paths, strict=True) if v is not None]
        if known:
            weakest.append(f"{name} is weakest at {min(known)[1]} with {min(known)[0]:.1f} dB")
    return f"SQNR of {len(paths)} layers, run by run: {'; '.join(weakest)}."
