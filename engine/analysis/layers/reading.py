"""What the parts of a layer's error say, in a sentence or two with the way out."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.core.percent import percent

GOOD_DB = (
    30.0  # of a layer's output: beyond, an error of 3 % of the signal (our own line, no paper's)
)
_OWN = {
    "weights": ("is made by its weights", "give its weights more bits, or let a quantizer learn them."),
    "activations": (
        "is made by the grid of its input", "give its input more bits, or another range rule."
    ),
}  # fmt: skip
_TOGETHER = (
    "arises where wrong weights meet a wrong input, or by a correction",
    "see what leaving the layer in float gains before you change it.",
)


def verdict(row: Mapping[str, Any]) -> str:
    """One layer's reading: what makes most of its error, and what to do about it.

    row: its `share`, `sqnr_accumulated_db`, and `origin` with `origin_gain`: the earlier layer that takes
    most of its error away when left in float, and how much (a share of it); "" where none does.
    """
    share: Mapping[str, float] | None = row["share"]
    db = row["sqnr_accumulated_db"]
    if share is None:
        fine = "There is no error here."
        return fine if db > 0 else "Its output is not finite: nothing can be split."
    near = f"Only a small error ({db:.0f} dB): " if db >= GOOD_DB else ""
    largest = max(share, key=lambda name: share[name])
    here = f"{near}{percent(share[largest], 0)} of {'it' if near else 'what is wrong here'}"
    if largest == "inherited":
        return f"{here} came in{_origin(row)}{'.' if near else _first(row)}"
    what, way = _OWN.get(largest, _TOGETHER)
    return f"{here} {what}{'.' if near else '; ' + way}"


def _origin(row: Mapping[str, Any]) -> str:
    if not row["origin"]:
        return " with its input"
    gain = 100 * row["origin_gain"]
    return (
        f", more of it from {row['origin']} than from any other layer "
        f"(in float it would take {percent(gain / 100, 0)} of the error away)"
    )


def _first(row: Mapping[str, Any]) -> str:
    if row["origin"]:
        return "; give bits there first."
    return "; no layer before it takes it away alone: give all of them more bits."


def sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """The whole network's reading: how good its last layer still is, and where to begin.

    rows: in order of execution, each with `path`, `share`, `sqnr_accumulated_db`, `verdict` and `origin`.
    """
    broken = [row for row in rows if row["share"] is None and row["sqnr_accumulated_db"] <= 0]
    if broken:
        return f"{broken[0]['path']} gives what is not finite; look at its weights and its input first."
    split = [row for row in rows if row["share"] is not None]
    if not split:
        return "No layer has an error."
    last = split[-1]
    said = (
        f"{last['path']}, the last layer ({last['sqnr_accumulated_db']:.0f} dB): {last['verdict']}"
    )
    first = next((row for row in split if row["path"] == last["origin"]), None)
    share = last["share"]
    if first is None or share["inherited"] < max(share.values()):
        return said
    own = {part: first["share"][part] for part in _OWN}
    most = max(own, key=lambda part: own[part])
    return f"{said} There {percent(own[most], 0)} of the error {_OWN[most][0]}."
