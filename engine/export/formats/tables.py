"""Every table and chart of a run as CSV: its numbers, layers, courses, images, and what was asked of it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.export.base import Finished, Format, FormatCard, Written
from engine.export.sheets import Row, Sheets, as_csv, flat, sheets, views
from engine.export.snapshots import channels, columns, image_statistics


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
                path.write_text(as_csv(rows), encoding="utf-8", newline="")
                written.append(Written(kind="tables", path=path))
        return written


def _tables(run: Finished) -> Sheets:
    """The rows of each table by its name."""
    result = {key: value for key, value in run.result.items() if key != "layers"}
    tables: Sheets = {
        "result": [flat(result)],
        "recipe": [flat(run.recipe)],
        "layers": [flat(layer) for layer in run.result["layers"]],
    }
    tables |= _course(run.folder, [*_events(run.folder / "events.jsonl")])
    tables |= image_statistics(run.folder / "snapshots")
    tables |= _analysis(run.folder / "analysis.json")
    for question, answer in run.answers.items():
        tables |= sheets(question, answer)
    return tables


def _course(folder: Path, events: Sequence[Row]) -> Sheets:
    """What came step by step: losses, gaps, looks inside the quantizer, its columns, bits chosen, notes."""
    of: dict[Any, list[Row]] = {}
    for event in events:
        of.setdefault(event.get("kind"), []).append(event)
    started: Row = of["run-started"][-1] if "run-started" in of else {}
    paths: list[str] = started.get("bn_layers", [])
    steps, gaps = [], []
    for event in of.get("stepped", []):
        where = {key: event[key] for key in ("stage", "part", "step")}
        steps.append(where | flat({k: event.get(k, {}) for k in ("losses", "values")}))
        if event.get("bn_gap"):
            gaps.append(where | dict(zip(paths, event["bn_gap"], strict=False)))
    tables = {
        "steps": steps, "gaps": gaps, "views": views(of.get("viewed", [])),
        "notes": [{"time_s": one.get("time_s"), "message": one["message"]} for one in of.get("noted", [])],
    }  # fmt: skip
    files: dict[str, list[Row]] = {}
    for event in of.get("snapshot-saved", []):
        files.setdefault(str(event.get("name")), []).append(event)
    place = folder / "snapshots"
    if "channels" in files:
        tables["channels"] = channels(place, Path(files["channels"][-1]["file"]).name, paths)
    tables["columns"] = columns(place, files.get("path", []), started.get("blocks", []))
    for chosen in of.get("bits-chosen", [])[-1:]:
        tables |= sheets("bits-chosen", chosen["report"])
        kinds = ("weight_bits", "activation_bits")
        tables["bits-chosen-layers"] = [
            {"path": path} | {kind: chosen.get(kind, {}).get(path) for kind in kinds}
            for path in chosen["weight_bits"]
        ]
    return tables


def _analysis(file: Path) -> Sheets:
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
