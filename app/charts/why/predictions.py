"""What changes for whoever uses the network: agreement by class, margins, and how sure it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.style import FLOAT, LOG, QUANTIZED, QUIET, SHARES, LiveFigure, axis, layout
from engine.core.percent import percent

HEIGHT = 250
MOST = 24  # classes with a bar of their own: those that agree least
BOTH = (("teacher", "float", FLOAT), ("student", "quantized", QUANTIZED))


def by_class(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> LiveFigure:
    """The share of each class's answers that stay, with 95 % bands, the least first; at most MOST classes."""
    worst = sorted(rows, key=lambda one: (one["agreement"], -one["images"]))[:MOST]
    labels = [class_name(one["class"], names) for one in worst]
    bars = {
        "type": "bar", "orientation": "h", "y": labels, "x": [one["agreement"] for one in worst],
        "marker": {"color": QUANTIZED},
        "error_x": {
            "type": "data", "symmetric": False, "color": QUIET, "thickness": 1, "width": 2,
            "array": [one["high"] - one["agreement"] for one in worst],
            "arrayminus": [one["agreement"] - one["low"] for one in worst],
        },
        "customdata": [one["images"] for one in worst],
        "hovertemplate": "%{y}: %{x:.1%} of %{customdata:,} answers stay<extra></extra>",
    }  # fmt: skip
    low = max(0.0, min(one["low"] for one in worst) - 0.05) if worst else 0.0
    shown = layout(
        max(HEIGHT, 60 + 19 * len(worst)), bargap=0.3,
        yaxis=axis(type="category", showgrid=False, autorange="reversed"),
        xaxis=axis("answers that stay", **SHARES, range=[low, 1.0], nticks=5),
    )  # fmt: skip
    told = ", ".join(
        f"{name} {percent(one['agreement'], 0)}" for name, one in zip(labels, worst, strict=True)
    )
    alt = f"The share of answers that stay, for each class that the float network gives: {told}."
    return LiveFigure(figure={"data": [bars], "layout": shown}, alt=alt)


def class_name(number: int, names: Sequence[str]) -> str:
    """A class in words, or by its number."""
    return names[number].split(",")[0][:24] if number < len(names) else f"class {number}"


def margins(counts: Mapping[str, Sequence[int]]) -> LiveFigure:
    """How sure both networks are of their answers: images by the lead of the first class over the second."""
    data = [
        {
            "type": "scatter", "mode": "lines", "name": name, "y": [*counts[who], counts[who][-1]],
            "x": [k / len(counts[who]) for k in range(len(counts[who]) + 1)],
            "line": {"color": colour, "width": 2, "shape": "hv"},
            "fill": "tozeroy" if who == "teacher" else "none",
            "fillcolor": "rgba(59,139,208,0.15)",
            "hovertemplate": "from %{x:.2f} on: %{y:,} images<extra>" + name + "</extra>",
        }
        for who, name, colour in BOTH
    ]  # fmt: skip
    shown = layout(
        HEIGHT, xaxis=axis("margin: first class's lead", range=[0, 1]), showlegend=True,
        yaxis=axis("images", **LOG),
    )  # fmt: skip
    unsure = {who: sum(counts[who][: len(counts[who]) // 10]) for who in counts}
    alt = (
        "Histograms of how far the first class leads before the second, float and quantized. A lead of less "
        f"than 0.1 have {unsure['teacher']:,} images in float and {unsure['student']:,} quantized."
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def reliability(
    bins: Mapping[str, Sequence[Mapping[str, Any]]], ece: Mapping[str, float]
) -> LiveFigure:
    """How often an answer is right at each confidence; on the line a network is as sure as right."""
    line = {
        "type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "hoverinfo": "skip",
        "line": {"color": QUIET, "width": 1.2, "dash": "dot"}, "showlegend": False,
    }  # fmt: skip
    data = [line]
    for who, name, colour in BOTH:
        full = [one for one in bins[who] if one["images"]]
        data.append({
            "type": "scatter", "mode": "lines+markers", "name": f"{name}: {100 * ece[who]:.1f} points off",
            "x": [one["confidence"] for one in full], "y": [one["accuracy"] for one in full],
            "customdata": [one["images"] for one in full], "line": {"color": colour, "width": 2},
            "marker": {"color": colour, "size": 7},
            "hovertemplate": "%{x:.0%} sure, %{y:.0%} right (%{customdata:,} images)<extra>"
            + name + "</extra>",
        })  # fmt: skip
    shown = layout(
        HEIGHT, showlegend=True, xaxis=axis("how sure it is", **SHARES, range=[0, 1.02]),
        yaxis=axis("how often it is right", **SHARES, range=[0, 1.02]),
    )  # fmt: skip
    shown["legend"] |= {"font": {"size": 11}}
    alt = (
        "Reliability: how often an answer is right at each confidence. Calibration error: float "
        f"{ece['teacher']:.4f}, quantized {ece['student']:.4f}."
    )
    return LiveFigure(figure={"data": data, "layout": shown}, alt=alt)


def sure_words(found: Mapping[str, Any]) -> str:
    """The class that changes most, and what became of the calibration, in two sentences."""
    said = []
    many = [one for one in found["by_class"] if one["images"] >= 10]
    if many:
        worst = min(many, key=lambda one: one["agreement"])
        name = class_name(worst["class"], found["classes"])
        said.append(
            f"Most changes are among answers **{name}**: {percent(1 - worst['agreement'])} of "
            f"{worst['images']:,}."
        )
    if found["ece"] is not None:
        before, after = (100 * found["ece"][who] for who in ("teacher", "student"))
        way = "further from" if after > before else "nearer to"
        said.append(
            f"The student's confidence is {after:.1f} points off how often it is right, its teacher's "
            f"{before:.1f}: it is {way} being as sure as right."
        )
    return " ".join(said)
