"""What was measured of the doctor's advice, and what it says of the predictions, as they are.

A file of plain numbers, without torch, for pages too; measure.py beside this file measures it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core.outside.reading import is_number

FILE = "advice.json"  # in the runs folder, or shipped among the assets
_NUMBERS = ("predicted", "low", "high", "measured")
_WORDS = ("model", "quantization", "bits", "rule", "layer", "change", "unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How the predictions turned out.

    `rank`: Spearman's correlation of predicted and measured shares over all changes; `within`: its mean
    over the runs, each ranked by itself; None where too few were tried. `held`: how often the measured
    share lay in the predicted 95 % band. `right`: how often a gain came where one was predicted, a loss
    where a loss was. `helped`: how often the change gained anything at all.
    """

    tried: int
    networks: int
    runs: int
    rank: float | None
    within: float | None
    held: int
    right: int
    helped: int


def tried_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every change of the file's runs: the run's model, quantizer and bits beside the change's own values."""
    heads = ("model", "quantization", "bits")
    return [
        {name: run[name] for name in heads} | one for run in result["runs"] for one in run["tried"]
    ]


def verdict(result: Mapping[str, Any]) -> Verdict:
    """What all of the file says together."""
    rows = tried_of(result)
    within = [found[0] for run in result["runs"] if (found := _ranks(run["tried"])) is not None]
    overall = _ranks(rows)
    return Verdict(
        tried=len(rows),
        networks=len({row["model"] for row in rows}),
        runs=len(result["runs"]),
        rank=None if overall is None else overall[0],
        within=math.fsum(within) / len(within) if within else None,
        held=sum(held(row) for row in rows),
        right=sum((row["predicted"] > 0) == (row["measured"] > 0) for row in rows),
        helped=sum(row["measured"] > 0 for row in rows),
    )


def held(row: Mapping[str, Any]) -> bool:
    """Whether the measured share lies in the predicted band."""
    return bool(row["low"] <= row["measured"] <= row["high"])


def by_rule(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rule by rule how many changes were tried, helped, and ended in their band; the most tried first."""
    rows = tried_of(result)
    names = dict.fromkeys(row["rule"] for row in rows)
    table = []
    for name in names:
        own = [row for row in rows if row["rule"] == name]
        table.append(
            {
                "rule": name, "tried": len(own), "helped": sum(row["measured"] > 0 for row in own),
                "held": sum(map(held, own)),
            }
        )  # fmt: skip
    return sorted(table, key=lambda one: (-one["tried"], one["rule"]))


def _ranks(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    from engine.analysis.layers.ranks import rank_correlations  # scipy, which no page need wait for

    return rank_correlations([row["predicted"] for row in rows], [row["measured"] for row in rows])


def read(folder: Path) -> dict[str, Any] | None:
    """The file in this folder; None where it is missing or is not one."""
    try:
        result: dict[str, Any] = json.loads((folder / FILE).read_text())
        whole = all(key in result for key in ("date", "command", "images", "versions"))
        return result if whole and all(map(_is_sound, tried_of(result))) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_sound(row: Mapping[str, Any]) -> bool:
    numbers = all(is_number(row[name]) for name in _NUMBERS)  # finite ones
    return numbers and all(isinstance(row[name], str) for name in _WORDS)


def rows_of(result: Mapping[str, Any]) -> list[list[str]]:
    """The file's table for a person: every change, as shares of the loss that there was."""
    head = [
        "network",
        "quantizer",
        "bits",
        "rule",
        "layer",
        "predicted",
        "band",
        "measured",
        "held",
    ]
    rows = [
        [
            *(row[name] for name in ("model", "quantization", "bits", "rule")),
            row["layer"] or "all",
            percent(row["predicted"]),
            f"{percent(row['low'])} to {percent(row['high'])}",
            percent(row["measured"]),
            "yes" if held(row) else "no",
        ]
        for row in tried_of(result)
    ]
    return [head, *rows, *_sentence_row(verdict(result), len(head))]


def _sentence_row(found: Verdict, width: int) -> list[list[str]]:
    return [["all", sentence(found), *[""] * (width - 2)]]


def sentence(found: Verdict) -> str:
    """The verdict in words."""
    ranks = "" if found.rank is None else f"rank correlation {found.rank:.2f}"
    if found.rank is not None and found.within is not None:
        ranks += f" over all, {found.within:.2f} within a run"
    counts = f"band held in {found.held} of {found.tried}, direction right in {found.right}"
    return "; ".join(part for part in (ranks, counts) if part)


def percent(share: float) -> str:
    """For example "−12 %"."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%".replace("-", "\N{MINUS SIGN}")
