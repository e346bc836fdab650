"""Labels in a table beside the images: which files they are of, and which classes."""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from engine.core.errors import UserError
from engine.data.labelling.classes import Classes, number_classes, number_columns, too_large
from engine.data.labelling.tables import Row, Table, is_table, read_table
from engine.data.names import SUFFIXES, looks_like_image, printable

__all__ = ["SUFFIXES", "TABLES", "Entry", "Listing", "find_table", "list_table", "overlooked"]
TABLES = ("labels.csv", "labels.tsv", "labels.txt")
_STEMS = ("labels", "label", "annotations", "_annotations")
_UNREAD = (".json", ".jsonl", ".xlsx", ".xls", ".ods", ".xml", ".yaml", ".yml", ".parquet", ".npy",
           ".npz", ".mat", ".pkl")  # fmt: skip
LONGEST_NAME = 255  # bytes of one part of a path, on nearly all file systems
LONGEST_PATH = 2000  # letters of a whole one


class Entry(NamedTuple):
    """One image file and its class number, None where the folder does not say."""

    path: Path
    label: int | None


class Listing(NamedTuple):
    """The images of a folder, in order; what was left out ("file: why"), and what the user should know."""

    entries: list[Entry]
    skipped: list[str]
    notes: list[str]


def find_table(folder: Path) -> Path | None:
    """The folder's table of labels: labels.csv, or the only other .csv whose head names both columns."""
    files = {file.name.lower(): file for file in sorted(folder.iterdir()) if file.is_file()}
    for name in TABLES:
        if name in files and _is_of_images(files[name]):
            return files[name]
    others = _other_tables(folder)
    return others[0] if len(others) == 1 else None


def overlooked(places: Sequence[Path]) -> list[str]:
    """What in these folders looks like labels and is not read as such, each with the way out."""
    notes = []
    for place in places:
        names = sorted((printable(file.name) for file in _other_tables(place)), key=str.lower)
        if len(names) > 1:
            every = f"{', '.join(names[:-1])} and {names[-1]}"
            which = "both look" if len(names) == 2 else "all look"
            notes.append(f"{every} {which} like tables of labels; call one labels.csv.")
        for child in sorted(place.iterdir()):
            name = child.name.lower()
            if name in TABLES and child.is_dir():
                notes.append(
                    f"{child.name} is a folder, and no table of labels; put a file labels.csv in its place."
                )
            stem, dot, suffix = name.rpartition(".")
            if stem in _STEMS and f"{dot}{suffix}" in _UNREAD and child.is_file():
                notes.append(
                    f"{child.name} is not read; write the labels as file,label lines into a labels.csv."
                )
    return notes


def _other_tables(folder: Path) -> list[Path]:
    """What are tables of labels by their heads, under names of their own."""
    found = (file for file in sorted(folder.iterdir()) if file.name.lower() not in TABLES)
    return [
        file
        for file in found
        if file.name.lower().endswith(".csv") and file.is_file() and is_table(file)
    ]


def _is_of_images(file: Path) -> bool:
    """Whether a table's name is not all: a labels.txt may be a list of classes, beside their folders."""
    if file.suffix.lower() != ".txt" or is_table(file):
        return True
    with file.open("rb") as opened:
        seen = opened.read(2**16).decode("utf-8", errors="replace").replace("\0", "").lower()
    folders = any(child.is_dir() and child.name[0] not in "._" for child in file.parent.iterdir())
    return not folders or any(suffix in seen for suffix in SUFFIXES)


def list_table(file: Path, classes: Classes | None) -> Listing:
    """The entries of a table, in its order; UserError for a line that is none.

    Labels are read as `engine.data.labelling.classes` says, and not at all where `classes` is None. A file
    that is named twice counts once, and not at all where its labels differ; files that are not there are
    entries all the same, for the reader to skip.
    """
    files, found = _Files(file), dict[Path, Row]()
    table = read_table(file, files.has)
    numbers, notes = ({}, []) if classes is None else _numbers(table, classes)
    skipped, doubted = [], set[Path]()
    for row in table.rows:
        fault = _fault(row, numbers)
        if fault is None:
            path = files.find(row)
            first = found.setdefault(path, row)
            if first is not row:
                fault = f"{row.name} stands in {first.where} too"
            if first.label != row.label and path not in doubted:
                doubted.add(path)
                skipped.append(f"{first.where}: {row.name} has another label in {row.where}")
        if fault is not None:
            skipped.append(f"{row.where}: {fault}")
    entries = [
        Entry(path, numbers.get(row.label)) for path, row in found.items() if path not in doubted
    ]
    if classes is not None:
        notes += files.unnamed({*found})
    return Listing(entries, skipped, notes)


