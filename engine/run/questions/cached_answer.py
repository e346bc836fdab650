"""Answers that take a process with torch to find, kept beside the runs. Imports no torch.

An answer is asked for once, however many pages want it: a second asker waits for the first. It is kept
under a name made of all that it depends on, the engine's own files included.
"""

import hashlib
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from engine.core.errors import UserError
from engine.core.outside.slow_code import said_when_slow
from engine.run.catalog import fingerprint
from engine.run.folders.folder import write_atomically
from engine.run.recipes.recipe import Recipe
from engine.run.subprocess_answer import answer_of

KEPT = 1000  # answers, a few kB to half a MB each; the oldest go
PATIENCE_S = 600  # for one; a network that never ends would keep all other questions waiting


def kept(runs: Path, command: str, recipe: Recipe, *, by: dict[str, Any]) -> dict[str, Any] | None:
    """The answer if it is there already; `by`: what it depends on besides the network."""
    return _read(_file(runs, command, recipe, by))


def ask(
    runs: Path,
    command: str,
    recipe: Recipe,
    *,
    by: dict[str, Any],
    environment: dict[str, str] | None = None,
    more: Sequence[str] = (),  # words behind the recipe's
) -> dict[str, Any]:
    """The answer of `python -m engine COMMAND --json` for the recipe; UserError as the command's."""

    def find() -> dict[str, Any]:
        words = [command, "--json", "--runs", str(runs), *options(recipe), *more]
        asked = f"`{command}` of {recipe.model}"
        try:
            with said_when_slow(
                asked, f"try `python -m engine diagnose --model {recipe.model}` alone"
            ):
                return answer_of(*words, environment=environment, patience_s=PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            raise UserError(
                f"{asked} took more than {PATIENCE_S / 60:g} minutes and was ended; if its forward never "
                "ends, mend the loop in it"
            ) from error

    return find_once(runs, command, recipe, by=by, find=find)


def find_once(
    runs: Path,
    command: str,
    recipe: Recipe,
    *,
    by: dict[str, Any],
    find: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """The kept answer, else what `find` gives, which is then kept; what `find` raises passes."""
    file = _file(runs, command, recipe, by)
    answer = _read(file)
    if answer is not None:
        return answer
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        answer = _read(file)  # the one who held the lock may have asked the same
        if answer is None:
            answer = find()
            write_atomically(file, json.dumps(answer).encode())
            _forget_the_oldest(file.parent)
    return answer


def options(recipe: Recipe) -> list[str]:
    """The command line's words for the recipe."""
    words = ["--model", recipe.model, "--synthesis", recipe.synthesis]
    words += ["--quantization", recipe.quantization, "--preset", recipe.preset]
    words += ["--weight-bits", str(recipe.weight_bits), "--images", str(recipe.images)]
    words += ["--activation-bits", str(recipe.activation_bits), "--edge-rule", recipe.edge_rule]
    words += ["--weights", recipe.weights] if recipe.weights else []
    words += ["--data", recipe.data] if recipe.data else []
    for kind in ("model", "synthesis", "quantization"):
        for name, value in getattr(recipe, f"{kind}_settings").items():
            if value not in ("", []):
                words += ["--set", f"{kind}.{name}={_word(value)}"]
    return words


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _file(runs: Path, command: str, recipe: Recipe, by: dict[str, Any]) -> Path:
    about = {
        "model": recipe.model, "settings": recipe.model_settings, "weights": recipe.weights,
        "data": recipe.data, "contents": recipe.contents, "changed": _changed(recipe.data),
        "engine": fingerprint(), "by": by,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]
    return runs / ".asked" / f"{command}-{digest}.json"


def _changed(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns if folder else 0
    except OSError:
        return 0


def _read(file: Path) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return answer


def _forget_the_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
    for file in files[:-KEPT]:
        file.unlink(missing_ok=True)
        file.with_suffix(".lock").unlink(missing_ok=True)
