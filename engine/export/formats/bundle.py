"""A bundle (.zsq): one file with all that the pages draw of a run, to be opened elsewhere."""

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.core.outside.answer_files import answer_file
from engine.export.base import Expected, Finished, Format, FormatCard, Written

KIND, VERSION = "quantoscope-bundle", 3  # 1: without answers; 2: with those of three questions
MANIFEST = "manifest.json"
NEEDED = ("recipe.json", "events.jsonl", "result.json")
ANALYSIS = "analysis.json"  # what each layer costs, where that was asked
SNAPSHOT = re.compile(r"snapshots/[A-Za-z0-9][A-Za-z0-9_-]{0,80}\.(npz|webp|png)")
NOTES = (
    "The network's weights are not in it, nor what the doctor found, nor tries of other bits; names of files "
    "that the recipe names are.",
)
_PACKED = (".webp", ".png", ".npz")  # nothing to gain by packing again


class Bundle(Format):
    """Recipe, events, result, snapshots and answers, and a manifest with the sha256 of each."""

    card = FormatCard(
        name="bundle",
        title="Bundle (.zsq)",
        use="Hand the whole run to somebody: *Open a bundle* on the page *Runs*, or `python -m engine open "
        "FILE`, puts it among theirs, and every page shows it as it was, without the network's weights.",
        needs_network=False,
    )

    def write(self, run: Finished, out: Path) -> list[Written]:
        path = out / f"{run.run}.zsq"
        files = {name: file.read_bytes() for name, file in _files(run.folder)}
        for asked, found in run.answers.items():
            question, _, layer = asked.partition(" ")
            files[answer_file(question, layer)] = json.dumps(found).encode()
        manifest = {
            "kind": KIND, "version": VERSION, "run": run.run, "engine": run.result.get("engine"),
            "files": {name: _facts(data) for name, data in files.items()},
        }  # fmt: skip
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(MANIFEST, json.dumps(manifest, indent=1), zipfile.ZIP_DEFLATED)
            for name, data in files.items():
                packed = name.endswith(_PACKED)
                archive.writestr(name, data, zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED)
        return [Written(kind="bundle", path=path, notes=NOTES)]

    def expected(self, run: Finished) -> Expected:
        held = [file.stat().st_size for _, file in _files(run.folder)]
        held += [len(json.dumps(found)) for found in run.answers.values()]
        return Expected(most=sum(held), besides="a list of its files")


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name in the bundle and file of all that pages draw, beside the answers."""
    for name in (*NEEDED, ANALYSIS):
        if (folder / name).is_file():
            yield name, folder / name
    for file in sorted((folder / "snapshots").glob("*")):
        if SNAPSHOT.fullmatch(f"snapshots/{file.name}"):
            yield f"snapshots/{file.name}", file


def _facts(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
