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
    if report.get("additivity"):
        data.append(_together(report["additivity"], unit))
    budget = {"type": "line", "yref": "paper", "x0": report["budget"] / unit, "y0": 0, "y1": 1}
    budget |= {"x1": report["budget"] / unit, "line": {"color": WATCH, "width": 1.2, "dash": "dot"}}
    title = (
        "weights (kB)" if report["cost"] == "bytes" else "bit operations for one image (billions)"
    )
    harm = axis("harm: sum over the layers", type="log", exponentformat="power", dtick=1)
    shown = layout(HEIGHT, xaxis=axis(title), yaxis=harm, shapes=[budget], showlegend=True)
    shown["margin"] = shown["margin"] | {"r": 34}
    alt = (
        "The smallest sum of harms for each budget, with the allocation chosen and the harm of the same "
        "number of bits in every layer."
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def _together(points: list[dict[str, Any]], unit: float) -> dict[str, Any]:
    """What was measured with all layers quantized at once, for allocations on the front."""
    places = [(one["cost"] / unit, one["kl_together"]) for one in points]
    hollow = {"color": "rgba(0,0,0,0)", "size": 9, "line": {"color": QUANTIZED, "width": 2}}
    return _trace("markers", "measured all at once", places, QUANTIZED, marker=hollow)


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


def bits(
    weight_bits: dict[str, int],
    report: dict[str, Any],
    activation_bits: dict[str, int | None] | None = None,
) -> LiveFigure:
    """Each layer's bits as bars, those of its input beside them where they were chosen; else grey."""
    paths = list(weight_bits)
    weights = {one["path"]: one["harm"] for one in report["layers"]}
    inputs = {path: one["harm"] for one in report.get("inputs", []) for path in one["layers"]}
    data = _bars("weights", weight_bits, weights, QUANTIZED)
    if inputs and activation_bits:
        known = {path: count for path, count in activation_bits.items() if count is not None}
        data += _bars("inputs", known, inputs, FLOAT)
    y_axis = axis("bits" if inputs else "bits of the weights", range=[0, 9], dtick=2)
    x_axis = layer_axis(paths) | {"categoryorder": "array", "categoryarray": paths}
    shown = layout(HEIGHT, xaxis=x_axis, yaxis=y_axis, barmode="group", showlegend=bool(inputs))
    alt = "The bits that each layer's weights were given: " + ", ".join(
        f"{path} {count}" for path, count in weight_bits.items()
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def _bars(
    name: str, counts: dict[str, int], harms: dict[str, dict[str, float]], colour: str
) -> list[dict[str, Any]]:
    """Those that were chosen, and in grey those that an edge layer keeps."""
    chosen = [path for path in counts if path in harms]
    kept = [path for path in counts if path not in harms]
    said = {path: f"harm {harms[path][str(counts[path])]:.3g}" for path in chosen}
    return [
        {
            "type": "bar",
            "name": title,
            "offsetgroup": name,
            "showlegend": title == name,
            "x": paths,
            "y": [counts[path] for path in paths],
            "text": [str(counts[path]) for path in paths],
            "textposition": "outside",
            "cliponaxis": False,
            "customdata": [said.get(path, "not chosen: an edge layer") for path in paths],
            "marker": {"color": shade},
            "hovertemplate": "%{x}: %{y} bits, %{customdata}<extra>" + name + "</extra>",
        }
        for title, paths, shade in ((name, chosen, colour), (f"{name} at an edge", kept, QUIET))
    ]
