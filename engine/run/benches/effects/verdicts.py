"""Does each method do what its paper claims? What the measured numbers say, seed by seed.

Arithmetic and files, without torch, for pages too. The claims stand in
`images/claims.py` and `quantizers/claims.py` below; `measure.py` beside each measures them. Only
directions are judged: a small network and a small budget say nothing of a paper's accuracies.
"""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.run.benches.effects.images.claims import CLAIMS, Claim
from engine.run.benches.effects.quantizers.claim import QuantizerClaim
from engine.run.benches.effects.quantizers.claims import QUANTIZER_CLAIMS

# In the runs folder, or shipped among the assets: of the bundled networks, of CIFAR-10's ResNet-20; of the
# quantizers.
FILE, CIFAR_FILE = "effects.json", "effects-cifar10.json"
QUANTIZER_FILE = "effects-quantizers.json"
Values = Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the seeds say, each on its own: differences are method − baseline, pairs of one seed."""

    differences: tuple[float | None, ...]
    held: tuple[bool, ...]  # whether a seed's difference has the claimed sign
    mean: float | None
    spread: float | None  # the sample standard deviation of the differences; None for a single seed

    @property
    def always(self) -> bool:
        return bool(self.held) and all(self.held)

    @property
    def words(self) -> str:
        """For example "held in 3 of 3 seeds", "did not hold"."""
        count, seeds = sum(self.held), len(self.held)
        return f"held in {count} of {seeds} seeds" if count else "did not hold"


def verdict(method: Values, baseline: Values, *, lower: bool) -> Verdict:
    """Count the seeds in which the method is on the claimed side of its baseline; a tie is not."""
    pairs = list(zip(method, baseline, strict=True))
    differences = tuple(None if m is None or b is None else m - b for m, b in pairs)
    known = [d for d in differences if d is not None]
    return Verdict(
        differences=differences,
        held=tuple(d is not None and (d < 0 if lower else d > 0) for d in differences),
        mean=statistics.fmean(known) if known else None,
        spread=statistics.stdev(known) if len(known) > 1 else None,
    )


def verdict_of(row: Mapping[str, Any]) -> Verdict:
    """The verdict on one claim of a file."""
    values = row["values"]
    return verdict(values["method"], values["baseline"], lower=bool(row["lower"]))


def summary(values: Values) -> str:
    """Mean ± sample standard deviation of the numbers that are known, as text."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    spread = f" ± {statistics.stdev(known):.2g}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.3g}{spread}"


def rows_of(result: Mapping[str, Any]) -> list[list[str]]:
    """The table of a file for a person: a heading, and a line for each claim."""
    head = [
        "claim",
        "network",
        "method",
        "baseline",
        "noise",
        "real",
        "wanted",
        "verdict",
        "asserted",
    ]
    return [head] + [
        [
            row["name"],
            row["network"],
            *(summary(row["values"][one]) for one in ("method", "baseline", "noise", "real")),
            "lower" if row["lower"] else "higher",
            verdict_of(row).words,
            "yes" if row["asserted"] else "no",
        ]
        for row in result["claims"]
    ]


def seeds_of(text: str) -> tuple[int, ...]:
    """Different seeds, written with commas between; UserError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts) or len(set(parts)) < len(parts):
        raise UserError(f"--seeds is {text!r}; give different whole numbers, such as 0,1,2")
    return tuple(map(int, parts))


def newest(folders: Sequence[Path], file: str = FILE) -> dict[str, Any] | None:
    """The latest readable file of effects in these folders, None where there is none."""
    return latest(read(folder, file) for folder in folders)


def latest(found: Iterable[dict[str, Any] | None]) -> dict[str, Any] | None:
    """The one of the latest date; None where there is none at all."""
    return max((one for one in found if one), key=lambda one: str(one["date"]), default=None)


def read(folder: Path, file: str = FILE) -> dict[str, Any] | None:
    """The file of effects in this folder; None where it is missing or is not one."""
    try:
        result: dict[str, Any] = json.loads((folder / file).read_text())
        rows_of(result)
        seeds = len(result["seeds"])
        whole = all(
            len(values) == seeds and all(v is None or math.isfinite(v) for v in values)
            for row in result["claims"]
            for values in row["values"].values()
        )
        needed = all(key in result for key in ("date", "images", "steps", "command", "versions"))
        if not whole or not needed:
            return None
        return result | {"claims": [_in_todays_words(row) for row in result["claims"]]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _in_todays_words(row: dict[str, Any]) -> dict[str, Any]:
    """The row as today's claim says it, where its numbers are of just that; else as the file has it."""
    claims: tuple[Claim | QuantizerClaim, ...] = (*CLAIMS, *QUANTIZER_CLAIMS)
    for claim in claims:
        if claim.name == row["name"] and claim.compared().items() <= row.items():
            return row | claim.words()
    return row
