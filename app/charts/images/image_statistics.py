"""Charts of finished images side by side: on one plane, by class, by layer."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from app.charts.images.compare import MOST_NAMED, lines
from app.charts.images.synthesis import short
from app.charts.panels import letter, panels
from app.charts.style import QUIET, SERIES, SHARES, LiveFigure, axis, layout

# Twelve colours for classes, told apart on light and dark.
CLASSES = (
    "#3b8bd0", "#ee8a1d", "#1ba57b", "#d6323f", "#b86fa0", "#c9a100",
    "#5fb4c9", "#8c6bd1", "#7a9a3a", "#d97b66", "#ad7a52", "#4a5fc1",
)  # fmt: skip
OTHERS = -1  # the classes beyond the twelve commonest
Points = Sequence[Sequence[float]]


def feature_maps(
    points: Sequence[Points], classes: Sequence[Sequence[int]], names: dict[int, str]
) -> LiveFigure:
    """Every image as a dot on one common plane, one panel a side, the colour is the teacher's class.

    Where the teacher sees more classes than there are colours, all but the commonest are grey.
    """
    every = [p for side in points for p in side]
    spans = [_span([float(p[i]) for p in every]) for i in (0, 1)]
    counts = Counter(c for side in classes for c in side)
    groups = {c: [c] for c in sorted(c for c, _ in counts.most_common(len(CLASSES)))}
    colours = dict(zip(groups, CLASSES, strict=False)) | {OTHERS: QUIET}
    titles = names | {OTHERS: f"{len(counts) - len(groups)} other classes"}
    if len(counts) > len(groups):
        groups[OTHERS] = [c for c in counts if c not in groups]
    data = [_key(titles.get(group, f"class {group}"), group, colours[group]) for group in groups]
    for k, (side, labels) in enumerate(zip(points, classes, strict=True)):
        for group, members in groups.items():
            kept = [(p, names.get(c, f"class {c}")) for p, c in zip(side, labels, strict=True)
                    if c in members]  # fmt: skip
            data.append(_dots(k, kept, colours[group]) | {"legendgroup": group})
    across = [
        axis(f"{letter(k)} · first axis", range=spans[0], showticklabels=False)
        for k in range(len(points))
    ]
    up = axis("second axis", range=spans[1], showticklabels=False)
    alt = "The images as dots on one plane of the teacher's features, one panel a run, coloured by class."
    placed = panels(across, up, height=360, showlegend=len(groups) > 1)
    return LiveFigure(figure={"data": data, **placed}, alt=alt)


def _dots(k: int, named: list[tuple[Sequence[float], str]], colour: str) -> dict[str, Any]:
    number = k + 1 if k else ""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": letter(k),
        "showlegend": False,
        "x": [p[0] for p, _ in named],
        "y": [p[1] for p, _ in named],
        "xaxis": f"x{number}",
        "yaxis": f"y{number}",
        "marker": {"color": colour, "size": 7, "opacity": 0.5 if colour == QUIET else 0.85},
        "text": [name for _, name in named],
        "hovertemplate": f"{letter(k)}: %{{text}}<extra></extra>",
    }


def _key(name: str, group: int, colour: str) -> dict[str, Any]:
    """An entry of the legend by itself: a class that only one run has is named there too."""
    return {
        "type": "scatter", "mode": "markers", "x": [None], "y": [None], "name": name,
        "legendgroup": group, "marker": {"color": colour, "size": 7},
    }  # fmt: skip


def _span(values: list[float]) -> list[float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.06 * (high - low) or 1.0
    return [low - room, high + room]


def class_bars(shares: Sequence[Sequence[float] | None], names: Sequence[str]) -> LiveFigure:
    """The share of images that the teacher puts into each class, one colour a side."""
    data = [
        {
            "type": "bar", "name": letter(k), "y": list(side), "x": list(range(len(side))),
            "text": list(names), "textposition": "none",
            "marker": {"color": SERIES[k % len(SERIES)]},
            "hovertemplate": f"{letter(k)}: %{{text}}: %{{y:.1%}}<extra></extra>",
        }
        for k, side in enumerate(shares)
        if side is not None
    ]  # fmt: skip
    # By number: two classes of one name (ImageNet has two cranes) would share one place.
    x_axis = axis(
        tickvals=list(range(len(names))), ticktext=[_brief(name) for name in names],
        range=[-0.5, len(names) - 0.5], showgrid=False, autotickangles=[0, -35, -60],
    )  # fmt: skip
    y_axis = axis("share of the images", **SHARES, rangemode="tozero")
    shown = layout(280, xaxis=x_axis, yaxis=y_axis, showlegend=True)
    shown |= {"barmode": "group", "bargap": 0.25}
    return LiveFigure(
        figure={"data": data, "layout": shown}, alt="Share of the images in each class, by run."
    )


def _brief(name: str, letters: int = 18) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"


def layer_spreads(
    layers: Sequence[str], spreads: Sequence[Sequence[float] | None], what: str
) -> LiveFigure:
    """How far images differ in a statistic (`what`) at each BatchNorm layer, a line a side."""
    shown = layers[:: max(1, -(-len(layers) // MOST_NAMED))]
    x = axis(
        type="category", showgrid=False, tickvals=list(shown), tickangle=-60, tickfont={"size": 10},
        ticktext=[short(name) for name in shown],
    )  # fmt: skip
    y = axis("stored deviations", rangemode="tozero")
    drawn = [None if one is None else (list(layers), list(one)) for one in spreads]
    alt = f"Spread over images of each image's own {what} at every BatchNorm layer, by run."
    return lines(drawn, x=x, y=y, mode="lines+markers", height=330, alt=alt)
