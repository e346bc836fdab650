"""Charts of blocks at work: their losses, and the judging at the end."""

from typing import Any

from app.charts.images.synthesis import short
from app.charts.style import FLOAT, GRID, LOG, QUANTIZED, SERIES, SHARES, LiveFigure, axis, layout

COLUMNS = 4


def block_at_work() -> LiveFigure:
    """The reconstruction losses of the block being reconstructed now; empties with each block."""
    figure = {
        "data": [],
        "layout": layout(
            300,
            xaxis=axis("step"),
            yaxis=axis("loss", **LOG),
            showlegend=True,
            title={"text": "", "font": {"size": 13}, "x": 1, "xanchor": "right", "y": 0.99},
        )
        | {"margin": {"l": 56, "r": 12, "t": 30, "b": 38}},
    }
    binding = {
        "on": "stepped",
        "where": {"stage": "quantization"},
        "do": "append-each",
        "group": "losses",
        "x": "step",
        "restart": "part",
        "template": {"type": "scatter", "mode": "lines"},
        "colours": SERIES,
    }
    alt = "The losses of the block that is reconstructed now, over its steps."
    return LiveFigure(figure=figure, bindings=[binding], alt=alt)


def block_multiples(blocks: list[dict[str, Any]], loss: str = "reconstruction") -> LiveFigure:
    """One small chart a block: how far that part of its loss fell."""
    rows = max(1, -(-len(blocks) // COLUMNS))
    figure: dict[str, Any] = {"data": [], "layout": layout(40 + 84 * rows, annotations=[])}
    figure["layout"]["margin"] = {"l": 8, "r": 8, "t": 22, "b": 8}
    bindings = []
    for place, block in enumerate(blocks):
        _add_small_chart(figure, place, rows, str(block["name"]))
        where = {"stage": "quantization", "part": block["name"]}
        bindings.append({"on": "stepped", "where": where, "do": "append", "trace": place})
        bindings[-1] |= {"x": "step", "y": f"losses.{loss}"}
    alt = "One small curve a block: its reconstruction loss over its steps, logarithmic."
    return LiveFigure(figure=figure, bindings=bindings, alt=alt)


def _add_small_chart(figure: dict[str, Any], place: int, rows: int, name: str) -> None:
    row, column = divmod(place, COLUMNS)
    number = "" if place == 0 else str(place + 1)
    left, top = column / COLUMNS, 1 - row / rows
    x_domain = [left + 0.012, left + 1 / COLUMNS - 0.012]
    y_domain = [max(0.0, top - 0.94 / rows), top - 0.26 / rows]
    frame = {"showticklabels": False, "showgrid": False, "zeroline": False, "linecolor": GRID}
    frame |= {"mirror": True, "ticks": ""}
    x_axis = frame | {"domain": x_domain, "anchor": f"y{number}"}
    y_axis = frame | {"domain": y_domain, "anchor": f"x{number}", "type": "log"}
    figure["layout"] |= {f"xaxis{number}": x_axis, f"yaxis{number}": y_axis}
    figure["layout"]["annotations"].append(
        {
            "text": short(name),
            "xref": "paper",
            "yref": "paper",
            "x": x_domain[0],
            "y": y_domain[1],
            "xanchor": "left",
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"size": 10},
        }
    )
    figure["data"].append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [],
            "y": [],
            "xaxis": f"x{number}",
            "yaxis": f"y{number}",
            "line": {"color": QUANTIZED, "width": 1.6},
            "hovertemplate": "step %{x}: %{y:.3g}<extra></extra>",
        }
    )


def judging() -> LiveFigure:
    """The running top-1 of teacher and student while the test images are judged."""
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [],
            "y": [],
            "line": {"color": colour, "width": 2},
            "hovertemplate": "%{x} images: %{y:.1%}<extra>" + name + "</extra>",
        }
        for name, colour in (("teacher", FLOAT), ("student", QUANTIZED))
    ]
    y_axis = axis("top-1 so far", **SHARES)
    figure = {
        "data": traces,
        "layout": layout(240, xaxis=axis("images judged"), yaxis=y_axis, showlegend=True),
    }
    bindings = [
        {
            "on": "stepped",
            "where": {"stage": "evaluation", "part": part},
            "do": "append",
            "trace": trace,
            "x": "step",
            "y": "values.top1",
        }
        for trace, part in enumerate(("teacher", "student"))
    ]
    alt = "Running accuracy of teacher and student over the test images."
    return LiveFigure(figure=figure, bindings=bindings, alt=alt)
