"""What comes back when one layer is float again, as bars."""

from typing import Any

from app.charts.layers.layer_errors import BARS_HEIGHT, layer_axis
from app.charts.style import FLOAT, QUANTIZED, QUIET, LiveFigure, axis, layout

PARTS = (
    ("", "layer float again", QUIET),
    ("weights_", "its weights alone", QUANTIZED),
    ("input_", "its input alone", FLOAT),
)
MEASURES = {
    "kl": "Distance of answers (KL)",
    "agreement": "Agreement",
    "top1": "Top-1",
}
_AXES = {
    "kl": "gain: KL that goes away (nats)",
    "agreement": "gain: more agreement (points)",
    "top1": "gain: more answers right (points)",
}


def measures_known(found: dict[str, Any]) -> dict[str, str]:
    """The measures that the analysis has, by name: of older ones, and without labels, not all."""
    return {
        name: title
        for name, title in MEASURES.items()
        if any(layer.get(f"{name}_gain") is not None for layer in found["layers"])
    }


def has_bands(found: dict[str, Any], measure: str) -> bool:
    """Whether the gains in this measure are known with their 95 % bands."""
    return any(layer.get(f"{measure}_gain_low") is not None for layer in found["layers"])


def gains(found: dict[str, Any], measure: str = "kl", chosen: str = "") -> LiveFigure:
    """A bar a layer for all of it, for its weights and for its input; higher: it costs more.

    Gains carry their 95 % band where all of the layer is float again.
    """
    layers = found["layers"]
    paths = [layer["path"] for layer in layers]
    data = [
        _bars(layers, f"{part}{measure}_gain", title, colour, percent=measure != "kl")
        for part, title, colour in PARTS
        if any(layer.get(f"{part}{measure}_gain") is not None for layer in layers)
    ]
    if data and has_bands(found, measure):
        data[0] |= _band(layers, f"{measure}_gain", 1 if measure == "kl" else 100)
    form = {"exponentformat": "power"} if measure == "kl" else {}
    y_axis = axis(_AXES[measure], zeroline=True, zerolinecolor=QUIET, **form)
    shown = layout(
        BARS_HEIGHT,
        barmode="group",
        bargap=0.25,
        xaxis=layer_axis(paths, chosen),
        yaxis=y_axis,
        showlegend=True,
    )
    known = [layer for layer in layers if layer.get(f"{measure}_gain") is not None]
    best = max(known, key=lambda layer: float(layer[f"{measure}_gain"]))
    most, low = best[f"{measure}_gain"], best.get(f"{measure}_gain_low")
    told = f"{most:.3g} nats" if measure == "kl" else f"{100 * most:.2f} points"
    chance = " (which may be chance)" if low is not None and low <= 0 else ""
    alt = (
        f"How much nearer the student comes to the teacher ({MEASURES[measure]}) with one layer float "
        f"again, for each layer; most with {best['path']}: {told}{chance}."
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def _bars(
    layers: list[dict[str, Any]], name: str, title: str, colour: str, *, percent: bool
) -> dict[str, Any]:
    values = [layer.get(name) for layer in layers]
    words = "%{y:+.2f} points" if percent else "KL %{y:.3g} less%{customdata}"
    return {
        "type": "bar",
        "name": title,
        "x": [layer["path"] for layer in layers],
        "y": [_in_points(value) for value in values] if percent else values,
        "customdata": [_points(layer.get(name.replace("kl", "top1"))) for layer in layers],
        "marker": {"color": colour},
        "hovertemplate": f"%{{x}}: {words}<extra>{title}</extra>",
    }


def _band(layers: list[dict[str, Any]], name: str, scale: float) -> dict[str, Any]:
    """The band as whiskers around each bar's end."""

    def reach(layer: dict[str, Any], end: str) -> float:
        low_or_high = layer.get(f"{name}_{end}")
        return 0.0 if low_or_high is None else scale * abs(low_or_high - layer[name])

    whiskers = {
        "type": "data", "symmetric": False, "array": [reach(layer, "high") for layer in layers],
        "arrayminus": [reach(layer, "low") for layer in layers], "color": QUIET, "thickness": 1,
        "width": 2,
    }  # fmt: skip
    return {"error_y": whiskers}


def _in_points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _points(share: float | None) -> str:
    return "" if share is None else f", {100 * share:+.1f} points of top-1"
