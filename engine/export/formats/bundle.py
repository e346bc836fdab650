"""A bundle (.zsq): one file with all that the pages draw of a run, to be opened elsewhere."""

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.export.base import Finished, Format, FormatCard, Written

KIND, VERSION = "quantoscope-bundle", 3  # 1: without answers; 2: with those of three questions
MANIFEST = "manifest.json"
NEEDED = ("recipe.json", "events.jsonl", "result.json")
ANALYSIS = "analysis.json"  # what each layer costs, where that was asked
SNAPSHOT = re.compile(r"snapshots/[A-Za-z0-9][A-Za-z0-9_-]{0,80}\.(npz|webp|png)")
_PACKED = (".webp", ".png", ".npz")  # nothing to gain by packing again


class Bundle(Format):
    """Recipe, events, result, snapshots and answers, and a manifest with the sha256 of each."""

    card = FormatCard(
        name="bundle",
        title="Bundle (.zsq)",
        use="Hand the whole run to somebody: `python -m engine open FILE` puts it among their runs, where "
        "every page shows it as it was, without the network's weights.",
        needs_network=False,
    )

    def write(self, run: Finished, out: Path) -> list[Written]:
        path = out / f"{run.run}.zsq"
        files = {name: file.read_bytes() for name, file in _files(run.folder)}
        along = {q: found for q, found in run.answers.items() if not _is_of_layer(q)}
        files |= {f"answers/{q}.json": json.dumps(found).encode() for q, found in along.items()}
        manifest = {
            "kind": KIND, "version": VERSION, "run": run.run, "engine": run.result.get("engine"),
            "files": {name: _facts(data) for name, data in files.items()},
        }  # fmt: skip
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(MANIFEST, json.dumps(manifest, indent=1), zipfile.ZIP_DEFLATED)
            for name, data in files.items():
                packed = name.endswith(_PACKED)
                archive.writestr(name, data, zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED)
        notes: tuple[str, ...] = (
            "The network's weights are not in it; names of files that the recipe names are.",
        )
        stays = dict.fromkeys(q.partition(" ")[0] for q in run.answers if q not in along)
        if stays:
            notes += (
                f"What was asked of it as {', '.join(stays)} stays here, and can be taken as tables.",
            )
        return [Written(kind="bundle", path=path, notes=notes)]


def _is_of_layer(question: str) -> bool:
    """Whether it is put about one layer, whose path is then behind its name."""
    return " " in question


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
