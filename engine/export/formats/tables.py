"""Every table and course of a run as CSV: its numbers, layers, losses, BatchNorm gaps, bits."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.export.base import Finished, Format, FormatCard, Written

Row = dict[str, Any]
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")  # what a spreadsheet takes a text that begins so for


class Tables(Format):
    """One file a table, in a folder of its own; cells that hold lists are JSON."""

    card = FormatCard(
        name="tables",
        title="Tables (CSV)",
        use="The numbers behind the pages, for a spreadsheet or a plot of your own.",
        needs_network=False,
    )

    def write(self, run: Finished, out: Path) -> list[Written]:
        folder = out / f"{run.run}.tables"
        folder.mkdir(exist_ok=True)
        written = []
        for name, rows in _tables(run).items():
            if rows:
                path = folder / f"{name}.csv"
                _write(path, rows)
                written.append(Written(kind="tables", path=path))
        return written


def _tables(run: Finished) -> dict[str, list[Row]]:
    """The rows of each table by its name."""
    result = {key: value for key, value in run.result.items() if key != "layers"}
    tables: dict[str, list[Row]] = {
        "result": [flat(result)],
        "recipe": [flat(run.recipe)],
        "layers": [flat(layer) for layer in run.result["layers"]],
        "steps": [], "gaps": [], "notes": [],
    }  # fmt: skip
    paths: list[str] = []
    for event in _events(run.folder / "events.jsonl"):
        kind = event.get("kind")
        if kind == "run-started":
            paths = event["bn_layers"]
        elif kind == "stepped":
            where = {key: event[key] for key in ("stage", "part", "step")}
            tables["steps"].append(
                where | flat({k: event.get(k, {}) for k in ("losses", "values")})
            )
            gaps = dict(zip(paths, event.get("bn_gap") or [], strict=False))
            if gaps:
                tables["gaps"].append(where | gaps)
        elif kind == "noted":
            tables["notes"].append({"time_s": event.get("time_s"), "message": event["message"]})
    tables |= _analysis(run.folder / "analysis.json")
    return tables


def _analysis(file: Path) -> dict[str, list[Row]]:
    """What each layer's bits cost, where that was asked."""
    if not file.is_file():
        return {}
    return {"layer-costs": [flat(layer) for layer in json.loads(file.read_text())["layers"]]}


def _events(file: Path) -> Iterator[Row]:
    """The events in order; torn lines are left out."""
    with file.open("rb") as lines:
        for line in lines:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found


def flat(values: Mapping[str, Any], before: str = "") -> Row:
    """Objects in objects as columns named outer.inner; lists and texts stay cells."""
    row: Row = {}
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            row |= flat(value, f"{name}.")
        else:
            row[name] = value
    return row


def _write(path: Path, rows: Iterable[Row]) -> None:
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([_cell(column) for column in columns])
        writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)


def _cell(value: Any) -> Any:
    """A number as it is; a text so that no spreadsheet runs it."""
    if isinstance(value, (list, tuple)):
        return json.dumps(value)
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return "" if value is None else value
