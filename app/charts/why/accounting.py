"""Where the accuracy was lost, step by step: the float network, each step off it, what is left."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.charts.style import FLOAT, OVER, QUANTIZED, QUIET, LiveFigure, axis, layout
from engine.core.percent import percent

LEFT = "what is left"
ROW_PX, AROUND_PX = 40, 84


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Points of top-1 lost from one network to the next; their 95 % band where answers are paired."""

    name: str
    points: float  # negative: won
    low: float | None = None
    high: float | None = None

    @property
    def is_sure(self) -> bool:
        """Whether it is more than chance, as far as that can be told."""
        if self.low is None or self.high is None:
            return True
        return self.low > 0 or self.high < 0


def waterfall(start: float, steps: Sequence[Step]) -> LiveFigure:
    """start: the float network's top-1 in points, 0 to 100; steps that may be chance are hollow."""
    names, bases, widths, texts = ["float network"], [0.0], [start], [f"{percent(start / 100)}"]
    colours, lines = [FLOAT], [FLOAT]
    reached = start
    for step in steps:
        names.append(step.name)
        bases.append(min(reached, reached - step.points))
        widths.append(abs(step.points))
        texts.append(
            f"{-step.points:+.1f}" if step.is_sure else f"{-step.points:+.1f}, may be chance"
        )
        colour = OVER if step.points > 0 else FLOAT
        colours.append(colour if step.is_sure else "rgba(0,0,0,0)")
        lines.append(colour)
        reached -= step.points
    names.append(LEFT)
    bases.append(0.0)
    widths.append(reached)
    texts.append(f"{percent(reached / 100)}")
    colours.append(QUANTIZED)
    lines.append(QUANTIZED)
    bars = {
        "type": "bar", "orientation": "h", "y": names, "base": bases, "x": widths, "text": texts,
        "textposition": "outside", "cliponaxis": False,
        "marker": {"color": colours, "line": {"width": 1.5, "color": lines}},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }  # fmt: skip
    ends = [base + width for base, width in zip(bases, widths, strict=True)]
    low = min(reached, *(base for base in bases[1:-1]), start)
    room = max(2.0, 0.5 * (max(ends) - low))
    x_axis = axis(
        "top-1, %", range=[max(0.0, low - room), max(ends) + room], zeroline=False, tickcolor=QUIET
    )
    y_axis = axis(type="category", showgrid=False, autorange="reversed")
    shown = layout(AROUND_PX + ROW_PX * len(names), bargap=0.35, xaxis=x_axis, yaxis=y_axis)
    told = ", ".join(f"{one.name} {-one.points:+.1f} points" for one in steps)
    alt = f"From the float network's {percent(start / 100)} to {percent(reached / 100)}: {told}."
    return LiveFigure(figure={"data": [bars], "layout": shown}, alt=alt)
