"""Bits that were chosen by measuring: the sensitivity at each budget, and what every layer was given."""

from itertools import pairwise
from typing import Any

from app.charts.layers.layer_errors import layer_axis
from app.charts.style import FLOAT, LOG, QUANTIZED, QUIET, WATCH, LiveFigure, axis, layout
from engine.core.percent import percent
from engine.run.uniform_budget import cost_words, fits, rival

HEIGHT = 320
UNITS = {  # of what a budget counts: how many make one of the axis, and what that is
    "bytes": (1e3, "weights (kB)"),
    "bit-operations": (1e9, "bit operations for one image (billions)"),
    "latency": (1.0, "time of the layers alone, one image (ms)"),
}
ALIKE = 1.25  # a factor below which the sum is as good as the measurement


def in_todays_words(report: Any) -> Any:
    """An allocation's report with the names of today; older runs called a sensitivity `harm`."""
    if isinstance(report, dict):
        return {
            "sensitivity" if key == "harm" else key: in_todays_words(value)
            for key, value in report.items()
        }
    return [in_todays_words(one) for one in report] if isinstance(report, list) else report


def front(report: dict[str, Any]) -> LiveFigure:
    """The Pareto front of cost and sensitivity, the same bits in every layer beside it, and the choice."""
    unit, title = UNITS[report["cost"]]
    points = [(cost / unit, sensitivity) for cost, sensitivity in report["front"]]
    chosen, uniform = report["chosen"], report["uniform"]
    data = [
        _trace("lines", "the best for each budget", points, FLOAT),
        _trace(
            "markers+text",
            "the same in every layer",
            [(one["cost"] / unit, one["sensitivity"]) for one in uniform],
            QUIET,
            text=[f"W{one['weight_bits']}" for one in uniform],
            textposition="top right",
            cliponaxis=False,
            marker={"color": QUIET, "size": 8, "symbol": "square"},
        ),
        _trace(
            "markers",
            "chosen",
            [(chosen["cost"] / unit, chosen["sensitivity"])],
            QUANTIZED,
            marker={"color": QUANTIZED, "size": 14, "symbol": "star"},
        ),
    ]
    if report.get("additivity"):
        data.append(_together(report["additivity"], unit))
    budget = {"type": "line", "yref": "paper", "x0": report["budget"] / unit, "y0": 0, "y1": 1}
    budget |= {"x1": report["budget"] / unit, "line": {"color": WATCH, "width": 1.2, "dash": "dot"}}
    sensitivity = axis("sensitivity: sum over the layers", **LOG)
    shown = layout(HEIGHT, xaxis=axis(title), yaxis=sensitivity, shapes=[budget], showlegend=True)
    shown["margin"] = shown["margin"] | {"r": 34}
    alt = (
        "The smallest sum of sensitivities for each budget, the allocation chosen, and the sensitivity of "
        "the same number of bits in every layer."
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
        "hovertemplate": "%{x:.4g}: sensitivity %{y:.3g}<extra>" + name + "</extra>",
    } | more


def bits(
    weight_bits: dict[str, int],
    report: dict[str, Any],
    activation_bits: dict[str, int | None] | None = None,
) -> LiveFigure:
    """Each layer's bits as bars, those of its input beside them where they were chosen; else grey."""
    paths = list(weight_bits)
    weights = {one["path"]: one["sensitivity"] for one in report["layers"]}
    inputs = {
        path: one["sensitivity"] for one in report.get("inputs", []) for path in one["layers"]
    }
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