def _numbers(table: Table, classes: Classes) -> tuple[dict[str, int], list[str]]:
    where: dict[str, str] = {}
    for row in table.rows:
        where.setdefault(row.label, row.where)
    if table.columns:
        numbers, note = number_columns(table.columns, classes, where)
    else:
        numbers, note = number_classes(where.keys(), classes, "label", where=where)
    return numbers, [one for one in (note, table.note) if one]


def _fault(row: Row, numbers: dict[str, int]) -> str | None:
    if not row.name:
        return "no file is named"
    parts = row.name.replace("\\", "/").split("/")
    if any(len(part.encode()) > LONGEST_NAME for part in parts) or len(row.name) > LONGEST_PATH:
        return f"{row.name[:40]}.. is too long for the name of a file"
    return too_large(row.label, numbers)


class _Files:
    """The files of a folder, to be found by names as people write them."""

    def __init__(self, table: Path) -> None:
        self._name, self._folder = table.name, table.parent
        folder = self._folder
        self._resolved = folder.resolve()

    def has(self, name: str) -> bool:
        """Whether an image is called so, with or without its suffix."""
        return name in self._known or name.casefold() in self._alike

    def unnamed(self, named: set[Path]) -> list[str]:
        """A sentence on images that no line of the table names; nothing where there are none."""
        rest = len({*self._known.values()} - {Path(os.path.normpath(path)) for path in named})
        of = f"image{'s' if rest > 1 else ''}"
        return [f"{printable(self._name)} names no label of {rest} {of}: left out."] if rest else []

    def find(self, row: Row) -> Path:
        """The file, which may lack its suffix, here or in a folder beside the table; UserError outside."""
        path = self._folder / row.name
        if not path.is_file():
            parts = [
                part for part in row.name.replace("\\", "/").split("/") if part not in ("", ".")
            ]
            absolute = (
                PurePosixPath(row.name).is_absolute() or PureWindowsPath(row.name).drive != ""
            )
            found = None if ".." in parts else self._elsewhere(parts, absolute=absolute)
            if found is None and not absolute and ".." not in parts:
                return self._folder / "/".join(parts)  # which is not there
            path = found or (Path(row.name) if absolute else self._folder / "/".join(parts))
        if not path.resolve().is_relative_to(self._resolved):
            raise UserError(
                f"{row.where} names {row.name!r}, which is outside of the folder; move it inside"
            )
        return path

    def _elsewhere(self, parts: list[str], *, absolute: bool) -> Path | None:
        # Of a path on the machine where the table was written, the end is here.
        for start in range(len(parts) if absolute else 1):
            wanted = "/".join(parts[start:])
            found = self._known.get(wanted) or self._alike.get(wanted.casefold())
            if found is not None:
                return found
        return None

    @cached_property
    def _known(self) -> dict[str, Path]:
        """By the path from the folder, and from each folder right below it, also without suffix.

        The first of a name counts: the folder's own files, then those of the folders below in order.
        """
        inside = [path.relative_to(self._folder) for path in self._folder.rglob("*")]
        inside = [path for path in inside if looks_like_image(path.name) and not is_hidden(path)]
        placed = [(0, "", path.as_posix(), path) for path in inside]
        placed += [
            (1, path.parts[0], "/".join(path.parts[1:]), path) for path in inside if path.parts[1:]
        ]
        placed.sort(key=lambda one: (*one[:2], SUFFIXES.index(one[3].suffix.lower()), one[2]))
        found: dict[str, Path] = {}
        for _below, _place, name, path in placed:
            for called in (name, name[: -len(path.suffix)]):
                found.setdefault(called, self._folder / path)
        return found

    @cached_property
    def _alike(self) -> dict[str, Path]:
        """The same, by names without regard to capitals, where that leaves one."""
        alike: dict[str, set[Path]] = {}
        for name, path in self._known.items():
            alike.setdefault(name.casefold(), set()).add(path)
        return {name: paths.pop() for name, paths in alike.items() if len(paths) == 1}


def is_hidden(inside: Path) -> bool:
    """Whether a path within a folder leads through what systems and editors hide (.ipynb_checkpoints)."""
    return any(part.startswith((".", "__MACOSX")) for part in inside.parts)
