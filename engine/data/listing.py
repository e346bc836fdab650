"""Which images a folder holds, and their labels, in the three ways people keep them."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import UserError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
LABELS_FILE = "labels.csv"


class Entry(NamedTuple):
    """One image file and its class number, None where the folder does not say."""

    path: Path
    label: int | None


def list_images(folder: Path) -> list[Entry]:
    """The images of a folder: by its labels.csv, else by class folders, else unlabelled.

    Class folders are numbered 0, 1, .. in the order of their names (names that are all numbers, in
    the order of the numbers), and their images taken in turn, so that the first few are of many
    classes. Files that are no images by their name are left out. UserError for a bad labels.csv.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name one that holds images")
    if (folder / LABELS_FILE).is_file():
        return _from_csv(folder)
    classes = [child for child in folder.iterdir() if child.is_dir() and child.name[0] not in "._"]
    images = [sorted(filter(_is_image, child.rglob("*"))) for child in _in_order(classes)]
    if any(images):
        return _in_turn(images)
    return [Entry(path, None) for path in sorted(filter(_is_image, folder.iterdir()))]


def check_folder(folder: Path) -> list[Entry]:
    """The images of a folder; UserError where there is none."""
    listed = list_images(folder)
    if not listed:
        raise UserError(f"{folder} holds no images; put class folders or image files into it")
    return listed


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()


def _in_order(folders: Iterable[Path]) -> list[Path]:
    folders = sorted(folders, key=lambda folder: folder.name)
    if all(folder.name.isdecimal() for folder in folders):
        folders.sort(key=lambda folder: int(folder.name))  # 10 after 9, not after 1
    return folders


def _in_turn(images: list[list[Path]]) -> list[Entry]:
    ranked = [
        (rank, label, path) for label, paths in enumerate(images) for rank, path in enumerate(paths)
    ]
    return [Entry(path, label) for _rank, label, path in sorted(ranked)]


def _from_csv(folder: Path) -> list[Entry]:
    with (folder / LABELS_FILE).open(newline="", encoding="utf-8-sig") as file:
        rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(row)]
    if not rows:
        return []
    file_column, label_column = 0, 1
    titles = [cell.strip().lower() for cell in rows[0][1]]
    if "file" in titles and "label" in titles:
        file_column, label_column = titles.index("file"), titles.index("label")
        rows = rows[1:]
    return [_entry(folder, number, row, file_column, label_column) for number, row in rows]


def _entry(folder: Path, number: int, row: list[str], file_column: int, label_column: int) -> Entry:
    where = f"{LABELS_FILE} line {number}"
    try:
        name, label = row[file_column].strip(), int(row[label_column])
    except (IndexError, ValueError):
        raise UserError(
            f"{where} is {','.join(row)!r}; it must be a file name and a class number"
        ) from None
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{where} names {name!r}, which is outside of the folder; move it inside")
    if label < 0:
        raise UserError(f"{where} has label {label}; class numbers count from 0")
    return Entry(path, label)
