"""The benches of speed: from single steps to time to quality, memory, app, estimates; `speed` for all."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.run.commands.printed.common import runs_folder
from engine.run.commands.printed.progress import Progress
from engine.run.commands.printed.tables import markdown, table
from engine.run.folders.files import write_atomically

Measure = Callable[[argparse.Namespace], dict[str, Any]]
ALL = "speed"  # what has a goal, of all that was measured so far, in one table


def _synthesis(options: argparse.Namespace) -> dict[str, Any]:
    from engine.run.benches.speed.synthesis import measured

    return dict(measured(_networks(options), options.rounds, Progress().line))


def _reconstruction(options: argparse.Namespace) -> dict[str, Any]:
    from engine.run.benches.speed.reconstruction import measured

    return dict(measured(_networks(options), options.rounds, Progress().line))


def _end_to_end(options: argparse.Namespace) -> dict[str, Any]:
    from engine.run.benches.speed.end_to_end import measured

    return dict(measured(options.rounds, Progress().line))


def _quality(options: argparse.Namespace) -> dict[str, Any]:
    from engine.run.benches.speed.time_to_quality import measured

    return dict(measured(options.rounds, Progress().line))


def _memory(options: argparse.Namespace) -> dict[str, Any]:
    from engine.run.benches.speed.memory import measured

    return dict(measured(_networks(options), Progress().line))


def _app(_: argparse.Namespace) -> dict[str, Any]:
    from engine.run.benches.speed.app import measured

    return dict(measured(Progress().line))


def _estimates(options: argparse.Namespace) -> dict[str, Any]:
    from functools import partial

    from engine.run import new_recipe
    from engine.run.benches.speed.estimates import cases, measured

    chosen = [one for one in cases() if one.model in (_networks(options) or (one.model,))]
    recipe = partial(new_recipe, runs=runs_folder(options))
    return dict(measured(chosen, recipe, Progress().line))


BENCHES: dict[str, Measure] = {
    "synthesis": _synthesis,
    "reconstruction": _reconstruction,
    "end-to-end": _end_to_end,
    "quality": _quality,
    "memory": _memory,
    "app": _app,
    "estimates": _estimates,
}


def speed_bench(options: argparse.Namespace) -> int:
    """Measure and keep one of BENCHES; of ALL, print what was kept and has a goal."""
    from engine.run.benches.speed.rows import HEAD, cells, head

    runs = runs_folder(options)
    if options.name == ALL:
        kept = {name: _kept(runs, name) for name in BENCHES if _file(runs, name).exists()}
    else:
        result = BENCHES[options.name](options)
        result["command"] = f"python -m engine bench {options.name}"
        runs.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out or _file(runs, options.name), json.dumps(result).encode())
        kept = {options.name: result}
    rows = [row for name, result in kept.items() for row in cells(name, result)]
    if options.name == ALL:
        rows = [row for row in rows if row[-1]]
    heads = [head(one) for one in kept.values()]
    if options.json:
        print(json.dumps(kept if options.name == ALL else kept[options.name]))
    elif options.markdown:
        print("\n\n".join([markdown([HEAD, *rows]), "\n".join(heads)]))
    else:
        print("\n".join([*heads, table(rows)]) if rows else "nothing was measured yet")
    return 0


def _networks(options: argparse.Namespace) -> tuple[str, ...]:
    return tuple(options.only.split(",")) if options.only else ()


def _file(runs: Path, name: str) -> Path:
    return runs / f"bench-{name}.json"


def _kept(runs: Path, name: str) -> dict[str, Any]:
    return dict(json.loads(_file(runs, name).read_text()))
