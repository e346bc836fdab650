"""Which images a folder holds, and their labels, in the ways people keep them."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.core.errors import UserError
from engine.core.files import check_size, sha256_of
from engine.data.datasets import Part, find_arrays
from engine.data.labels import SUFFIXES, Entry, find_table, plain, read_table

__all__ = ["SUFFIXES", "Entry", "check_folder", "content_of", "list_images", "part_of"]
_PARTS = {
    "test": ("test", "val", "valid", "validation", "train", "training"),
    "train": ("train", "training", "val", "valid", "validation", "test"),
}


def list_images(folder: Path, classes: Sequence[str] = ()) -> list[Entry]:
    """The images of a folder: by its labels.csv, else by class folders, else unlabelled.

    Class folders that are called like the network's `classes` get their numbers; others are numbered
    0, 1, .. in the order of their names (names that are all numbers, in the order of the numbers). Their
    images are taken in turn, so that the first few are of many classes. Files that are no images by
    their name are left out. UserError for a bad labels.csv.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name one that holds images")
    table = find_table(folder)
    if table is not None:
        return read_table(table, classes)
    folders = _in_order(_visible(folder))
    images = [sorted(filter(_is_image, child.rglob("*"))) for child in folders]
    if any(images):
        return _in_turn(images, _numbers(folders, classes))
    return [Entry(path, None) for path in sorted(filter(_is_image, folder.iterdir()))]


def part_of(folder: Path, part: Part) -> Path:
    """The half of a set that lies in folders `train`, `val`, `test`; the folder itself where it does not."""
    if not folder.is_dir() or find_table(folder) is not None:
        return folder
    found = {child.name.lower(): child for child in _visible(folder)}
    if not found or not found.keys() <= set(_PARTS[part]):
        return folder
    return next(found[name] for name in _PARTS[part] if name in found)


def check_folder(folder: Path, part: Part = "test") -> None:
    """UserError where a folder holds neither images nor a known data set."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name one that holds images")
    check_size(folder)  # before anything in it is looked at
    if find_arrays(folder, part) is None and not list_images(part_of(folder, part)):
        raise UserError(f"{folder} holds no images; put class folders or image files into it")


def content_of(folder: Path, count: int, part: Part = "test") -> str:
    """What is in a folder of images, as a sha256: equal for equal images, wherever the folder lies.

    Of names and sizes in the order in which images are taken, and of the bytes of the first `count`,
    which are those that will be used where none is broken; of a known data set's files, all of it.
    UserError where the folder holds no images or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        check_folder(folder, part)
        root = part_of(folder, part)
        if find_arrays(folder, part) is not None:
            root, files = folder, sorted(file for file in folder.rglob("*") if file.is_file())
            count = len(files)
        else:
            files = [entry.path for entry in list_images(root)]
        for number, file in enumerate(files):
            there = file.is_file()  # a table may name files that are not; they are left out later
            size = file.stat().st_size if there else -1
            digest.update(f"{file.relative_to(root).as_posix()}\0{size}\0".encode())
            if number < count and there:
                digest.update(bytes.fromhex(sha256_of(file)))
    except OSError as error:
        where = error.filename or folder
        raise UserError(f"{where} cannot be read: {error.strerror}; make it readable") from error
    return digest.hexdigest()


def _visible(folder: Path) -> list[Path]:
    return [child for child in folder.iterdir() if child.is_dir() and child.name[0] not in "._"]


def _numbers(folders: list[Path], classes: Sequence[str]) -> list[int]:
    """The class number of each folder."""
    known = {plain(name): number for number, name in enumerate(classes)}
    called = [plain(folder.name) in known for folder in folders]
    if not any(called) or all(folder.name.isdecimal() for folder in folders):
        return list(range(len(folders)))
    if not all(called):
        odd = folders[called.index(False)].name
        raise UserError(
            f"class folder {odd!r} is called like none of the network's {len(classes)} classes, others are; "
            f"call it like one of them, for example {classes[0]!r}"
        )
    return [known[plain(folder.name)] for folder in folders]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()


def _in_order(folders: Iterable[Path]) -> list[Path]:
    folders = sorted(folders, key=lambda folder: folder.name)
    if all(folder.name.isdecimal() for folder in folders):
        folders.sort(key=lambda folder: int(folder.name))  # 10 after 9, not after 1
    return folders


def _in_turn(images: list[list[Path]], numbers: list[int]) -> list[Entry]:
    ranked = [
        (rank, label, path)
        for label, paths in zip(numbers, images, strict=True)
        for rank, path in enumerate(paths)
    ]
    return [Entry(path, label) for _rank, label, path in sorted(ranked)]
