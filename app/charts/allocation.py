"""Bits that were chosen by measuring: what harm each budget buys, and what every layer was given."""

from typing import Any

from app.charts.quantization import layer_axis
from app.charts.style import FLOAT, QUANTIZED, QUIET, WATCH, LiveFigure, axis, layout

HEIGHT = 320


def front(report: dict[str, Any]) -> LiveFigure:
    """The Pareto front of cost and harm, the same bits in every layer beside it, and the choice."""
    unit = 1e3 if report["cost"] == "bytes" else 1e9
    points = [(cost / unit, harm) for cost, harm in report["front"]]
    chosen, uniform = report["chosen"], report["uniform"]
    data = [
        _trace("lines", "the best for each budget", points, FLOAT),
        _trace(
            "markers+text",
            "the same in every layer",
            [(one["cost"] / unit, one["harm"]) for one in uniform],
            QUIET,
            text=[f"W{one['weight_bits']}" for one in uniform],
            textposition="top right",
            cliponaxis=False,
            marker={"color": QUIET, "size": 8, "symbol": "square"},
        ),
        _trace(
            "markers",
            "chosen",
            [(chosen["cost"] / unit, chosen["harm"])],
            QUANTIZED,
            marker={"color": QUANTIZED, "size": 14, "symbol": "star"},
        ),
    ]
    budget = {"type": "line", "yref": "paper", "x0": report["budget"] / unit, "y0": 0, "y1": 1}
    budget |= {"x1": report["budget"] / unit, "line": {"color": WATCH, "width": 1.2, "dash": "dot"}}
    title = (
        "weights (kB)" if report["cost"] == "bytes" else "bit operations for one image (billions)"
    )
    harm = axis("sum of the layers' harms", type="log", exponentformat="power", dtick=1)
    shown = layout(HEIGHT, xaxis=axis(title), yaxis=harm, shapes=[budget], showlegend=True)
    shown["margin"] = shown["margin"] | {"r": 34}
    alt = (
        "The smallest sum of harms for each budget, with the allocation chosen and the harm of the same "
        "number of bits in every layer."
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def _trace(
    mode: str, name: str, points: list[tuple[float, float]], colour: str, **more: Any
) -> dict[str, Any]:
    known = [point for point in points if point[1] > 0]  # a logarithmic axis has no 0
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "x": [x for x, _ in known],
        "y": [y for _, y in known],
        "line": {"color": colour, "width": 2},
        "hovertemplate": "%{x:.4g}: harm %{y:.3g}<extra>" + name + "</extra>",
    } | more


def bits(weight_bits: dict[str, int], report: dict[str, Any]) -> LiveFigure:
    """Each layer's bits as bars; grey where there was no choice."""
    harms = {one["path"]: one["harm"] for one in report["layers"]}
    paths = list(weight_bits)
    said = [
        f"harm {harms[path][str(weight_bits[path])]:.3g}"
        if path in harms
        else "not chosen: an edge layer"
        for path in paths
    ]
    bars = {
        "type": "bar",
        "x": paths,
        "y": [weight_bits[path] for path in paths],
        "text": [str(weight_bits[path]) for path in paths],
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": said,
        "marker": {"color": [QUANTIZED if path in harms else QUIET for path in paths]},
        "hovertemplate": "%{x}: %{y} bits, %{customdata}<extra></extra>",
    }
    y_axis = axis("bits of the weights", range=[0, 9], dtick=2)
    shown = layout(HEIGHT, xaxis=layer_axis(paths), yaxis=y_axis)
    alt = "The bits that each layer's weights were given: " + ", ".join(
        f"{path} {count}" for path, count in weight_bits.items()
    )
    return LiveFigure(figure={"data": [bars], "layout": shown}, alt=alt)
