"""A chart of one layer of a run, put on the page."""

from typing import Any

from app.charts.style import LiveFigure
from app.components import mount
from engine.run.folders.folder import RunFolder

Found = dict[str, Any]  # what the engine's `tensors` gives


def draw(folder: RunFolder, found: Found, chart: LiveFigure, name: str) -> None:
    mount.live_plot(
        chart, key=f"tensors-{name.partition('-')[0]}-{folder.run_id}", name=f"{name}-{found['layer']}",
        run=folder.run_id, offset=0,
    )  # fmt: skip
