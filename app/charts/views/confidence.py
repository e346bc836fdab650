"""How probable each weight's most probable level is, and the share of the decided over the steps."""

from app.charts.style import LiveFigure, axis
from app.charts.views.parts import deciding


def confidence() -> LiveFigure:
    """How probable each weight's most probable level is, and the share of the decided over the steps."""
    return deciding(
        "confidence",
        "probability near %{x:.2f}",
        axis("probability of the most probable level", range=[0, 1.02], showgrid=False),
        "Histogram of how probable each weight's most probable level is in the block at work, and the share "
        "of weights that are sure of one, over the steps.",
    )
