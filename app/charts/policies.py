"""Charts of rounding policies at work: what each kind of quantizer shows of itself (`viewed` events)."""

from collections.abc import Callable
from typing import Any

from app.charts.style import FLOAT, QUANTIZED, QUIET, LiveFigure, axis, layout

LEVEL_LINES = "rgba(238,138,29,0.5)"
UPPER, LOWER = [0.46, 1.0], [0.0, 0.27]


def soft_rounding() -> LiveFigure:
    """Soft roundings as a histogram from down to up, and the share of the decided over the steps."""
    bars = _trace("bar", "now", "h near %{x:.2f}: %{y:.1%} of the weights")
    bars |= {"marker": {"color": QUANTIZED}, "width": 1 / 24}
    began = _line("as it began", QUIET, "h near %{x:.2f}: %{y:.1%} at first", shape="hvh")
    decided = _line("decided", FLOAT, "step %{x}: %{y:.1%} decided", lower=True)
    figure = {
        "data": [bars, began, decided | {"showlegend": False}],
        "layout": _two(
            xaxis=axis("soft rounding: 0 is down, 1 is up", range=[-0.02, 1.02], showgrid=False),
            yaxis=axis("weights", tickformat=".0%", rangemode="tozero"),
            xaxis2=axis("step"),
            yaxis2=axis("decided", tickformat=".0%", range=[0, 1.02]),
            bargap=0.05,
        ),
    }
    fills: list[dict[str, Any]] = [
        {"trace": 0, "x": "arrays.centres", "y": "arrays.shares"},
        {"trace": 1, "x": "arrays.centres", "y": "arrays.shares", "once": True},
    ]
    follow = _on("soft-rounding") | {"do": "append", "trace": 2, "x": "step", "y": "values.decided"}
    alt = (
        "Histogram of the soft roundings of the block at work, and the share of weights that have "
        "decided for up or down, over the steps."
    )
    return LiveFigure(figure=figure, bindings=[_filled("soft-rounding", fills), follow], alt=alt)


def path() -> LiveFigure:
    """The error column by column beside nearest rounding's; below, the codes of one output channel."""
    plain = _line("rounded to nearest", QUIET, "column %{x}: %{y:.3g} if rounded to nearest")
    error = _line("as chosen", QUANTIZED, "column %{x}: %{y:.3g}")
    weight = _dots("float weight", FLOAT, "line-ew-open", 9)
    taken = _dots("level taken", QUANTIZED, "circle", 6)
    levels = axis("channel 0", gridcolor=LEVEL_LINES, showticklabels=False, tickvals=[])
    figure = {
        "data": [plain, error, weight, taken],
        "layout": _two(
            xaxis=axis("column of the layer"),
            yaxis=axis("error so far", rangemode="tozero"),
            xaxis2=axis("column (lines: the levels)", showgrid=False),
            yaxis2=levels,
        ),
    }
    fills: list[dict[str, Any]] = [
        {"trace": 0, "x": "arrays.at", "y": "arrays.nearest"},
        {"trace": 1, "x": "arrays.at", "y": "arrays.error"},
        {"trace": 2, "x": "arrays.column", "y": "arrays.weight"},
        {"trace": 3, "x": "arrays.column", "y": "arrays.taken"},
        {"axis": "yaxis2", "value": "arrays.levels"},
    ]
    alt = (
        "The error of the layer's output as its columns are rounded one after another, beside that of "
        "nearest rounding; and the levels that the weights of output channel 0 take."
    )
    return LiveFigure(figure=figure, bindings=[_filled("path", fills)], alt=alt)


def levels() -> LiveFigure:
    """One channel's weights with its levels as lines; below, where the levels lay after each turn."""
    bars = _trace("bar", "float weights", "near %{x:.3g}: %{y:.1%} of the weights")
    bars["marker"] = {"color": FLOAT}
    course = _dots("levels", QUANTIZED, "circle", 6) | {"xaxis": "x", "yaxis": "y2"}
    course["hovertemplate"] = "after %{y} turns: a level at %{x:.3g}<extra></extra>"
    figure = {
        "data": [bars, course],
        "layout": _two(
            xaxis=axis("weight (lines: the levels now)", gridcolor=LEVEL_LINES, tickvals=[], anchor="y2")
            | {"tickformat": ".2g", "tickangle": -60},
            yaxis=axis("weights", tickformat=".0%", rangemode="tozero"),
            yaxis2=axis("turn", autorange="reversed", type="category"),
            bargap=0.05,
        ),
    }  # fmt: skip
    fills: list[dict[str, Any]] = [
        {"trace": 0, "x": "arrays.centres", "y": "arrays.shares"},
        {"trace": 1, "x": "arrays.levels", "y": "values.turn", "add": True},
        {"axis": "xaxis", "value": "arrays.levels"},
    ]
    alt = "Histogram of one channel's weights, and how its learned levels moved turn by turn."
    return LiveFigure(figure=figure, bindings=[_filled("levels", fills)], alt=alt)


