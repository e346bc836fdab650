"""How far a cure has come, as it lies beside the runs: what was tried, what helped, what is at work.

`.cures/RUN/cure.json`: {"of", "finished", "steps": [STEP], "doing", "run", "ended", "through"}: `run` is the
best so far, `through` false where there is more to do. A step is {"from", "run", "rule", "title", "layer",
"change", "predicted_gain", "band", "measured_gain", "unit", "helped"}; while its run is at work, "helped"
and "measured_gain" are None. Imports no torch.
"""

import json
from pathlib import Path
from typing import Any

from engine.core.outside.reading import read_object
from engine.run.folders.files import write_atomically
from engine.run.folders.folder import RunFolder

FOLDER, FILE = ".cures", "cure.json"
LOOKS = "looks"  # what is done just now: the doctor looks at `run`
TRIES = "tries"  # or the last step is run
Kept = dict[str, Any]


def place_of(folder: RunFolder) -> Path:
    """Where the cure of this run is kept."""
    return folder.path.parent / FOLDER / folder.run_id


def begun(folder: RunFolder) -> Kept:
    """A cure of which nothing is done."""
    return {
        "of": folder.run_id, "finished": _finished(folder), "steps": [], "doing": LOOKS,
        "run": folder.run_id, "ended": "", "through": False,
    }  # fmt: skip


def keep(folder: RunFolder, kept: Kept) -> None:
    """Write it down, for whoever looks on or comes back."""
    place = place_of(folder)
    place.mkdir(parents=True, exist_ok=True)
    write_atomically(place / FILE, json.dumps(kept).encode())


def kept_cure(folder: RunFolder) -> Kept | None:
    """How far this run's cure has come; None where there is none, or the run was made again since."""
    kept = read_object(place_of(folder) / FILE)
    if kept is None or kept.get("of") != folder.run_id or kept.get("finished") != _finished(folder):
        return None
    return kept if isinstance(kept.get("steps"), list) and "run" in kept else None


def numbers_of(folder: RunFolder, kept: Kept) -> dict[str, Kept | None]:
    """{"before", "after"}: of the run and of the best, {"run", "kl", "sqnr_db", "top1", "agreement",
    "size_bytes"}; None where it was deleted since.
    """
    runs = folder.path.parent
    return {
        "before": _numbers(RunFolder(runs / kept["of"])),
        "after": _numbers(RunFolder(runs / kept["run"])),
    }


def _numbers(folder: RunFolder) -> Kept | None:
    result = folder.result()
    if result is None:
        return None
    sizes = result.get("size_bytes")
    size = sizes.get("quantized") if isinstance(sizes, dict) else None
    told = {ours: result.get(name) for ours, name in _TOLD.items()}
    return {"run": folder.run_id, **told, "size_bytes": size}


_TOLD = {
    "kl": "logit_kl",
    "sqnr_db": "output_sqnr_db",
    "top1": "quantized_top1",
    "agreement": "agreement",
}


def _finished(folder: RunFolder) -> int:
    try:
        return (folder.path / "result.json").stat().st_mtime_ns
    except OSError:
        return 0
