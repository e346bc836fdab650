"""What charts of a quantizer at work are put together from: empty traces, and bindings that fill them."""

from typing import Any

from app.charts.style import FLOAT, QUANTIZED, QUIET, SHARES, LiveFigure, axis, layout

LEVEL_LINES = "rgba(238,138,29,0.5)"
UPPER, LOWER = [0.46, 1.0], [0.0, 0.27]


def on(form: str) -> dict[str, Any]:
    """The part of a binding that says for which views it is."""
    return {"on": "viewed", "where": {"form": form}}


def filled(form: str, fills: list[dict[str, Any]]) -> dict[str, Any]:
    """A binding that fills traces with the newest view's arrays."""
    return on(form) | {"do": "fill", "restart": "what", "fills": fills}


def titled() -> dict[str, Any]:
    """Room for a title, which names what is drawn."""
    title = {"text": "", "font": {"size": 13}, "x": 1, "xanchor": "right", "y": 0.985}
    return {"title": title, "margin": {"l": 56, "r": 12, "t": 46, "b": 38}}


def two(**axes: Any) -> dict[str, Any]:
    """Two charts one above the other: side by side they would not fit a narrow page."""
    axes["yaxis"] |= {"domain": UPPER}
    axes["yaxis2"] |= {"domain": LOWER}
    if "xaxis2" in axes:
        axes["xaxis2"] |= {"anchor": "y2"}
    return layout(430, showlegend=True, **axes, **titled())


def trace(kind: str, name: str, hover: str) -> dict[str, Any]:
    """An empty trace of that kind."""
    return {
        "type": kind,
        "name": name,
        "x": [],
        "y": [],
        "hovertemplate": f"{hover}<extra></extra>",
    }


def line(name: str, colour: str, hover: str, *, lower: bool = False, **line: Any) -> dict[str, Any]:
    """An empty line."""
    places = {"xaxis": "x2", "yaxis": "y2"} if lower else {}
    style = {"color": colour, "width": 2} | line
    return trace("scatter", name, hover) | {"mode": "lines", "line": style} | places


def dots(name: str, colour: str, symbol: str, size: int) -> dict[str, Any]:
    """Empty markers, on the lower of two charts."""
    marker = {
        "color": colour,
        "symbol": symbol,
        "size": size,
        "line": {"width": 2, "color": colour},
    }
    dots = trace("scatter", name, "column %{x}: %{y:.3g}")
    return dots | {"mode": "markers", "marker": marker, "xaxis": "x2", "yaxis": "y2"}


def deciding(form: str, hover: str, across: dict[str, Any], alt: str, **bars: Any) -> LiveFigure:
    """A histogram beside what it was at first, and below it the share of weights that have decided."""
    now = trace("bar", "now", f"{hover}: %{{y:.1%}} of the weights")
    now |= {"marker": {"color": QUANTIZED}} | bars
    began = line("as it began", QUIET, f"{hover}: %{{y:.1%}} at first", shape="hvh")
    decided = line("decided", FLOAT, "step %{x}: %{y:.1%} decided", lower=True)
    figure = {
        "data": [now, began, decided | {"showlegend": False}],
        "layout": two(
            xaxis=across,
            yaxis=axis("weights", **SHARES, rangemode="tozero"),
            xaxis2=axis("step"),
            yaxis2=axis("decided", **SHARES, range=[0, 1.02]),
            bargap=0.05,
        ),
    }
    fills: list[dict[str, Any]] = [
        {"trace": 0, "x": "arrays.centres", "y": "arrays.shares"},
        {"trace": 1, "x": "arrays.centres", "y": "arrays.shares", "once": True},
    ]
    follow = on(form) | {"do": "append", "trace": 2, "x": "step", "y": "values.decided"}
    return LiveFigure(figure=figure, bindings=[filled(form, fills), follow], alt=alt)