def borders() -> LiveFigure:
    """The border between rounding down and up against the value; one half is nearest rounding."""
    data: list[dict[str, Any]] = [
        _line("lowest channel", QUIET, "%{x:.2f} of the range: %{y:.3f}"),
        _line("highest channel", QUIET, "%{x:.2f} of the range: %{y:.3f}") | {"fill": "tonexty"},
        _line("nearest rounding", FLOAT, "nearest rounding: always 0.5", dash="dash"),
        _line("middle channel", QUANTIZED, "%{x:.2f} of the range: %{y:.3f}"),
    ]
    data[1]["fillcolor"] = "rgba(138,148,163,0.18)"
    names = ("lowest", "highest", None, "middle")
    fills: list[dict[str, Any]] = [
        {"trace": k, "x": "arrays.value", "y": 0.5 if name is None else f"arrays.{name}"}
        for k, name in enumerate(names)
    ]
    for k in range(5):
        one = _line(f"channel sample {k}", QUANTIZED, "%{x:.2f} of the range: %{y:.3f}", width=1)
        data.append(one | {"opacity": 0.5, "showlegend": False})
        fills.append({"trace": 4 + k, "x": "arrays.value", "y": f"arrays.sample {k}"})
    shown = layout(
        340,
        xaxis=axis("activation, as a share of its range"),
        yaxis=axis("border: rounded up from here on"),
        showlegend=True,
        **_titled(),
    )
    alt = "The learned rounding border of the activations against their value; 0.5 is nearest rounding."
    return LiveFigure(
        figure={"data": data, "layout": shown}, bindings=[_filled("borders", fills)], alt=alt
    )


def confidence() -> LiveFigure:
    """How probable each weight's most probable level is, and the share of the decided over the steps."""
    bars = _trace("bar", "now", "probability near %{x:.2f}: %{y:.1%} of the weights")
    bars |= {"marker": {"color": QUANTIZED}}
    began = _line("as it began", QUIET, "near %{x:.2f}: %{y:.1%} at first", shape="hvh")
    decided = _line("decided", FLOAT, "step %{x}: %{y:.1%} decided", lower=True)
    figure = {
        "data": [bars, began, decided | {"showlegend": False}],
        "layout": _two(
            xaxis=axis("probability of the most probable level", range=[0, 1.02], showgrid=False),
            yaxis=axis("weights", tickformat=".0%", rangemode="tozero"),
            xaxis2=axis("step"),
            yaxis2=axis("decided", tickformat=".0%", range=[0, 1.02]),
            bargap=0.05,
        ),
    }
    fills: list[dict[str, Any]] = [
        {"trace": 0, "x": "arrays.centres", "y": "arrays.shares"},
        {"trace": 1, "x": "arrays.centres", "y": "arrays.shares", "once": True},
    ]
    follow = _on("confidence") | {"do": "append", "trace": 2, "x": "step", "y": "values.decided"}
    alt = (
        "Histogram of how probable each weight's most probable level is in the block at work, and the share "
        "of weights that are sure of one, over the steps."
    )
    return LiveFigure(figure=figure, bindings=[_filled("confidence", fills), follow], alt=alt)


def slopes() -> LiveFigure:
    """The sum of the absolute slopes of the loss in all weights, over the training."""
    norm = _line("sum of absolute slopes", QUANTIZED, "step %{x}: %{y:.4g}")
    shown = layout(
        300, xaxis=axis("step of the training"),
        yaxis=axis("sum of |slopes|", rangemode="tozero"), **_titled(),
    )  # fmt: skip
    fills: list[dict[str, Any]] = [{"trace": 0, "x": "arrays.step", "y": "arrays.norm"}]
    alt = "The l1 norm of the loss's gradient in the weights over the steps of the training."
    return LiveFigure(
        figure={"data": [norm], "layout": shown}, bindings=[_filled("slopes", fills)], alt=alt
    )


