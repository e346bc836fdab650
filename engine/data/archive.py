"""A zip archive of images, unpacked so that nothing in it can do harm.

Names that lead out of the folder, links and archives that unpack to far more than they hold are
refused; what is neither an image nor a table of labels or a data file is left out.
"""

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from engine.core.errors import UserError
from engine.data.labels import SUFFIXES

MOST_FILES = 200_000
MOST_BYTES = 4 * 2**30
MOST_UNPACKED = (
    100  # times its packed size, for a file above a megabyte: images hardly shrink at all
)
TABLES = (".csv", ".tsv", ".txt")
DATA = (".bin", ".gz", "-ubyte")  # CIFAR's and MNIST's own files
_CHUNK = 2**20


def unpack(archive: Path, into: Path) -> list[str]:
    """Unpack the images and tables of a zip archive into a new folder; returns what was left out."""
    try:
        with zipfile.ZipFile(archive) as file:
            wanted, left = _wanted(file, archive.name)
            into.mkdir(parents=True)
            for entry in wanted:
                _write(file, entry, into / _inside(entry))
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
    ) as error:
        shutil.rmtree(into, ignore_errors=True)
        raise UserError(
            f"{archive.name} is no readable zip archive: {error}; pack it anew"
        ) from error
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
    return left


def inner_folder(folder: Path) -> Path:
    """Down through folders that hold nothing but one folder, as archives often begin."""
    for _ in range(8):
        children = [child for child in folder.iterdir() if child.name[0] not in "._"]
        if len(children) != 1 or not children[0].is_dir():
            return folder
        below = [child for child in children[0].iterdir() if child.name[0] not in "._"]
        if not any(child.is_dir() for child in below) and not _has_table(below):
            return folder  # one class of images, or plain images: the folder above is the set
        folder = children[0]
    return folder


def _has_table(children: list[Path]) -> bool:
    return any(child.suffix in TABLES or child.name.endswith(DATA) for child in children)


def _wanted(file: zipfile.ZipFile, name: str) -> tuple[list[zipfile.ZipInfo], list[str]]:
    entries = file.infolist()
    if len(entries) > MOST_FILES:
        raise UserError(f"{name} holds {len(entries):,} files; give at most {MOST_FILES:,}")
    wanted, left = [], []
    for entry in entries:
        if entry.is_dir():
            continue
        _check_name(entry, name)
        path = PurePosixPath(entry.filename)
        hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
        if hidden or not path.name.lower().endswith((*SUFFIXES, *TABLES, *DATA)):
            left.append(entry.filename)
        else:
            wanted.append(entry)
    total = sum(entry.file_size for entry in wanted)
    if total > MOST_BYTES:
        raise UserError(f"{name} unpacks to {total:,} bytes; give at most {MOST_BYTES:,}")
    for entry in wanted:
        if entry.file_size > 2**20 and entry.file_size > MOST_UNPACKED * max(
            1, entry.compress_size
        ):
            raise UserError(
                f"{name} holds {entry.filename!r}, which unpacks from {entry.compress_size:,} to "
                f"{entry.file_size:,} bytes as no image does; take it out"
            )
    if not wanted:
        raise UserError(f"{name} holds no images; pack class folders, or images with a labels.csv")
    return wanted, left


def _check_name(entry: zipfile.ZipInfo, name: str) -> None:
    path = PurePosixPath(entry.filename)
    drive = ":" in entry.filename or "\\" in entry.filename
    if path.is_absolute() or ".." in path.parts or drive or "\0" in entry.filename:
        raise UserError(
            f"{name} holds {entry.filename!r}, which leads out of its folder; pack it anew"
        )
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise UserError(f"{name} holds a link, {entry.filename!r}; pack the file itself")
    if entry.flag_bits & 1:
        raise UserError(f"{name} is protected by a password; pack it without one")


def _inside(entry: zipfile.ZipInfo) -> Path:
    return Path(*PurePosixPath(entry.filename).parts)


def _write(file: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """As many bytes as the archive's directory promised, and no more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with file.open(entry) as packed, path.open("xb") as out:
        while chunk := packed.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise zipfile.BadZipFile(f"{entry.filename!r} is longer than it says")
            out.write(chunk)
