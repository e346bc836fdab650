"""Labels in a table beside the images: labels.csv in any of the forms that programs write."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
TABLES = ("labels.csv", "labels.tsv", "labels.txt")
FILE_TITLES = ("file", "filename", "file_name", "filepath", "path", "image", "image_name",
               "image_id", "img", "name", "id")  # fmt: skip
LABEL_TITLES = ("label", "labels", "class", "class_id", "class_index", "target", "category", "y",
                "class_name")  # fmt: skip
MOST_ROWS = 10_000_000


class Entry(NamedTuple):
    """One image file and its class number, None where the folder does not say."""

    path: Path
    label: int | None


class _Row(NamedTuple):
    where: str  # for messages
    name: str
    label: str


def find_table(folder: Path) -> Path | None:
    """The folder's table of labels: labels.csv, or the only other .csv whose head names both columns."""
    for name in TABLES:
        if (folder / name).is_file():
            return folder / name
    others = [
        file
        for file in sorted(folder.glob("*.csv"))
        if file.is_file() and _columns(_head(file)) is not None
    ]
    return others[0] if len(others) == 1 else None


def read_table(table: Path, classes: Sequence[str] = ()) -> list[Entry]:
    """The entries of a table, in its order; UserError for a line that is none.

    Labels are class numbers, or names: of `classes` where they are given, else numbered in the order
    of the alphabet, as class folders are.
    """
    rows = _rows(table)
    number = _numbering([row.label for row in rows], classes)
    return [_entry(table.parent, row, number) for row in rows]


def _head(table: Path) -> list[str]:
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        first = file.readline(10_000)
    return next(csv.reader([first], delimiter=_delimiter(first)), [])


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _columns(titles: Sequence[str]) -> tuple[int, int] | None:
    """Where file and label stand, by a table's first row; None where that row is no head."""
    low = [title.strip().lower() for title in titles]
    file = next((low.index(title) for title in FILE_TITLES if title in low), None)
    label = next((low.index(title) for title in LABEL_TITLES if title in low), None)
    return None if file is None or label is None or file == label else (file, label)


def _rows(table: Path) -> list[_Row]:
    columns = _columns(_head(table))
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        delimiter = _delimiter(file.readline(10_000))
        file.seek(0)
        try:
            lines = [
                (n, row)
                for n, row in enumerate(csv.reader(file, delimiter=delimiter), 1)
                if any(row)
            ]
        except csv.Error as error:
            raise UserError(
                f"{table.name} is no table of labels: {error}; write file,label lines"
            ) from error
    at, label_at = columns or (0, 1)
    return [_row(table, n, row, at, label_at) for n, row in lines[columns is not None :]]


def _row(table: Path, number: int, row: list[str], at: int, label_at: int) -> _Row:
    where = f"{table.name} line {number}"
    name, label = (row[i].strip() if i < len(row) else "" for i in (at, label_at))
    if not name or not label:
        raise UserError(f"{where} is {','.join(row)!r}; it must be a file name and a class number")
    return _Row(where, name, label)


def _numbering(labels: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """Text -> class number, for the labels that are not numbers themselves."""
    texts = {label for label in labels if not _is_number(label)}
    known = {plain(name): number for number, name in enumerate(classes)}
    if texts and all(plain(text) in known for text in texts):
        return {text: known[plain(text)] for text in texts}
    if texts and len(texts) == len(set(labels)) and not classes:
        return {text: number for number, text in enumerate(sorted(texts))}
    return {}


def plain(name: str) -> str:
    """A class's name without the marks that file systems and habits put between words."""
    return "".join(c for c in name.casefold() if c.isalnum())


def _is_number(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _entry(folder: Path, row: _Row, number: dict[str, int]) -> Entry:
    if row.label in number:
        label = number[row.label]
    elif _is_number(row.label):
        label = int(row.label)
    else:
        raise UserError(
            f"{row.where} has label {row.label!r}; it must be a class number, or the name of a class"
        )
    path = _find(folder, row.name)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"{row.where} names {row.name!r}, which is outside of the folder; move it inside"
        )
    if label < 0:
        raise UserError(f"{row.where} has label {label}; class numbers count from 0")
    return Entry(path, label)


def _find(folder: Path, name: str) -> Path:
    """The file of that name, which may lack its suffix, here or in a folder beside the table."""
    wanted = folder / name
    if "\0" in name or wanted.is_file() or ".." in Path(name).parts or Path(name).is_absolute():
        return folder / name.replace("\0", "")
    for place in (folder, *(child for child in sorted(folder.iterdir()) if child.is_dir())):
        for suffix in ("", *SUFFIXES):
            if (place / f"{name}{suffix}").is_file():
                return place / f"{name}{suffix}"
    return wanted
