"""Where one image's error grows through the layers, against what is usual."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from app.charts.layers.layer_errors import layer_axis
from app.charts.style import FLOAT, QUANTIZED, SHARES, LiveFigure, axis, layout
from engine.core.percent import percent

HEIGHT = 244
USUAL = percent(0.9, 0)  # of the images: what is usual
CLEAR = 1.15  # times the usual error: less is no difference to speak of


def growth(found: Mapping[str, Any], shares: Sequence[float], chosen: str = "") -> LiveFigure:
    """The image's error share at each layer, the average image's, and where 90 % of images lie.

    found: the `growth` of an answer of `predictions`.
    """
    paths, usual = found["layers"], found["usual"]
    hidden = {
        "type": "scatter",
        "mode": "lines",
        "x": paths,
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    band = {
        "fill": "tonexty",
        "fillcolor": "rgba(138,148,163,0.25)",
        "name": f"{percent(0.9, 0)} of images",
    }
    data = [
        hidden | {"y": usual["low"], "name": f"{USUAL} of images, from", "showlegend": False},
        hidden | {"y": usual["high"]} | band,
        _line(paths, usual["mean"], "average image", FLOAT),
        _line(paths, shares, "this image", QUANTIZED),
    ]  # fmt: skip
    shown = layout(
        HEIGHT, xaxis=layer_axis(list(paths), chosen), showlegend=True,
        yaxis=axis("error ÷ output", **SHARES, rangemode="tozero"),
    )  # fmt: skip
    alt = (
        "The error of this image through the layers, against the average image's. "
        f"{growth_words(found, shares)}"
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def _line(paths: Sequence[str], values: Sequence[float], name: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines+markers", "name": name, "x": list(paths), "y": list(values),
        "line": {"color": colour, "width": 2}, "marker": {"color": colour, "size": 5},
        "hovertemplate": "%{x}: %{y:.1%} of its output<extra>" + name + "</extra>",
    }  # fmt: skip


def parting(found: Mapping[str, Any], shares: Sequence[float]) -> str:
    """The layer from which on an image's error stays beyond what 90 % of images have, to the end.

    Where it comes back: the layer at which it grows most beyond the average image's. Empty where it never
    gets clearly beyond that.
    """
    layers: list[str] = list(found["layers"])
    outside = [own > high for own, high in zip(shares, found["usual"]["high"], strict=True)]
    ratios = times(found, shares)
    if max(ratios, default=1.0) < CLEAR:
        return ""
    if outside[-1]:
        inside = [k for k, beyond in enumerate(outside) if not beyond]
        return layers[max(inside, default=-1) + 1]
    jumps = [now / was if was else 1.0 for was, now in pairwise([1.0, *ratios])]
    rising = [k for k, ratio in enumerate(ratios) if ratio >= 1]
    return layers[max(rising, key=lambda k: jumps[k])]


def times(found: Mapping[str, Any], shares: Sequence[float]) -> list[float]:
    """How many times the average image's error this one's is, layer by layer."""
    means = found["usual"]["mean"]
    return [own / mean if mean else 1.0 for own, mean in zip(shares, means, strict=True)]


def growth_words(found: Mapping[str, Any], shares: Sequence[float]) -> str:
    """Where the image goes another way than most, in a sentence."""
    at = parting(found, shares)
    if not at:
        return "Its error is no larger than the average image's: the answer was close to tipping."
    k, ratios = list(found["layers"]).index(at), times(found, shares)
    here = f"{percent(shares[k], 0)} of the output, {ratios[k]:.1f} times the average image's"
    said = (
        f"Its error leaves what {percent(0.9, 0)} of images have at `{at}`: {here}."
        if shares[-1] > found["usual"]["high"][-1]
        else f"Its error grows most at `{at}` ({here}), and stays where {percent(0.9, 0)} of images are "
        "in the end."
    )
    return (
        said
        if k == len(ratios) - 1
        else f"{said} In the last layer it is {ratios[-1]:.1f} times as large."
    )