def kernels(report: dict[str, Any]) -> LiveFigure:
    """Each layer's time as floats and in 8 bits, as measured; in full colour as it runs."""
    rows = report["kernels"]["layers"]
    paths = [row["path"] for row in rows]
    data = [
        {
            "type": "bar",
            "name": name,
            "x": paths,
            "y": [1000 * row[f"{kind}_ms"] for row in rows],
            "marker": {
                "color": colour,
                "opacity": [1.0 if row["runs"] == kind else 0.3 for row in rows],
            },
            "hovertemplate": "%{x}: %{y:.1f} µs<extra>" + name + "</extra>",
        }
        for kind, name, colour in (("float", "as floats", FLOAT), ("int8", "in 8 bits", QUANTIZED))
    ]
    x_axis = layer_axis(paths) | {"categoryorder": "array", "categoryarray": paths}
    y_axis = axis("µs for one image", rangemode="tozero")
    shown = layout(HEIGHT, xaxis=x_axis, yaxis=y_axis, barmode="group", showlegend=True)
    alt = (
        "Each layer's microseconds for one image as floats and in 8 bits, and how it runs: "
        + ", ".join(
            f"{row['path']} {1000 * row['float_ms']:.0f} and {1000 * row['int8_ms']:.0f}, {row['runs']}"
            for row in rows
        )
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def _bars(
    name: str, counts: dict[str, int], sensitivities: dict[str, dict[str, float]], colour: str
) -> list[dict[str, Any]]:
    """Those that were chosen, and in grey those that an edge layer keeps."""
    chosen = [path for path in counts if path in sensitivities]
    kept = [path for path in counts if path not in sensitivities]
    said = {path: f"sensitivity {sensitivities[path][str(counts[path])]:.3g}" for path in chosen}
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


def allocation_words(report: dict[str, Any]) -> str:
    """Whether the chosen bits are nearer to the teacher than what the budget buys for every layer alike.

    Both are measured with all layers rounded to nearest together, before any reconstruction. Behind it
    stands what a budget of time could do.
    """
    timed = report.get("kernels")
    return f"{_worth_words(report)} {timed['sentence']}" if timed else _worth_words(report)


def _worth_words(report: dict[str, Any]) -> str:
    mine, other = report["chosen"]["kl_together"], rival(report)
    how = {
        "exact": "exact" if report["exact"] else "nearly exact",
        "integer": "exact, by an integer programme",
    }
    solver = how.get(report["solver"], report["solver"])
    share = report["chosen"]["cost"] / (report["budget"] or 1)
    spent = f"{percent(share)} of the budget is spent ({solver})."
    if other is None:
        return f"All layers rounded together, the answers are KL {mine:.3g} away from the teacher's. {spent}"
    theirs, alike = other["kl_together"], f"{other['weight_bits']} bits in every layer"
    if not fits(report, other):
        return (
            f"All layers rounded together, the answers are KL {mine:.3g} away from the teacher's. {spent} "
            f"With {alike}{cost_words(report, other)}, they are {theirs:.3g} away."
        )
    together = f"KL {mine:.3g} instead of {theirs:.3g} with {alike}{cost_words(report, other)}"
    if mine >= theirs:
        how_far = "as far from" if mine == theirs else "further from"
        return (
            f"**No gain**: all layers rounded together, the answers are {how_far} the teacher's: {together}. "
            f"The sum of sensitivities promised more than all layers at once keep. {spent}"
        )
    return (
        f"All layers rounded together, the answers come **{percent(1 - mine / theirs, 0)} nearer** to the "
        f"teacher's: {together}. {spent}"
    )


def additivity_words(points: list[dict[str, Any]]) -> str:
    """Whether sensitivities measured one layer at a time add up to what all layers do at once."""
    mine = next((one for one in points if one["chosen"]), points[-1])
    ratio, ratios = mine["ratio"], [one["ratio"] for one in points]
    if ratio > ALIKE:
        verdict = "the layers' errors make each other worse"
    elif ratio < 1 / ALIKE:
        verdict = "the layers' errors partly cancel"
    else:
        verdict = "nearly the same"
    falling = all(one["kl_together"] >= other["kl_together"] for one, other in pairwise(points))
    along = (
        "more budget was better each time"
        if falling
        else "more budget was **not** always better, so small steps along the line mean little"
    )
    return (
        f"Do the sensitivities add up? One layer at a time: {mine['sensitivity']:.3g} in all; all at once "
        f"it is {mine['kl_together']:.3g}, **{ratio:.2g} times** as much: {verdict}. At the {len(points)} "
        f"points tried along the line the factor is {min(ratios):.2g} to {max(ratios):.2g}, and {along}."
    )
