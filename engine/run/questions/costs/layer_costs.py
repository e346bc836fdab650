"""What each layer costs a finished run: asked for in a process of its own, kept in the run's folder."""

import json
from typing import Any

from engine.run.folders.folder import RunFolder
from engine.run.subprocess_answer import answer_of

FILE = "analysis.json"


def kept(folder: RunFolder) -> dict[str, Any] | None:
    """The analysis in the folder (see engine.run.questions.costs.analyse), or None where none was made."""
    try:
        found: dict[str, Any] = json.loads((folder.path / FILE).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("layers") else None


def load(folder: RunFolder) -> dict[str, Any]:
    """The analysis, made now if there is none: a forward pass of all test images for each layer or two."""
    found = kept(folder)
    if found is not None:
        return found
    return answer_of("analyse", folder.run_id, "--json", "--runs", str(folder.path.parent))
