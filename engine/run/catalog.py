"""What there is to choose from: networks and methods as plain data, for menus, forms and the command line.

Collecting it imports torch and builds every network; a page therefore asks `load`, which keeps the
answer beside the runs and in the project's virtual environment, where the installation puts the first one,
and asks a subprocess again only when a file of the engine has changed.
"""

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from engine.core.outside.reading import read_object
from engine.models.card_settings import own_knobs, unlisted_knobs
from engine.models.cards.saved import list_saved, saved_entry
from engine.run.folders.folder import write_atomically
from engine.run.networks import networks_folder
from engine.run.subprocess_answer import answer_of

_ENGINE = Path(__file__).parents[1]
CACHE = ".catalog.json"
INSTALLED = ".quantoscope-catalog.json"  # in .venv
OWN, TIMM = "FILE.py:FACTORY", "timm/NAME"  # patterns of names that no menu lists


def load(runs: Path) -> dict[str, Any]:
    """{"models": [...], "synthesis": [...], "quantization": [...]}, without importing torch here.

    "named" holds the patterns of further names (FILE.py:FACTORY) with their settings. The networks that
    the user has saved come last, read afresh each time.
    """
    saved = [saved_entry(one) for one in list_saved(networks_folder(runs))]
    catalog = _load_engine(runs)
    return catalog | {"models": [*catalog["models"], *saved]}


def _load_engine(runs: Path) -> dict[str, Any]:
    """What the engine itself has to choose from; the same until one of its files changes."""
    now = fingerprint()
    kept = last_known(runs)
    if kept.get("fingerprint") == now:
        return kept
    runs.mkdir(parents=True, exist_ok=True)
    with FileLock(runs / ".catalog.lock"):  # who comes second waits for the first one's answer
        kept = last_known(runs)
        if kept.get("fingerprint") == now:
            return kept
        fresh = _installed()
        if fresh.get("fingerprint") != now:
            fresh = _ask_engine(now)
        write_atomically(runs / CACHE, json.dumps(fresh).encode())
        return fresh


def last_known(runs: Path) -> dict[str, Any]:
    """The catalog as it was collected last, perhaps by an older engine; empty before the first time."""
    return _read(runs / CACHE)


def install() -> None:
    """Collect the catalog now, so that nobody waits for it later; nothing where it is there already."""
    now = fingerprint()
    if _installed().get("fingerprint") != now:
        _ask_engine(now)


def _installed() -> dict[str, Any]:
    file = _installed_file()
    return {} if file is None else _read(file)


def _installed_file() -> Path | None:
    """In the environment that lies beside the engine, which is the project's own; None in another."""
    own = Path(sys.prefix)
    return own / INSTALLED if own.parent == _ENGINE.parent else None


def _read(file: Path) -> dict[str, Any]:
    return read_object(file) or {}


def _ask_engine(now: str) -> dict[str, Any]:
    fresh = answer_of("catalog", "--json") | {"fingerprint": now}
    file = _installed_file()
    if file is not None:
        with contextlib.suppress(OSError):
            write_atomically(file, json.dumps(fresh).encode())
    return fresh


def fingerprint() -> str:
    """A name for the engine's files as they are now, to the second: a page asks many times while it draws."""
    return _fingerprint(_ENGINE, int(time.monotonic()))


@lru_cache(maxsize=4)
def _fingerprint(engine: Path, second: int) -> str:  # noqa: ARG001  (what it is kept by)
    content = "".join(sorted(_marks(str(engine), ""))) if engine.is_dir() else ""
    return hashlib.sha256((sys.executable + content).encode()).hexdigest()


def _marks(folder: str, within: str) -> Iterator[str]:
    """A line for each Python file: its name within the folder, when it was changed, its size."""
    with os.scandir(folder) as entries:  # several times as fast as pathlib: a page waits for it
        for entry in entries:
            name = f"{within}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _marks(entry.path, f"{name}/") if entry.name != "__pycache__" else ()
            elif name.endswith(".py"):
                found = entry.stat()
                yield f"{name}:{found.st_mtime_ns}:{found.st_size}\n"


def collect() -> dict[str, Any]:
    """The catalog, made afresh: imports torch and every method, and outlines every network."""
    from engine.models.card import catalog_entry  # torch: only in this process
    from engine.models.cards.sources import all_cards
    from engine.quantization import discover_methods as quantizers
    from engine.synthesis import discover_methods as synthesisers

    return {
        "models": [catalog_entry(card) for card in all_cards().values()],
        "synthesis": [_method_entry(cls) for cls in synthesisers().values()],
        "quantization": [_method_entry(cls) for cls in quantizers().values()],
        "named": named(),
    }


def named() -> list[dict[str, Any]]:
    """Networks that no menu lists, by the pattern of their names, with their settings."""
    return [
        {"name": OWN, "settings": own_knobs()},
        {"name": TIMM, "settings": unlisted_knobs()},
    ]


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
        "shows": list(card.shows),
        "exportable": getattr(cls, "exportable", True),
        "fewest_weight_bits": card.fewest_weight_bits,
        "fewest_activation_bits": card.fewest_activation_bits,
        "settings": describe(cls.Settings),
    }
