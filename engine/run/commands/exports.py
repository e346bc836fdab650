"""`export`: a finished run, taken elsewhere."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.core.errors import UserError
from engine.core.outside.files import typed_path
from engine.core.percent import percent
from engine.export import format_lines
from engine.run.commands.printed.common import runs_folder
from engine.run.commands.printed.progress import Progress
from engine.run.commands.printed.tables import table
from engine.run.folders.files import writing_into
from engine.run.folders.folder import RunFolder
from engine.run.recipes.settings import as_text

CSV = ".csv"
_PARQUET = (".parquet", ".pq")


def add_commands(add: Callable[..., Any]) -> None:
    """Put the commands of this file among the others; each format is an option by its file's name."""
    taken = add("export", export, "write a finished run's network and pages into files")
    taken.add_argument("run", metavar="RUN")
    for name, line in format_lines().items():
        taken.add_argument(
            f"--{name}", action="append_const", const=name, dest="formats", help=line
        )
    taken.add_argument(
        "--sections", metavar="NAME,..", default="", help="report: these alone, in this order"
    )
    taken.add_argument(
        "--out",
        metavar="DIR",
        help="the folder to write into, else export/ in the run's",
    )
    table_of_all = add("table", all_runs, "write all finished runs as one table, a row a run")
    table_of_all.add_argument("file", metavar="FILE", help="a .parquet or .csv file")
    opened = add("open", open_, "put a bundle's run among the runs, to be looked at")
    opened.add_argument("bundle", metavar="BUNDLE", help="a .zsq file")


def all_runs(options: argparse.Namespace) -> int:
    from engine.run.exports.parquet import write_parquet

    file = typed_path(options.file, "file")
    if file.suffix.lower() not in (*_PARQUET, CSV):
        raise UserError(
            f"file {as_text(options.file)} names no kind of table; give a .parquet or .csv file"
        )
    if file.suffix.lower() == CSV:
        count = _write_csv(runs_folder(options), file)
    else:
        count = write_parquet(runs_folder(options), file)
    facts = {"file": str(file), "runs": count, "bytes": file.stat().st_size}
    print(json.dumps(facts) if options.json else f"{count} runs in {file}")
    return 0


def _write_csv(runs: Path, file: Path) -> int:
    """Write the same table as comma-separated values, what is not known as nothing; returns its runs."""
    import pyarrow.parquet as pq
    from pyarrow.csv import write_csv

    from engine.run.exports.parquet import write_parquet

    with TemporaryDirectory(prefix="quantoscope-") as place:
        whole = Path(place) / "runs.parquet"
        count = write_parquet(runs, whole)
        table = pq.read_table(whole)
    try:
        write_csv(table, file)
    except OSError as error:
        raise UserError(
            f"{file} cannot be written: {error.strerror or error}; give another file"
        ) from error
    return count


def open_(options: argparse.Namespace) -> int:
    from engine.run.exports.opening import open_bundle

    runs = runs_folder(options)
    with writing_into(runs):
        runs.mkdir(parents=True, exist_ok=True)
    folder = open_bundle(typed_path(options.bundle, "bundle"), runs)
    facts = {"run": folder.run_id, "folder": str(folder.path)}
    print(json.dumps(facts) if options.json else f"opened {folder.run_id} in {folder.path}")
    return 0


def export(options: argparse.Namespace) -> int:
    if options.out is not None and not options.out.strip():
        raise UserError("--out is empty; give a folder to write into, or leave it out")
    folder = RunFolder.open(runs_folder(options), options.run)
    from engine.run.exports.export import export

    found = export(
        folder,
        options.formats or [],
        None if options.out is None else typed_path(options.out, "out"),
        sections=tuple(filter(None, options.sections.split(","))),
        tell=Progress().counted,
    )
    print(json.dumps(found) if options.json else export_text(found))
    return 0


def export_text(found: dict[str, Any]) -> str:
    """Files, what is to be known of them, and what the proof says, for a person."""
    files = found["files"]
    lines = [table([["file", "bytes"], *([one["path"], f"{one['bytes']:,}"] for one in files)])]
    lines += [f"{one['kind']}: {note}" for one in files for note in one["notes"]]
    proof = found["proof"]
    if proof:
        lines += proof_lines(proof)
    return "\n".join(lines)


def proof_lines(proof: dict[str, Any]) -> list[str]:
    """The proof in sentences."""
    spent = proof["latency_ms"]
    slower = spent["quantized"] / spent["float"]
    speed = f"{slower:.2f} times as long as" if slower > 1 else f"{slower:.2f} of the time of"
    agreed = proof["agreement"]
    said = [] if agreed is None else [
        f"{proof['runtime']} on {proof['images']:,} images ({proof['set']}): the file gives the student's "
        f"class for {percent(agreed, 2)} of them."
    ]  # fmt: skip
    untied = [one for one in proof["differing"] if not (one["tie"] or {}).get("within_rounding")]
    if proof["differing"]:
        said.append(
            f"{len(proof['differing'])} images differ, {len(proof['differing']) - len(untied)} of them by a "
            "tie within float rounding."
        )
    return [
        *said,
        f"Largest difference of an output: {proof['largest_logit_difference']:.3g} (the largest output is "
        f"{proof['largest_logit']:.3g}).",
        f"One image takes {spent['quantized']:.2f} ms, {speed} the float file ({spent['float']:.2f} ms), on "
        f"{spent['threads']} threads.",
    ]
