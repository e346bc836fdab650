"""A feature map in the float network and in the student, on one scale, and their difference."""

import base64
from collections.abc import Mapping
from typing import Any

from app.charts.style import FLOAT, GAP_SCALE, OVER, LiveFigure, layout

HEIGHT = 250
DIFFERENCE_SCALE = [[0.0, FLOAT], [0.5, "#e6e8ec"], [1.0, OVER]]
PARTS = ("float", "student", "difference")
BARE: dict[str, Any] = {
    "showticklabels": False, "showgrid": False, "zeroline": False, "ticks": "", "fixedrange": True,
}  # fmt: skip


def feature_maps(maps: Mapping[str, Any], image: int, channel: int) -> LiveFigure:
    """One channel's map for one image: float network, student on the same scale, and their difference.

    image and channel: places in the kept images and channels.
    """
    low, high = maps["low"][channel], maps["high"][channel]
    largest = maps["largest_difference"][channel]
    scales = [(low, high), (low, high), (-largest, largest)]
    traces: list[dict[str, Any]] = []
    axes: dict[str, Any] = {}
    rows = planes(maps, image, channel)
    for k, (tones, (least, most)) in enumerate(zip(rows, scales, strict=True)):
        suffix = str(k + 1) if k else ""
        values = [[least + tone / 255 * (most - least) for tone in row] for row in tones]
        traces.append(
            {
                "type": "heatmap", "name": PARTS[k], "z": values, "zmin": least, "zmax": most,
                "showscale": False,
                "xaxis": f"x{suffix}", "yaxis": f"y{suffix}",
                "colorscale": DIFFERENCE_SCALE if k == 2 else GAP_SCALE,
                "hovertemplate": f"{PARTS[k]}: %{{z:.3g}} at column %{{x}}, row %{{y}}<extra></extra>",
            }
        )  # fmt: skip
        axes[f"xaxis{suffix}"] = BARE | {
            "domain": [k * 0.345, k * 0.345 + 0.31], "title": {"text": PARTS[k], "standoff": 4},
            "constrain": "domain",
        }  # fmt: skip
        axes[f"yaxis{suffix}"] = BARE | {
            "autorange": "reversed", "scaleanchor": f"x{suffix}", "anchor": f"x{suffix}",
            "constrain": "domain",
        }  # fmt: skip
    shown = layout(HEIGHT, **axes) | {"margin": {"l": 4, "r": 4, "t": 6, "b": 26}}
    alt = (
        f"Feature map of channel {maps['channels'][channel]} for image {maps['images'][image]}: float "
        f"network and student from {low:.3g} to {high:.3g}, difference at most {largest:.3g}."
    )
    return LiveFigure(figure={"data": traces, "layout": shown}, alt=alt)


def planes(maps: Mapping[str, Any], image: int, channel: int) -> list[list[list[int]]]:
    """The three maps of an image and channel as rows of tones 0 .. 255."""
    _, channels, parts, height, width = maps["shape"]
    data = base64.b64decode(maps["data"])
    size = height * width
    start = (image * channels + channel) * parts * size
    return [
        [list(data[start + part * size + y * width :][:width]) for y in range(height)]
        for part in range(parts)
    ]
