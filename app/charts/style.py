"""Colours and axes that every chart shares; they read on a light page as on a dark one."""

from dataclasses import dataclass, field
from typing import Any

Figure = dict[str, Any]
Binding = dict[str, Any]

FLOAT = "#3b8bd0"  # the teacher, the target
QUANTIZED = "#ee8a1d"  # the student, the synthetic sample
OVER = "#d6323f"  # beyond a threshold
WATCH = "#c9a100"
FINE = "#1ba57b"
QUIET = "#8a94a3"
GRID = "rgba(138,148,163,0.22)"
# Okabe and Ito's palette, the three above aside: told apart with every kind of colour blindness.
SERIES = ["#ee8a1d", "#3b8bd0", "#1ba57b", "#b86fa0", "#8a94a3", "#c9a100", "#d6323f"]
GAP_SCALE = "Cividis"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFigure:
    """A figure, and how each further event extends it (see app.charts.bindings)."""

    figure: Figure
    bindings: list[Binding] = field(default_factory=list)
    alt: str = ""


def layout(height: int, **more: Any) -> dict[str, Any]:
    """A layout without background, whose text takes the page's colour when it is drawn."""
    base = {
        "height": height,
        "margin": {"l": 56, "r": 12, "t": 14, "b": 38},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12},
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": QUIET, "activecolor": FLOAT},
        "showlegend": False,
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
        "uirevision": "kept",
    }
    return base | more


# Of an axis of shares: as many digits as its numbers need to differ, one behind the point where one is read.
SHARES: dict[str, Any] = {"tickformat": "~%", "hoverformat": ".1%"}


# Of a logarithmic axis: whole numbers in one size, where Plotly would have small digits between the powers.
# With so few ticks it takes powers, or 1, 2, 5: never all nine digits of a power, which lie upon each other.
LOG: dict[str, Any] = {"type": "log", "tickformat": "~g", "nticks": 3, "hoverformat": ".3~g"}


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with quiet grid lines."""
    return {
        "title": {"text": title, "standoff": 6},
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": GRID,
        "automargin": True,
    } | more
