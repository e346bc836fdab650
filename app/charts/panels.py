"""Panels of one chart, one a run: in a row where there is room, in two columns where there is not."""

from typing import Any

from app.charts.style import layout

ROOM, NARROW_ROOM, ROOM_BELOW = 0.05, 0.2, 0.16  # of the chart's width and height, between panels
LEAST_WIDTH = 230  # pixels a panel; a chart that is narrower takes the narrow layout


def letter(k: int) -> str:
    """What a side is called in charts: A, B, C, ..."""
    return chr(ord("A") + k)


def panels(
    across: list[dict[str, Any]], up: dict[str, Any], *, height: int, **more: Any
) -> dict[str, Any]:
    """The `layout` of a figure with a panel for each x axis of `across`, all of them on one y axis.

    Trace k belongs on the axes x{k + 1} and y{k + 1}. A chart of several panels has a `narrow` layout
    too, with fewer ticks, that a page takes below so many pixels.
    """
    count = len(across)
    wide = {"layout": layout(height, **_placed(across, up, columns=count, room=ROOM), **more)}
    if count == 1:
        return wide
    rows = -(-count // 2)
    few = {name: up[name][::2] for name in ("tickvals", "ticktext") if name in up}
    axes = _placed([x | {"nticks": 3} for x in across], up | few, columns=2, room=NARROW_ROOM)
    folded = layout(height if rows == 1 else rows * max(240, height * 2 // 3), **axes, **more)
    return wide | {"narrow": {"below": LEAST_WIDTH * count, "layout": folded}}


def _placed(
    across: list[dict[str, Any]], up: dict[str, Any], *, columns: int, room: float
) -> dict[str, Any]:
    rows = -(-len(across) // columns)
    width = (1 - room * (columns - 1)) / columns
    height = (1 - ROOM_BELOW * (rows - 1)) / rows
    axes: dict[str, Any] = {}
    for k, x in enumerate(across):
        row, column = divmod(k, columns)
        number = k + 1 if k else ""
        left, bottom = column * (width + room), (rows - 1 - row) * (height + ROOM_BELOW)
        axes[f"xaxis{number}"] = x | {"domain": [left, left + width], "anchor": f"y{number}"}
        y = up | {"domain": [bottom, bottom + height], "anchor": f"x{number}"}
        if k:
            y["matches"] = "y"
        if column:
            y |= {"showticklabels": False, "title": {"text": ""}}
        axes[f"yaxis{number}"] = y
    return axes
