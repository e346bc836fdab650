"""How few bytes the codes take: each way of packing them, and what no code of single weights can beat."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.style import FLOAT, QUANTIZED, QUIET, SHARES, LiveFigure, axis, layout
from app.wording.words import size_words

NAMES = {
    "packed": "packed densely",
    "huffman": "Huffman-coded",
    "sparse": "sparse",
    "entropy": "entropy: the least",
}
HEIGHT = 190


def packings(total: Mapping[str, Any]) -> LiveFigure:
    """Bytes of all layers' codes in each form; the smallest of each layer together stand below."""
    sizes = {name: float(total["bytes"][form]) for form, name in NAMES.items()}
    sizes["smallest for each layer"] = float(total["chosen_bytes"])
    colours = [QUIET if name == NAMES["entropy"] else FLOAT for name in sizes]
    colours[-1] = QUANTIZED
    texts = [size_words(size) for size in sizes.values()]
    bars = {
        "type": "bar", "orientation": "h", "y": list(sizes), "x": list(sizes.values()),
        "text": texts, "textposition": "outside", "cliponaxis": False,
        "marker": {"color": colours}, "hovertemplate": "%{y}: %{text}<extra></extra>",
    }  # fmt: skip
    most = max(sizes.values(), default=1.0) or 1.0
    x_axis = axis("bytes of the codes", range=[0, 1.25 * most], exponentformat="SI")
    y_axis = axis(type="category", showgrid=False, autorange="reversed")
    shown = layout(HEIGHT, bargap=0.3, xaxis=x_axis, yaxis=y_axis)
    told = "; ".join(f"{name} {text}" for name, text in zip(sizes, texts, strict=True))
    return LiveFigure(figure={"data": [bars], "layout": shown}, alt=f"The codes: {told}.")


FORM_COLOURS = {"packed": QUIET, "huffman": FLOAT, "sparse": QUANTIZED}


def against_sparsity(found: Mapping[str, Any]) -> LiveFigure:
    """Bits a weight of one layer in each form, over the share of its weights that are zero."""
    rows = found["rows"]
    lines = [
        {"type": "scatter", "mode": "lines+markers", "name": NAMES[form],
         "x": [row["zeros"] for row in rows],
         "y": [8 * row["bytes"][form] / found["weights"] for row in rows],
         "line": {"color": colour, "width": 2}, "marker": {"size": 5},
         "hovertemplate": f"%{{x:.1%}} zeros: %{{y:.2f}} bits a weight {NAMES[form]}<extra></extra>"}
        for form, colour in FORM_COLOURS.items()
    ]  # fmt: skip
    shown = layout(
        HEIGHT + 40, showlegend=True, xaxis=axis("weights that are zero", **SHARES),
        yaxis=axis("bits a weight", rangemode="tozero"), margin={"l": 56, "r": 12, "t": 30, "b": 38},
    )  # fmt: skip
    alt = f"Bits a weight of {found['path']} in three forms, over its share of zeros."
    return LiveFigure(figure={"data": lines, "layout": shown}, alt=alt)


def code_lengths(layers: Sequence[Mapping[str, Any]]) -> LiveFigure:
    """How many of all weights have a Huffman code of so many bits."""
    longest = max(len(row["lengths"]) for row in layers)
    counts = [
        sum(row["lengths"][bits] for row in layers if bits < len(row["lengths"]))
        for bits in range(longest)
    ]
    weights = max(1, sum(counts))
    bars = {
        "type": "bar", "x": [*range(longest)], "y": [count / weights for count in counts],
        "marker": {"color": FLOAT},
        "hovertemplate": "codes of %{x} bits: %{y:.1%} of the weights<extra></extra>",
    }  # fmt: skip
    shown = layout(
        HEIGHT, bargap=0.15, xaxis=axis("bits of a weight's Huffman code", dtick=1),
        yaxis=axis("weights", **SHARES, rangemode="tozero"),
    )  # fmt: skip
    mean = sum(bits * count for bits, count in enumerate(counts)) / weights
    alt = f"Huffman codes have 0 to {longest - 1} bits, {mean:.2f} on average."
    return LiveFigure(figure={"data": [bars], "layout": shown}, alt=alt)
