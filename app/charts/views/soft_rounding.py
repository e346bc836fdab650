"""Soft roundings as a histogram from down to up, and the share of the decided over the steps."""

from app.charts.style import LiveFigure, axis
from app.charts.views.parts import deciding


def soft_rounding() -> LiveFigure:
    """Soft roundings as a histogram from down to up, and the share of the decided over the steps."""
    return deciding(
        "soft-rounding",
        "h near %{x:.2f}",
        axis("soft rounding: 0 is down, 1 is up", range=[-0.02, 1.02], showgrid=False),
        "Histogram of the soft roundings of the block at work, and the share of weights that have "
        "decided for up or down, over the steps.",
        width=1 / 24,
    )
