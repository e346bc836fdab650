"""At which error does a layer cost answers? What was measured of the layers of whole runs.

A file of plain numbers, without torch, for pages too; measure_outcomes.py beside this file measures it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "outcomes.json"  # in the runs folder, or shipped among the assets
AS_CHANCE = 0.05  # of the layers: a 95 % band errs as often
MOST = 0.5  # of the layers: then a layer costs more likely than not
FEWEST = 6  # layers that a level must rest on


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One layer of a run: its own SQNR in dB, and the share of answers that come back with it float.

    `low` is the lower end of the share's paired 95 % band: above 0 the layer costs more than chance.
    """

    sqnr_db: float
    gain: float
    low: float

    @property
    def costs(self) -> bool:
        return self.low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Where a layer's SQNR, in dB, stops being harmless (`good`) and begins to be harmful (`bad`).

    From `good` on no more layers cost answers than chance alone would show; just under `bad` most do. Then
    the shares of the layers that cost on either side and between, and how many layers were measured.
    """

    good: float
    bad: float
    above: float
    between: float
    below: float
    layers: int


def outcomes_of(result: Mapping[str, Any]) -> list[Outcome]:
    """Every layer of the file's runs."""
    return [
        Outcome(sqnr_db=layer["sqnr_db"], gain=layer["agreement_gain"], low=layer["low"])
        for run in result["runs"]
        for layer in run["layers"]
    ]


def levels(outcomes: Sequence[Outcome]) -> Levels | None:
    """The two levels, each in whole decibels; None where too few layers were measured to find them.

    `good` is the lowest level over which at most 5 % of the layers cost more than chance; `bad` the highest
    level, `good` at most, where of the dozen layers just under it at least half do.
    """
    grid = sorted({round(one.sqnr_db) for one in outcomes})
    fine = [db for db in grid if _share(over := _over(outcomes, db)) <= AS_CHANCE and _rests(over)]
    if not fine:
        return None
    good = float(fine[0])
    poor = [
        db
        for db in grid
        if db <= good and _rests(under := _just_under(outcomes, db)) and _share(under) >= MOST
    ]
    if not poor:
        return None
    bad = float(poor[-1])
    middle = [one for one in outcomes if bad <= one.sqnr_db < good]
    return Levels(
        good=good, bad=bad, above=_share(_over(outcomes, good)), between=_share(middle),
        below=_share(_under(outcomes, bad)), layers=len(outcomes),
    )  # fmt: skip


def _over(outcomes: Sequence[Outcome], db: float) -> list[Outcome]:
    return [one for one in outcomes if one.sqnr_db >= db]


def _under(outcomes: Sequence[Outcome], db: float) -> list[Outcome]:
    return [one for one in outcomes if one.sqnr_db < db]


def _just_under(outcomes: Sequence[Outcome], db: float) -> list[Outcome]:
    under = sorted(_under(outcomes, db), key=lambda one: -one.sqnr_db)
    return under[:FEWEST]


def _share(outcomes: Sequence[Outcome]) -> float:
    return sum(one.costs for one in outcomes) / len(outcomes) if outcomes else 0.0


def _rests(outcomes: Sequence[Outcome]) -> bool:
    return len(outcomes) >= FEWEST


def read(folder: Path) -> dict[str, Any] | None:
    """The file in this folder; None where it is missing or is not one."""
    try:
        result: dict[str, Any] = json.loads((folder / FILE).read_text())
        whole = all(key in result for key in ("date", "command", "images"))
        return result if whole and outcomes_of(result) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def rows_of(result: Mapping[str, Any]) -> list[list[str]]:
    """The file's table for a person: a row a run, the two levels last."""
    rows = [["network", "quantizer", "bits", "layers", "that cost answers"]]
    for run in result["runs"]:
        costly = sum(layer["low"] > 0 for layer in run["layers"])
        rows.append(
            [run["model"], run["quantization"], run["bits"], str(len(run["layers"])), str(costly)]
        )
    found = levels(outcomes_of(result))
    words = (
        "too few layers"
        if found is None
        else f"good from {found.good:g} dB on, bad under {found.bad:g} dB"
    )
    return [*rows, ["levels", words, "", "", ""]]
