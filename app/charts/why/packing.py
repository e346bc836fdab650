"""How few bytes the codes take: each way of packing them, and what no code of single weights can beat."""

from collections.abc import Mapping
from typing import Any

from app.charts.style import FLOAT, QUANTIZED, QUIET, LiveFigure, axis, layout
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
