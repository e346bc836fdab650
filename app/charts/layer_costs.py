"""What comes back when one layer is float again, as bars."""

from typing import Any

from app.charts.quantization import layer_axis
from app.charts.style import FLOAT, QUANTIZED, QUIET, LiveFigure, axis, layout

HEIGHT = 360
PARTS = (
    ("kl_gain", "layer float again", QUIET),
    ("weights_kl_gain", "its weights alone", QUANTIZED),
    ("input_kl_gain", "its input alone", FLOAT),
)


def gains(found: dict[str, Any]) -> LiveFigure:
    """A bar a layer for all of it, for its weights and for its input; higher: it costs more."""
    layers = found["layers"]
    paths = [layer["path"] for layer in layers]
    data = [
        {
            "type": "bar",
            "name": title,
            "x": paths,
            "y": [layer.get(name) for layer in layers],
            "customdata": [_points(layer.get(name.replace("kl", "top1"))) for layer in layers],
            "marker": {"color": colour},
            "hovertemplate": "%{x}: KL %{y:.3g} less%{customdata}<extra>" + title + "</extra>",
        }
        for name, title, colour in PARTS
        if any(layer.get(name) is not None for layer in layers)
    ]
    y_axis = axis(
        "gain: KL that goes away (nats)", zeroline=True, zerolinecolor=QUIET, exponentformat="power"
    )
    shown = layout(
        HEIGHT, barmode="group", bargap=0.25, xaxis=layer_axis(paths), yaxis=y_axis, showlegend=True
    )
    best = max(layers, key=lambda layer: layer["kl_gain"])
    alt = (
        "How much nearer the student comes to the teacher with one layer float again, for each layer; most "
        f"with {best['path']}: {best['kl_gain']:.3g} nats."
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def _points(share: float | None) -> str:
    return "" if share is None else f", {100 * share:+.1f} points of top-1"
