"""Which images a folder holds, and their labels, in the ways people keep them."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from engine.core.errors import UserError
from engine.core.outside.files import check_size, sha256_of
from engine.data.archive import LEFT_OUT, inner_folder
from engine.data.datasets import Part, find_arrays
from engine.data.labelling.classes import (
    NAMES_FILES,
    Classes,
    number_classes,
    too_large,
    with_names_of,
    wnid_of,
)
from engine.data.labelling.label_tables import (
    SUFFIXES,
    Entry,
    Listing,
    find_table,
    is_hidden,
    list_table,
    overlooked,
)
from engine.data.names import looks_like_image, printable

__all__ = [
    "SUFFIXES", "Entry", "check_folder", "content_of", "list_folder", "list_images", "printable",
]  # fmt: skip
_PARTS = {
    "test": ("test", "val", "valid", "validation", "train", "training"),
    "train": ("train", "training", "val", "valid", "validation", "test"),
}


def list_images(folder: Path, classes: Sequence[str] = (), *, outputs: int = 0) -> list[Entry]:
    """The images of a folder and their labels, see `list_folder`; `outputs` counts the classes."""
    return list_folder(folder, Classes(tuple(classes), outputs)).entries


def list_folder(folder: Path, classes: Classes | None, *, within: Path | None = None) -> Listing:
    """The images of a folder: by its labels.csv, else by class folders, else by their names.

    What a class is called becomes its number by the rule of `engine.data.labelling.classes`; where that
    cannot be told, and where `classes` is None, there are no labels. Images of class folders are taken in
    turn, so that the first few are of many classes. Files that are no images by their name are left out. A
    classes.txt in the folder, or above it up to `within`, names the classes. UserError for a bad labels.csv.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name one that holds images")
    table = find_table(folder)
    places = [folder, *(p for p in folder.parents if within and p.is_relative_to(within))]
    files = [place / name for place in places for name in NAMES_FILES]
    if classes is not None:
        classes = with_names_of(classes, (file for file in files if file != table))
    if table is not None:
        listing = list_table(table, classes)
    else:
        listing = _by_folders(folder, classes) or _flat(folder, classes)
    if table is None and classes is not None and any(e.label is None for e in listing.entries):
        listing = listing._replace(notes=[*overlooked(places), *listing.notes])
    return listing._replace(skipped=[*listing.skipped, *_left_out(places)])


def root_of(folder: Path, part: Part) -> Path:
    """Where this part of a set lies: below folders that hold one folder, in `train`, `val`, .."""
    if not folder.is_dir():
        return folder
    return inner_folder(_part_of(inner_folder(folder), part))


def check_folder(folder: Path, part: Part = "test") -> None:
    """UserError where a folder holds neither images nor a known data set."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name one that holds images")
    check_size(folder)  # before anything in it is looked at
    if find_arrays(folder, part) is None and not _unlabelled(root_of(folder, part)).entries:
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
        root = root_of(folder, part)
        if find_arrays(folder, part) is not None:
            root, files = folder, sorted(file for file in folder.rglob("*") if file.is_file())
            count = len(files)
        else:
            files = [entry.path for entry in _unlabelled(root).entries]
        for number, file in enumerate(files):
            there = file.is_file()  # a table may name files that are not; they are left out later
            size = file.stat().st_size if there else -1
            # As the system has it: a name may be any bytes, and no text at all.
            digest.update(os.fsencode(f"{file.relative_to(root).as_posix()}\0{size}\0"))
            if number < count and there:
                digest.update(bytes.fromhex(sha256_of(file)))
    except OSError as error:
        where = error.filename or folder
        raise UserError(
            f"{printable(where)} cannot be read: {error.strerror}; make it readable"
        ) from error
    return digest.hexdigest()


def _unlabelled(folder: Path) -> Listing:
    return list_folder(folder, None)


def _part_of(folder: Path, part: Part) -> Path:
    """The half of a set that lies in folders `train`, `val`, `test`; the folder itself where it does not."""
    if find_table(folder) is not None:
        return folder
    found = {child.name.lower(): child for child in _visible(folder)}
    if not found or not found.keys() <= set(_PARTS[part]):
        return folder
    return next(found[name] for name in _PARTS[part] if name in found)


def _visible(folder: Path) -> list[Path]:
    return [child for child in folder.iterdir() if child.is_dir() and child.name[0] not in "._"]


def _by_folders(folder: Path, classes: Classes | None) -> Listing | None:
    """By class folders; None where none of the folders holds an image."""
    folders = _in_order(_visible(folder))
    images = {child: sorted(_images_below(child)) for child in folders}
    full = [child for child in folders if images[child]]
    if not full:
        return None
    numbers: dict[str, int] = {}
    notes = []
    if classes is not None:
        names = [child.name for child in full]
        numbers, note = number_classes(
            names, classes, "class folder", every=[child.name for child in folders]
        )
        beside = sum(map(_is_image, folder.iterdir()))
        aside = (
            f"{beside} images beside the class folders of {printable(folder.name)} are not used."
        )
        notes = [*([note] if note else []), *([aside] if beside else [])]
    faults = {child: too_large(child.name, numbers) for child in full}
    skipped = [
        f"{printable(path.relative_to(folder))}: {fault}"
        for child, fault in faults.items()
        for path in (images[child] if fault else ())
    ]
    full = [child for child in full if not faults[child]]
    labels = [numbers.get(child.name) for child in full]
    return Listing(_in_turn([images[child] for child in full], labels), skipped, notes)


def _flat(folder: Path, classes: Classes | None) -> Listing:
    """Images that lie in the folder itself; labelled where their names begin with ImageNet's synsets."""
    paths = sorted(filter(_is_image, folder.iterdir()))
    wnids = {path: wnid for path in paths if (wnid := wnid_of(path.name))}
    if classes is None or not paths or len(wnids) < len(paths):
        return Listing([Entry(path, None) for path in paths], [], [])
    numbers, note = number_classes(wnids.values(), classes, "synset")
    entries = [Entry(path, numbers.get(wnid)) for path, wnid in wnids.items()]
    return Listing(entries, [], [note] if note else [])


def _images_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if _is_image(path) and not is_hidden(path.relative_to(folder)):
            yield path


def _is_image(path: Path) -> bool:
    if not looks_like_image(path.name) or path.name[0] == ".":
        return False
    return path.is_file() or (path.is_symlink() and not path.exists())  # which is told as missing


def _in_order(folders: Iterable[Path]) -> list[Path]:
    folders = sorted(folders, key=lambda folder: folder.name)
    if all(folder.name.isdecimal() for folder in folders):
        folders.sort(key=lambda folder: int(folder.name))  # 10 after 9, not after 1
    return folders


def _in_turn(images: list[list[Path]], labels: Sequence[int | None]) -> list[Entry]:
    """The first of each folder, then the second of each, ..; by class, where labels are known."""
    ranked = [
        (rank, place if label is None else label, path, label)
        for place, (label, paths) in enumerate(zip(labels, images, strict=True))
        for rank, path in enumerate(paths)
    ]
    return [Entry(path, label) for _rank, _by, path, label in sorted(ranked, key=lambda r: r[:3])]


def _left_out(places: Sequence[Path]) -> list[str]:
    """What an archive held that could not be unpacked into these folders."""
    file = next((place / LEFT_OUT for place in places if (place / LEFT_OUT).is_file()), None)
    return file.read_text(encoding="utf-8").splitlines() if file is not None else []
