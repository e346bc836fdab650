"""How good the doctor's advice has been: what was predicted beside what was measured. Imports no torch.

`doctor.json` in the folder of the runs has one row for each change that was tried of each run.
"""

import json
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from engine.core.outside.reading import is_number, read_object
from engine.run.folders.folder import write_atomically
from engine.run.questions.better import paired_between

FILE = "doctor.json"
HELPS = 0.05  # of the loss before, from which a change has helped; of decibels any gain
RIGHT = ("top1", "verification")  # shares that are right: of images, else of pairs of embeddings
_SAME = ("of", "rule", "layer", "change")
Row = dict[str, Any]


def rows(runs: Path) -> list[Row]:
    """Every row that was measured, the oldest first."""
    return [row for row in _all(runs) if is_number(row["measured_gain"])]


def begun(runs: Path) -> list[Row]:
    """Those whose runs were asked for, and are not measured yet."""
    return [row for row in _all(runs) if not is_number(row["measured_gain"])]


def _all(runs: Path) -> list[Row]:
    kept = (read_object(runs / FILE) or {}).get("tried")
    return [row for row in kept if _is_sound(row)] if isinstance(kept, list) else []


def _is_sound(row: object) -> bool:
    if not isinstance(row, dict) or not (
        row.get("measured_gain") is None or is_number(row["measured_gain"])
    ):
        return False
    return all(isinstance(row.get(name), str) for name in (*_SAME, "run", "unit"))


def keep(runs: Path, row: Row) -> None:
    """Add a row; one of the same change of the same run is replaced."""
    _write(runs, row, [row | {"time_s": time.time()}])


def forget(runs: Path, row: Row) -> None:
    """Take a row away: its run did not end well."""
    _write(runs, row, [])


def _write(runs: Path, row: Row, put: list[Row]) -> None:
    with FileLock(runs / f".{FILE}.lock"):
        others = [one for one in _all(runs) if not _is_same(one, row)]
        tried = [*others, *put]
        write_atomically(runs / FILE, json.dumps({"tried": tried}, indent=1).encode())


def _is_same(one: Row, other: Row) -> bool:
    return all(one[name] == other[name] for name in _SAME)


def measured(unit: str, before: Row, after: Row, layer: str = "") -> tuple[float, str] | None:
    """(gain, its unit) from one run's result to another's; None where both lack the number.

    unit: that of the prediction; where that has none, the KL of the outputs, else their decibels. Embeddings
    have no top-1: by verification instead.
    """
    wanted = RIGHT if unit in RIGHT else [unit] if unit in _OF else list(_OF)
    for name in wanted:
        pair = [_OF[name](result, layer) for result in (before, after)]
        if all(is_number(value) for value in pair):
            gain = pair[1] - pair[0]
            return (-gain if name == "KL" else gain), name
    return None


def measured_band(unit: str, before: Row, after: Row) -> list[float] | None:
    """The 95 % band of a share's gain, by the same images or pairs; None where it is not known."""
    same = all(before.get(what) == after.get(what) for what in ("test_images", "test_set"))
    paired = paired_between(after, before) if unit in RIGHT and same else None
    return None if paired is None else list(paired.band)


def why_untold(unit: str, result: Row) -> str:
    """Why not even a run tells what a change gains, in a sentence; empty where one does."""
    if unit not in RIGHT or measured(unit, result, result) is not None:
        return ""
    return (
        "The float network changes too, so labels must say which of the two is better, and the "
        f"{result.get('test_images') or 0:,} test images have none, or are too few for pairs of embeddings."
    )


def _of_layer(result: Row, layer: str) -> Any:
    rows = [row for row in result.get("layers", ()) if row.get("path") == layer]
    return rows[0].get("sqnr_local_db") if rows else None


def _share_of_pairs(result: Row) -> float | None:
    found = result.get("verification")
    return 1 - found["error"]["quantized"] if found else None


_OF = {
    "KL": lambda result, _layer: result.get("logit_kl"),
    "dB of the outputs": lambda result, _layer: result.get("output_sqnr_db"),
    "top1": lambda result, _layer: result.get("quantized_top1"),
    "verification": lambda result, _layer: _share_of_pairs(result),
    "dB of the layer": _of_layer,
}


def helped(gain: float, unit: str, before: Row, band: list[float] | None = None) -> bool:
    """Whether so much is a help: of the KL, a twentieth of what there was; more than chance by its band."""
    if band is not None:
        return band[0] > 0
    return gain > (HELPS * float(before.get("logit_kl") or 0) if unit == "KL" else 0)


def track(tried: list[Row], rule: str) -> Row | None:
    """How the rule's advice has turned out over all runs; None where it was never tried."""
    own = [row for row in tried if row["rule"] == rule]
    if not own:
        return None
    good = sum(bool(row.get("helped")) for row in own)
    banded = [row for row in own if isinstance(row.get("band"), list)]
    held = sum(row["band"][0] <= row["measured_gain"] <= row["band"][1] for row in banded)
    times = "once" if len(own) == 1 else f"{len(own)} times"
    failed = 2 * good < len(own)
    said = f"Tried {times}, it helped {'in none' if not good else f'in {good}'}"
    held_words = f"; the band held in {held} of {len(banded)}" if banded else ""
    warning = ": do not count on it" if failed else ""
    return {
        "tried": len(own), "helped": good, "banded": len(banded), "held": held, "failed": failed,
        "words": f"{said}{warning}{held_words}.",
    }  # fmt: skip


def board(runs: Path) -> list[Row]:
    """A row for each rule that was ever tried, the most tried first."""
    tried = rows(runs)
    names = dict.fromkeys(row["rule"] for row in tried)
    found = [{"rule": name, **(track(tried, name) or {})} for name in names]
    return sorted(found, key=lambda one: -one["tried"])
