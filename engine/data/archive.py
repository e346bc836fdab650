"""A zip archive of images, unpacked so that nothing in it can do harm.

Names that lead out of the folder, links and archives that unpack to far more than they hold are
refused; what is neither an image nor a table of labels or a data file is left out, and so is what has no
place beside the others (a second file of one name, a name too long): those are listed.
"""

import errno
import lzma
import os
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from engine.core.errors import UserError
from engine.data.names import SUFFIXES

MOST_FILES = 200_000
MOST_BYTES = 4 * 2**30
MOST_UNPACKED = (
    100  # times its packed size, for a file above a megabyte: images hardly shrink at all
)
SMALL = 2**24  # bytes that a whole archive may unpack to whatever it takes itself
TABLES = (".csv", ".tsv", ".txt")
DATA = (".bin", ".gz", "-ubyte")  # CIFAR's and MNIST's own files
LEFT_OUT = (
    ".left-out.txt"  # in the folder of the images: a line for each file that has no place there
)
_CHUNK = 2**20
_DRIVE = re.compile(r"[A-Za-z]:")
_NO_PLACE = (  # on this disk, for this one name
    errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ,
)  # fmt: skip


class _Entry(NamedTuple):
    info: zipfile.ZipInfo
    path: PurePosixPath  # with folders as they are meant: some programs write backslashes

    @property
    def is_folder(self) -> bool:
        return self.info.filename.endswith(("/", "\\"))


def unpack(archive: Path, into: Path) -> list[str]:
    """Unpack the images and tables of a zip archive into a new folder; returns what was left out.

    What was left out though it is an image is also listed in the folder's LEFT_OUT, with the reason.
    UserError for an archive that is none, is harmful, or does not fit on the disk.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            wanted, left = _wanted(file, archive)
            into.mkdir(parents=True)
            misplaced = _write_all(file, wanted, into)
        if misplaced:
            (inner_folder(into) / LEFT_OUT).write_text("\n".join(misplaced), encoding="utf-8")
    except (
        zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError,
        zlib.error, lzma.LZMAError, UnicodeError,
    ) as error:  # fmt: skip
        shutil.rmtree(into, ignore_errors=True)
        raise UserError(
            f"{archive.name} is no readable zip archive: {error}; pack it anew"
        ) from error
    except OSError as error:
        shutil.rmtree(into, ignore_errors=True)
        if error.errno is None:  # not the disk's: how bz2 calls torn data
            raise UserError(
                f"{archive.name} is no readable zip archive: {error}; pack it anew"
            ) from error
        raise UserError(
            f"{archive.name} cannot be unpacked into {into.parent}: {error.strerror or error}; make room, or "
            "unpack it yourself and give the folder"
        ) from error
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
    return left + misplaced


def inner_folder(folder: Path) -> Path:
    """Down through folders that hold nothing but one folder, as archives often begin."""
    for _ in range(8):
        files, folders = _contents(folder)
        if files or len(folders) != 1 or folders[0].name.isdecimal():
            return folder
        files, below = _contents(folders[0])
        if not below and not any(_is_table(file) for file in files):
            return folder  # one class of images, or plain images: the folder above is the set
        folder = folders[0]
    return folder


def _contents(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files that can be of a set of images, and the folders."""
    seen = [child for child in folder.iterdir() if child.name[0] not in "._"]
    files = [child for child in seen if child.is_file() and _is_wanted(child.name)]
    return files, [child for child in seen if child.is_dir()]


def _is_wanted(name: str) -> bool:
    return name.lower().endswith((*SUFFIXES, *TABLES, *DATA))


def _is_table(file: Path) -> bool:
    return file.name.lower().endswith((*TABLES, *DATA))


def _wanted(file: zipfile.ZipFile, archive: Path) -> tuple[list[_Entry], list[str]]:
    infos, name = file.infolist(), archive.name
    if len(infos) > MOST_FILES:
        raise UserError(f"{name} holds {len(infos):,} files; give at most {MOST_FILES:,}")
    wanted: list[_Entry] = []
    left = []
    for info in infos:
        entry = _Entry(info, PurePosixPath(info.filename.replace("\\", "/")))
        _check_name(entry, name)
        hidden = any(part.startswith((".", "__MACOSX")) for part in entry.path.parts)
        if not hidden and (entry.is_folder or _is_wanted(entry.path.name)):
            wanted.append(entry)
        elif not entry.is_folder:
            left.append(info.filename)
    images = [entry.info for entry in wanted if not entry.is_folder]
    _check_sizes(images, archive)
    if not images:
        raise UserError(f"{name} holds no images; pack class folders, or images with a labels.csv")
    return wanted, left


def _check_sizes(infos: list[zipfile.ZipInfo], archive: Path) -> None:
    total, packed = sum(info.file_size for info in infos), archive.stat().st_size
    if total > MOST_BYTES:
        raise UserError(f"{archive.name} unpacks to {total:,} bytes; give at most {MOST_BYTES:,}")
    for info in infos:
        if info.file_size > 2**20 and info.file_size > MOST_UNPACKED * max(1, info.compress_size):
            raise UserError(
                f"{archive.name} holds {info.filename!r}, which unpacks from {info.compress_size:,} to "
                f"{info.file_size:,} bytes as no image does; take it out"
            )
    if total > SMALL and total > MOST_UNPACKED * packed:
        raise UserError(
            f"{archive.name} unpacks from {packed:,} to {total:,} bytes as no images do; pack real ones"
        )


def _check_name(entry: _Entry, name: str) -> None:
    info, path = entry
    if path.is_absolute() or ".." in path.parts or _DRIVE.match(str(path)):
        raise UserError(
            f"{name} holds {info.filename!r}, which leads out of its folder; pack it anew"
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UserError(f"{name} holds a link, {info.filename!r}; pack the file itself")
    if info.flag_bits & 1:
        raise UserError(f"{name} is protected by a password; pack it without one")


def _write_all(file: zipfile.ZipFile, entries: list[_Entry], into: Path) -> list[str]:
    """Write what has a place; "name: why" for the rest. Empty folders too: they may be classes."""
    misplaced = []
    seen: set[PurePosixPath] = set()
    for entry in entries:
        shown = entry.info.filename[:80].replace("\n", " ").replace("\r", " ")
        if not entry.path.name:
            misplaced.append(f"{shown!r}: has no name")
        elif os.name == "nt" and ":" in str(entry.path):  # would be a hidden stream of another file
            misplaced.append(f"{shown}: has a colon in its name")
        elif entry.path in seen and not entry.is_folder:
            misplaced.append(f"{shown}: there is another of this name before it")
        else:
            seen.add(entry.path)
            try:
                _write(file, entry, into / Path(*entry.path.parts))
            except OSError as error:
                if error.errno not in _NO_PLACE:
                    raise
                misplaced.append(f"{shown}: {_reason(error)}")
    return misplaced


def _reason(error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        return "its name is too long"
    return "there is another of this name, or a file where its folder should be"


def _write(file: zipfile.ZipFile, entry: _Entry, path: Path) -> None:
    """As many bytes as the archive's directory promised, and no more."""
    if entry.is_folder:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    left = entry.info.file_size
    with file.open(entry.info) as packed, path.open("xb") as out:
        while chunk := packed.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise zipfile.BadZipFile(f"{entry.info.filename!r} is longer than it says")
            out.write(chunk)
