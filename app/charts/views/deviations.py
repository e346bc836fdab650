"""How far each channel of an input spreads and what it loses; the widest before and after."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, LiveFigure, axis, layout
from app.charts.views.parts import filled, titled, trace

_MAPS = ("float", "quantized", "difference")


def deviations() -> LiveFigure:
    """How far each channel of an input spreads and what it loses; the widest before and after."""
    sigma = trace("bar", "deviation", "channel of rank %{x}: a deviation of %{y:.3g}")
    error = trace("bar", "error", "channel of rank %{x}: an error of %{y:.3g}")
    data: list[dict[str, Any]] = [
        sigma | {"marker": {"color": FLOAT}},
        error | {"marker": {"color": QUANTIZED}},
    ]
    fills: list[dict[str, Any]] = [
        {"trace": 0, "x": "arrays.rank", "y": "arrays.sigma"},
        {"trace": 1, "x": "arrays.rank", "y": "arrays.error"},
    ]
    axes: dict[str, Any] = {}
    for k, name in enumerate(_MAPS):
        own = {"xaxis": f"x{k + 2}", "yaxis": f"y{k + 2}", "coloraxis": "coloraxis"}
        one = (
            trace("heatmap", name, f"{name}, row %{{y}}, column %{{x}}: %{{z:.3g}}")
            | own
            | {"z": []}
        )
        data.append(one | {"showscale": False})
        fills.append(
            {"trace": k + 2, "x": "arrays.column", "y": "arrays.row", "z": f"arrays.{name}"}
        )
        bare: dict[str, Any] = {"showticklabels": False, "showgrid": False}
        axes[f"xaxis{k + 2}"] = axis(name, **bare) | {
            "domain": [0.35 * k, 0.35 * k + 0.3], "anchor": f"y{k + 2}",
        }  # fmt: skip
        axes[f"yaxis{k + 2}"] = axis(**bare) | {
            "domain": [0.0, 0.44], "anchor": f"x{k + 2}", "autorange": "reversed",
            "scaleanchor": f"x{k + 2}", "constrain": "domain",
        }  # fmt: skip
    shown = layout(
        470, showlegend=True, barmode="overlay",
        xaxis=axis("channels, the widest first", showgrid=False),
        yaxis=axis("deviation", rangemode="tozero", domain=[0.62, 1.0]),
        coloraxis={"colorscale": "RdBu", "cmid": 0, "colorbar": {"thickness": 10, "len": 0.44, "y": 0.22}},
        **axes, **titled(),
    )  # fmt: skip
    return LiveFigure(
        figure={"data": data, "layout": shown},
        bindings=[filled("deviations", fills)],
        alt="The deviation of each channel of a layer's input for one image, and what it loses on its grid; "
        "below, the channel that spreads most: float, quantized, and the difference.",
    )
