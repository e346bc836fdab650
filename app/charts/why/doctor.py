"""What a finding of the doctor stands on: its numbers as a line of words, its longest row as bars."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts.style import OVER, QUIET, LiveFigure, axis, layout

HEIGHT = 220
WORDS = {  # of what a rule measured, with its unit
    "sqnr_db": "SQNR, dB",
    "weights_db": "SQNR of the weights, dB",
    "inputs_db": "SQNR of the input, dB",
    "float_gain": "KL that goes away with the layer float, nats",
    "channels": "largest value of each channel",
    "columns": "largest weight of each input channel",
    "reach": "largest value of each image",
    "step_ratio": "the grid's step over that without these images",
    "by_rule": "SQNR by rule of the range, dB",
    "pairs": "largest over smallest range, by pair of layers",
    "factor": "what BatchNorm multiplies each channel by",
    "branches": "root mean square of each branch",
    "left_db": "of the smaller branch above the rounding, dB",
    "variance": "stored variance of each channel",
    "weight_bits": "bits of the weights",
    "activation_bits": "bits of the input",
    "ratio": "over the median",
    "least": "lowest value",
    "largest": "highest value",
    "low": "lowest level",
    "high": "highest level",
    "clipped": "share of values clipped",
    "distance": "distance to the BatchNorm statistics",
    "better_distance": "distance with the better normalisation",
    "std_ratio": "spread over that expected",
    "mean_shift": "shift of the mean, in spreads",
    "alike": "cosine of two images",
    "classes_seen": "classes that the teacher sees",
    "images": "images",
    "enough": "images that are enough",
    "loss": "loss of the run",
    "nearest_gain": "lost by learning, against nearest",
    "gain_db": "gained without these images, dB",
    "dead": "dead channels",
    "share": "share of the channels",
    "channel": "channel",
    "bits": "bits",
    "synthesis": "images from",
}
MOST = 400  # bars


def evidence_words(evidence: Mapping[str, Any]) -> str:
    """Its single numbers and words, with what each is."""
    parts = [
        f"{WORDS.get(name, name.replace('_', ' '))}: {_as_text(value)}"
        for name, value in evidence.items()
        if isinstance(value, int | float | str) or _is_short(value)
    ]
    return " · ".join(parts)


def evidence_chart(evidence: Mapping[str, Any]) -> LiveFigure | None:
    """Its longest row of numbers as bars, the one that the finding is about in red; None without one."""
    rows = {name: _row(value) for name, value in evidence.items() if not _is_short(value)}
    found = {name: row for name, row in rows.items() if row is not None}
    if not found:
        return None
    name = max(found, key=lambda one: len(found[one][0]))
    names, values = found[name]
    marked = {evidence.get("channel"), *_list(evidence.get("images"))}
    colours = [OVER if place in marked else QUIET for place in range(len(values))]
    bars = {
        "type": "bar", "x": [str(one) for one in names], "y": values, "marker": {"color": colours},
        "hovertemplate": "%{x}: %{y:.4g}<extra></extra>",
    }  # fmt: skip
    what = WORDS.get(name, name.replace("_", " "))
    layer = any(not isinstance(one, int) for one in names)
    across = axis(
        "" if layer else ("image" if name == "reach" else "channel"),
        type="category",
        nticks=12 if not layer else None,
    )
    figure = {"data": [bars], "layout": layout(HEIGHT, xaxis=across, yaxis=axis(what))}
    return LiveFigure(figure=figure, alt=f"{what}, from {min(values):.3g} to {max(values):.3g}.")


def _row(value: Any) -> tuple[list[Any], list[float]] | None:
    if isinstance(value, Mapping):
        pairs = [(k, v) for k, v in value.items() if isinstance(v, int | float)][:MOST]
        return ([k for k, _ in pairs], [float(v) for _, v in pairs]) if len(pairs) > 1 else None
    numbers = [v for v in _list(value) if isinstance(v, int | float)][:MOST]
    return (list(range(len(numbers))), [float(v) for v in numbers]) if len(numbers) > 1 else None


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []


def _is_short(value: Any) -> bool:
    """A row of places or names, which are words rather than bars."""
    row = _list(value)
    return bool(row) and (len(row) == 1 or all(isinstance(one, str) for one in row))


def _as_text(value: Any) -> str:
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | float):
        return f"{value:.4g}"
    return ", ".join(_as_text(one) for one in value)
