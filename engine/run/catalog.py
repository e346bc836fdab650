"""What there is to choose from: networks and methods as plain data, for menus, forms and the command line.

Collecting it imports torch and builds every network; a page therefore asks `load`, which keeps the
answer beside the runs and asks a subprocess again only when a file of the engine has changed.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from engine.models.saved import list_saved, saved_entry
from engine.run.folder import write_atomically
from engine.run.networks import networks_folder

_ENGINE = Path(__file__).parents[1]


def load(runs: Path) -> dict[str, Any]:
    """{"models": [...], "synthesis": [...], "quantization": [...]}, without importing torch here.

    The networks that the user has saved come last, read afresh each time.
    """
    saved = [saved_entry(one) for one in list_saved(networks_folder(runs))]
    catalog = _load_engine(runs)
    return catalog | {"models": [*catalog["models"], *saved]}


def _load_engine(runs: Path) -> dict[str, Any]:
    """What the engine itself has to choose from; the same until one of its files changes."""
    cache = runs / ".catalog.json"
    now = fingerprint()
    try:
        kept: dict[str, Any] = json.loads(cache.read_text())
        if kept["fingerprint"] == now:
            return kept
    except (OSError, ValueError, KeyError):
        pass
    command = [sys.executable, "-m", "engine", "catalog", "--json"]
    done = subprocess.run(command, cwd=_ENGINE.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the catalog could not be collected:\n{done.stderr[-2000:]}")
    fresh: dict[str, Any] = json.loads(done.stdout) | {"fingerprint": now}
    runs.mkdir(parents=True, exist_ok=True)
    write_atomically(cache, json.dumps(fresh).encode())
    return fresh


def fingerprint() -> str:
    files = sorted(_ENGINE.rglob("*.py"))
    content = "".join(
        f"{f.relative_to(_ENGINE)}:{f.stat().st_mtime_ns}:{f.stat().st_size}\n" for f in files
    )
    return hashlib.sha256((sys.executable + content).encode()).hexdigest()


def collect() -> dict[str, Any]:
    """The catalog, made afresh: imports torch and every method, and outlines every network."""
    from engine.models.card import catalog_entry  # torch: only in this process
    from engine.models.zoo import all_cards
    from engine.quantization import discover_methods as quantizers
    from engine.synthesis import discover_methods as synthesisers

    return {
        "models": [catalog_entry(card) for card in all_cards().values()],
        "synthesis": [_method_entry(cls) for cls in synthesisers().values()],
        "quantization": [_method_entry(cls) for cls in quantizers().values()],
    }


def _method_entry(cls: Any) -> dict[str, Any]:
    from engine.core.method import describe

    card = cls.card
    return {
        "name": card.name,
        "title": card.title,
        "summary": card.summary,
        "paper": card.paper,
        "url": card.url,
        "needs": list(card.needs),
        "settings": describe(cls.Settings),
    }
