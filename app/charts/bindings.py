"""How events extend a figure: the rules a chart declares, applied here and, live, in bindings.js.

A binding is a dictionary. `on` and `where` say which events; `do` says what happens:

* `append`: one point (`x`, `y` are paths into the event) to the trace number `trace`;
* `append-each`: one point for every entry of `group`, each on a trace of its own named after it;
* `column`: the list at `z` as one more column of a heat map, as log10, the numbers for the pointer;
* `fill`: the lists of the event in place of those that the traces hold, see `_fill`;
* `put`: the number at `value` to the bar of category `at`, in the colour of the first of the levels `above`
  that it reaches; `as` "error-share" puts the error's size over the signal's, of an SQNR in dB.

An event whose x lies at or before the last one (a resumed run repeats steps) replaces what it
repeats. Long series are thinned to every second point. Figures are changed in place.
"""

import copy
import math
from collections.abc import Iterable, Sequence
from typing import Any

from app.charts.style import Binding, Figure, LiveFigure

MOST_POINTS = 1200
MOST_COLUMNS = 256  # what a map of half a page can show
SMALLEST = 1e-4  # of a gap, before its logarithm
_Column = tuple[float, Sequence[float | None]]  # where it stands, and its values


def extended(live: LiveFigure, events: Iterable[dict[str, Any]]) -> LiveFigure:
    """The figure with these events drawn in; a heat map that takes columns has none yet."""
    figure = copy.deepcopy(live.figure)
    # Columns are gathered first: of the thousands of a long run few are left, and only these are computed.
    columns: dict[int, list[_Column]] = {
        k: [] for k, binding in enumerate(live.bindings) if binding["do"] == "column"
    }
    for event in events:
        for k, binding in enumerate(live.bindings):
            if not matches(binding, event):
                continue
            if k in columns:
                columns[k] = _with_column(columns[k], figure, binding, event)
            else:
                _ACTIONS[binding["do"]](figure, binding, event)
    for k, taken in columns.items():
        _draw_columns(figure["data"][live.bindings[k]["trace"]], taken)
    return LiveFigure(figure=figure, bindings=live.bindings, alt=live.alt)


def matches(binding: Binding, event: dict[str, Any]) -> bool:
    """Whether the binding is for this event."""
    wanted = binding.get("where", {})
    return event.get("kind") == binding["on"] and all(event.get(k) == v for k, v in wanted.items())


def at(event: dict[str, Any], path: str) -> Any:
    """The value at a dotted path, or None."""
    value: Any = event
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def rounded(value: float) -> float:
    """Four digits: more cannot be seen, and cost to send."""
    return float(f"{value:.4g}")


def _append(figure: Figure, binding: Binding, event: dict[str, Any]) -> None:
    _restart(figure, binding, event)
    _add_point(figure["data"][binding["trace"]], at(event, binding["x"]), at(event, binding["y"]))


def _append_each(figure: Figure, binding: Binding, event: dict[str, Any]) -> None:
    _restart(figure, binding, event)
    for name, value in (at(event, binding["group"]) or {}).items():
        trace = next((t for t in figure["data"] if t.get("name") == name), None)
        if trace is None:
            colour = binding["colours"][len(figure["data"]) % len(binding["colours"])]
            trace = {
                **binding["template"],
                "name": name,
                "x": [],
                "y": [],
                "line": {"color": colour},
            }
            figure["data"].append(trace)
        _add_point(trace, at(event, binding["x"]), value)


def _restart(figure: Figure, binding: Binding, event: dict[str, Any]) -> None:
    """Empty the traces when the part at work changes, and name it above the chart."""
    if "restart" not in binding:
        return
    part = at(event, binding["restart"])
    title = figure["layout"].setdefault("title", {})
    if title.get("text") != part:
        title["text"] = part
        for trace in figure["data"]:
            trace["x"], trace["y"] = [], []


def _add_point(trace: dict[str, Any], x: float | None, y: float | None) -> None:
    if x is None or y is None:
        return
    while trace["x"] and trace["x"][-1] >= x:
        trace["x"].pop()
        trace["y"].pop()
    trace["x"].append(x)
    trace["y"].append(rounded(y) if math.isfinite(y) else None)
    if len(trace["x"]) > MOST_POINTS:
        trace["x"], trace["y"] = trace["x"][::2], trace["y"][::2]


def _with_column(
    taken: list[_Column], figure: Figure, binding: Binding, event: dict[str, Any]
) -> list[_Column]:
    x, values = at(event, binding["x"]), at(event, binding["z"])
    if values is None or len(values) != len(figure["data"][binding["trace"]]["z"]):
        return taken
    while taken and taken[-1][0] >= x:
        taken.pop()
    taken.append((x, values))
    return taken[::2] if len(taken) > MOST_COLUMNS else taken


def _draw_columns(trace: dict[str, Any], taken: list[_Column]) -> None:
    trace["x"] += [x for x, _ in taken]
    for _, values in taken:
        for row, raw, value in zip(trace["z"], trace["customdata"], values, strict=True):
            if value is None or not math.isfinite(value):
                row.append(None)
                raw.append(None)
            else:
                row.append(rounded(math.log10(max(value, SMALLEST))))
                raw.append(rounded(value))


def _fill(figure: Figure, binding: Binding, event: dict[str, Any]) -> None:
    """Each of `fills` says which `trace` takes which `x` and `y` (paths to lists, or to one number for all).

    `z`: a path to a heat map's values, one for each pair of x and y;
    `once`: only where the trace is empty; `add`: behind what it has; `y` may be a number itself; with
    `axis` instead of `trace` the list at `value` becomes that axis's grid lines.
    """
    _restart(figure, binding, event)
    for one in binding["fills"]:
        if "axis" in one:
            figure["layout"][one["axis"]]["tickvals"] = at(event, one["value"]) or []
            continue
        trace = figure["data"][one["trace"]]
        if one.get("once") and trace["x"]:
            continue
        x = list(at(event, one["x"]) or [])
        y = at(event, one["y"]) if isinstance(one["y"], str) else one["y"]
        y = list(y or []) if isinstance(y, list) or y is None else [y] * len(x)
        kept = (trace["x"], trace["y"]) if one.get("add") else ([], [])
        trace["x"], trace["y"] = [*kept[0], *x], [*kept[1], *y]
        if "z" in one:
            trace["z"] = list(at(event, one["z"]) or [])


def _put(figure: Figure, binding: Binding, event: dict[str, Any]) -> None:
    trace = figure["data"][binding["trace"]]
    category, value = at(event, binding["at"]), at(event, binding["value"])
    if category not in trace["x"] or value is None:
        return
    place = trace["x"].index(category)
    if binding.get("as") == "error-share":
        value = 10 ** (-value / 20)
    trace["y"][place] = rounded(value)
    if "above" in binding:
        reached = (colour for level, colour in binding["above"] if value > level)
        trace["marker"]["color"][place] = next(reached, binding["colour"])


_ACTIONS = {
    "append": _append,
    "append-each": _append_each,
    "fill": _fill,
    "put": _put,
}
