"""`storage`: how few bytes a finished run's codes take, in each form."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from engine.core.percent import percent
from engine.run.commands.finished_run.answered import Question, answered
from engine.run.commands.printed.tables import table


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add it to the command line; `add` takes its name, what it does, and a line on it."""
    text = "measure a finished run's codes packed, Huffman-coded and sparse, in bytes"
    add("storage", storage, text).add_argument("run", metavar="RUN")


def storage(options: argparse.Namespace) -> int:
    found = answered(options, "storage", _question)
    print(json.dumps(found) if options.json else _as_text(found))
    return 0


def _question() -> Question:
    from engine.run.questions.costs.storage import storage

    return storage


def _as_text(found: dict[str, Any]) -> str:
    total = found["total"]
    forms = ("packed", "huffman", "sparse", "entropy")
    head = ("layer", "weights", "zeros", "entropy", *forms, "smallest", "grid", "of float32")
    rows = [
        (
            row["path"], f"{row['weights']:,}", percent(row['zeros']),
            f"{row['entropy_bits']:.3f}", *(f"{row['bytes'][form]:,}" for form in forms),
            row.get("form", f"{total['chosen_bytes']:,}"), f"{row['grid_bytes']:,}",
            percent(row['ratio'], 2),
        )
        for row in (*found["layers"], {"path": "all", **total})
    ]  # fmt: skip
    file = (
        f"{total['file_bytes']:,} bytes in a file, {total['float32_bytes']:,} as float32 "
        f"({percent(total['ratio'], 2)}); every code read back as it was"
    )
    parts = [table([head, *rows]), "", *found["notes"], *_crossing(found["crossing"]), file]
    return "\n".join([*parts, *_planes(found["planes"])])


def _crossing(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    where = found["sparse_from"]
    wins = "at no share of zeros tried" if where is None else f"from {percent(where)} zeros on"
    return [f"{found['path']} pruned further: the sparse form is the smallest {wins}."]


def _planes(rows: list[dict[str, Any]]) -> list[str]:
    """What the first planes of a file give."""
    if not rows:
        return []
    head = ("planes", "bytes read", "top-1", "agreement", "SQNR, dB")
    lines = [
        (
            str(row["bits"]), f"{row['bytes']:,}",
            *("" if row[name] is None else percent(row[name]) for name in ("top1", "agreement")),
            f"{row['sqnr_db']:.1f}",
        )
        for row in rows
    ]  # fmt: skip
    return ["", table([head, *lines]), "as the codes of so many bits compute it, bit for bit"]
