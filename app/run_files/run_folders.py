"""Where runs lie: the user's own and the recorded ones shipped with the project."""

import os
from pathlib import Path
from typing import Any

from app.links.address import plain_name
from engine.core.errors import UserError
from engine.run.benches import ladder
from engine.run.benches.advice import file as advice_file
from engine.run.benches.effects.verdicts import CIFAR_FILE, FILE, QUANTIZER_FILE, latest, newest
from engine.run.benches.start import shipped as measured_for_start
from engine.run.folders.folder import RunFolder, list_runs

ROOT = Path(__file__).parents[2]
START = ROOT / "assets" / "start"


def runs_folder() -> Path:
    """The folder of the user's runs: QUANTOSCOPE_RUNS, else `runs/` beside the code."""
    return Path(os.environ.get("QUANTOSCOPE_RUNS") or ROOT / "runs").resolve()


def recorded_folder() -> Path:
    """The folder of the runs that the project ships."""
    return Path(os.environ.get("QUANTOSCOPE_RECORDED") or ROOT / "assets" / "recorded").resolve()


def open_run(run: str) -> RunFolder:
    """The run of that id, the user's own before a recorded one; UserError where there is none."""
    name = plain_name(run)
    try:
        return RunFolder.open(runs_folder(), name)
    except UserError:
        if (recorded_folder() / name / "recipe.json").is_file():
            return RunFolder.open(recorded_folder(), name)
        raise


def recorded_run() -> RunFolder | None:
    """The recorded run that the start page plays, or None where none is shipped."""
    recorded = sorted(list_runs(recorded_folder()), key=lambda folder: folder.run_id)
    return recorded[0] if recorded else None


def shipped(name: str) -> tuple[dict[str, Any], bytes] | None:
    """A measurement for the start page and its picture; None where it is not there."""
    return measured_for_start.read(START, name)


def effects() -> list[dict[str, Any]]:
    """The measured effects of the methods that make images: on the bundled networks, and on CIFAR-10.

    Of each the newer of the user's own file and the shipped one.
    """
    found = (newest(_measured(), file) for file in (FILE, CIFAR_FILE))
    return [result for result in found if result is not None]


def quantizer_effects() -> dict[str, Any] | None:
    """The measured effects of the quantizers: the newer of the user's own file and the shipped one."""
    return newest(_measured(), QUANTIZER_FILE)


def ablation() -> dict[str, Any] | None:
    """What each part of the project's own recipe was measured to earn; None where it is not measured."""
    return latest(ladder.read(folder) for folder in _measured())


def advice() -> dict[str, Any] | None:
    """How the doctor's predictions turned out when they were measured; None where they were not."""
    return latest(advice_file.read(folder) for folder in _measured())


def _measured() -> tuple[Path, ...]:
    return (runs_folder(), ROOT / "assets")


def readable(folder: RunFolder) -> bool:
    """Whether its recipe can be read: another version may have written it, or it is just being deleted."""
    try:
        return bool(folder.recipe.model)
    except (UserError, OSError, TypeError, ValueError):
        return False


def is_recorded(folder: RunFolder) -> bool:
    """Whether the run is part of the project, so that nobody may resume or delete it."""
    return folder.path.parent == recorded_folder()


def state_of(folder: RunFolder) -> str:
    """The run's state in one word; a run with a result is done, whatever its status file says."""
    return "done" if folder.result() is not None else str(folder.status()["state"])


def is_live(folder: RunFolder) -> bool:
    """Whether more events may come."""
    return not is_recorded(folder) and folder.result() is None
