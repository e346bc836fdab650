"""The border between rounding down and up against the value; one half is nearest rounding."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, QUIET, LiveFigure, axis, layout
from app.charts.views.parts import filled, line, titled


def borders() -> LiveFigure:
    """The border between rounding down and up against the value; one half is nearest rounding."""
    data: list[dict[str, Any]] = [
        line("lowest channel", QUIET, "%{x:.2f} of the range: %{y:.3f}"),
        line("highest channel", QUIET, "%{x:.2f} of the range: %{y:.3f}") | {"fill": "tonexty"},
        line("nearest rounding", FLOAT, "nearest rounding: always 0.5", dash="dash"),
        line("middle channel", QUANTIZED, "%{x:.2f} of the range: %{y:.3f}"),
    ]
    data[1]["fillcolor"] = "rgba(138,148,163,0.18)"
    names = ("lowest", "highest", None, "middle")
    fills: list[dict[str, Any]] = [
        {"trace": k, "x": "arrays.value", "y": 0.5 if name is None else f"arrays.{name}"}
        for k, name in enumerate(names)
    ]
    for k in range(5):
        one = line(f"channel sample {k}", QUANTIZED, "%{x:.2f} of the range: %{y:.3f}", width=1)
        data.append(one | {"opacity": 0.5, "showlegend": False})
        fills.append({"trace": 4 + k, "x": "arrays.value", "y": f"arrays.sample {k}"})
    shown = layout(
        340,
        xaxis=axis("activation, as a share of its range"),
        yaxis=axis("border: rounded up from here on"),
        showlegend=True,
        **titled(),
    )
    alt = "The learned rounding border of the activations against their value; 0.5 is nearest rounding."
    return LiveFigure(
        figure={"data": data, "layout": shown}, bindings=[filled("borders", fills)], alt=alt
    )