def taps() -> LiveFigure:
    """The centre taps of a layer's kernels against the outer ones, before the split and after it."""
    data = [
        _line(
            "centre, before", QUANTIZED, "near %{x:.3g}: %{y:.1%} of the centre taps", shape="hvh"
        ),
        _line("outer, before", FLOAT, "near %{x:.3g}: %{y:.1%} of the outer taps", shape="hvh"),
        _line(
            "centre, now",
            QUANTIZED,
            "near %{x:.3g}: %{y:.1%} of the centre taps",
            lower=True,
            shape="hvh",
        ),
        _line(
            "outer, now",
            FLOAT,
            "near %{x:.3g}: %{y:.1%} of the outer taps",
            lower=True,
            shape="hvh",
        ),
    ]
    for trace in data[2:]:
        trace["showlegend"] = False
    shares = axis("taps", tickformat=".0%", rangemode="tozero")
    figure = {
        "data": data,
        "layout": _two(
            xaxis=axis("weight before the split"), yaxis=dict(shares),
            xaxis2=axis("weight now", matches="x"), yaxis2=dict(shares),
        ),
    }  # fmt: skip
    fills: list[dict[str, Any]] = [
        {"trace": k, "x": "arrays.places", "y": f"arrays.{name}", "once": k < 2}
        for k, name in enumerate(("centre", "outer", "centre", "outer"))
    ]
    alt = "Histograms of the centre taps and of the outer taps of the kernels, before the split and now."
    return LiveFigure(figure=figure, bindings=[_filled("taps", fills)], alt=alt)


def factors() -> LiveFigure:
    """The relative error of a kernel's quantized factors, sweep by sweep."""
    error = _line("error of the product", QUANTIZED, "sweep %{x}: %{y:.2%} of the kernel's size")
    shown = layout(
        300, xaxis=axis("sweep (0: float factors, rounded)"),
        yaxis=axis("relative error", tickformat=".0%", rangemode="tozero"), **_titled(),
    )  # fmt: skip
    fills: list[dict[str, Any]] = [{"trace": 0, "x": "arrays.sweep", "y": "arrays.relative_error"}]
    alt = "How far the product of the quantized factors is from the kernel, over the sweeps."
    return LiveFigure(
        figure={"data": [error], "layout": shown}, bindings=[_filled("factors", fills)], alt=alt
    )


CHARTS: dict[str, Callable[[], LiveFigure]] = {
    "soft-rounding": soft_rounding,
    "path": path,
    "levels": levels,
    "borders": borders,
    "confidence": confidence,
    "slopes": slopes,
    "taps": taps,
    "factors": factors,
}


def _on(form: str) -> dict[str, Any]:
    return {"on": "viewed", "where": {"form": form}}


def _filled(form: str, fills: list[dict[str, Any]]) -> dict[str, Any]:
    return _on(form) | {"do": "fill", "restart": "what", "fills": fills}


def _titled() -> dict[str, Any]:
    title = {"text": "", "font": {"size": 13}, "x": 1, "xanchor": "right", "y": 0.985}
    return {"title": title, "margin": {"l": 56, "r": 12, "t": 46, "b": 38}}


def _two(**axes: Any) -> dict[str, Any]:
    """Two charts one above the other: side by side they would not fit a narrow page."""
    axes["yaxis"] |= {"domain": UPPER}
    axes["yaxis2"] |= {"domain": LOWER}
    if "xaxis2" in axes:
        axes["xaxis2"] |= {"anchor": "y2"}
    return layout(430, showlegend=True, **axes, **_titled())


def _trace(kind: str, name: str, hover: str) -> dict[str, Any]:
    return {
        "type": kind,
        "name": name,
        "x": [],
        "y": [],
        "hovertemplate": f"{hover}<extra></extra>",
    }


def _line(
    name: str, colour: str, hover: str, *, lower: bool = False, **line: Any
) -> dict[str, Any]:
    places = {"xaxis": "x2", "yaxis": "y2"} if lower else {}
    style = {"color": colour, "width": 2} | line
    return _trace("scatter", name, hover) | {"mode": "lines", "line": style} | places


def _dots(name: str, colour: str, symbol: str, size: int) -> dict[str, Any]:
    marker = {
        "color": colour,
        "symbol": symbol,
        "size": size,
        "line": {"width": 2, "color": colour},
    }
    dots = _trace("scatter", name, "column %{x}: %{y:.3g}")
    return dots | {"mode": "markers", "marker": marker, "xaxis": "x2", "yaxis": "y2"}
