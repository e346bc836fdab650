"""A bundle opened among the runs. It is a stranger's: nothing is kept before all of it was looked at."""

import hashlib
import json
import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.outside.answer_files import ANSWERS, OF_LAYER_FILE
from engine.core.outside.files import open_regular
from engine.export.formats.bundle import ANALYSIS, KIND, MANIFEST, NEEDED, SNAPSHOT, VERSION
from engine.run.exports.foreign import check_contents
from engine.run.exports.foreign_answers import FILES, check_answers
from engine.run.folders.folder import RunFolder, safe_name
from engine.run.folders.names import may_be_named, read_recipe
from engine.run.folders.opened import BEHIND, OPENED, opened_name

MOST_FILES = 5000
MOST_BYTES = 512 * 2**20  # unpacked, all together
MOST_OF = {".json": 64 * 2**20, ".jsonl": 256 * 2**20, ".npz": 16 * 2**20, ".webp": 16 * 2**20,
           ".png": 16 * 2**20}  # fmt: skip
MOST_UNPACKED = 200  # times its packed size, beyond a megabyte: events shrink to a tenth or so
_WAYS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def open_bundle(bundle: Path, runs: Path) -> RunFolder:
    """The bundle's run in the folder of runs, to be looked at; UserError, in one line, for what it is not."""
    try:
        with (
            open_regular(bundle, "bundle", MOST_BYTES) as (file, _),
            zipfile.ZipFile(file) as archive,
        ):
            contents = _contents(archive, bundle.name)
    except (
        zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error,
        UnicodeError, OSError, ValueError, MemoryError,
    ) as error:  # fmt: skip
        if isinstance(error, UserError):
            raise
        line = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise _refused(bundle.name, f"it is no readable archive: {line}") from error
    return _placed(bundle, contents, runs)


def _refused(name: str, why: str) -> UserError:
    return UserError(f"bundle {name!r} is refused: {why}; ask for it to be made again")


def _contents(archive: zipfile.ZipFile, name: str) -> dict[str, bytes]:
    """Every file of the bundle by its name, as its manifest says."""
    infos = archive.infolist()
    if len(infos) > MOST_FILES:
        raise _refused(name, f"it holds {len(infos):,} files, and {MOST_FILES:,} are the most")
    for info in infos:
        _check_entry(info, name)
    names = [info.filename for info in infos]
    if len({one.lower() for one in names}) < len(names):
        raise _refused(name, "it holds two files of one name")
    missing = {MANIFEST, *NEEDED} - {*names}
    if missing:
        raise _refused(name, f"{min(missing)} is missing")
    if sum(info.file_size for info in infos) > MOST_BYTES:
        raise _refused(name, f"it unpacks to more than {MOST_BYTES:,} bytes")
    manifest = _manifest(_read(archive, MANIFEST, name), name)
    listed = manifest["files"]
    if {*listed} != {*names} - {MANIFEST}:
        raise _refused(name, "its manifest lists other files than it holds")
    contents = {}
    for one, facts in listed.items():
        contents[one] = data = _read(archive, one, name)
        if not isinstance(facts, dict) or facts.get("sha256") != hashlib.sha256(data).hexdigest():
            raise _refused(name, f"{one} is not as its manifest says")
    contents[MANIFEST] = json.dumps(manifest).encode()
    return contents


def _check_entry(info: zipfile.ZipInfo, name: str) -> None:
    """One entry: a plain file of a name and size that a bundle has."""
    shown = repr(info.filename[:60])
    named = info.filename in (MANIFEST, *NEEDED, ANALYSIS, *FILES)
    known = named or any(one.fullmatch(info.filename) for one in (SNAPSHOT, OF_LAYER_FILE))
    if not known or info.orig_filename != info.filename:
        raise _refused(name, f"a bundle has no file {shown}")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise _refused(name, f"{shown} is no plain file")
    if info.flag_bits & 1 or info.compress_type not in _WAYS:
        raise _refused(name, f"{shown} is encrypted, or packed in a way that bundles are not")
    if info.file_size > MOST_OF[Path(info.filename).suffix]:
        raise _refused(name, f"{shown} has {info.file_size:,} bytes, which is too many")
    if info.file_size > 2**20 and info.file_size > MOST_UNPACKED * max(1, info.compress_size):
        raise _refused(name, f"{shown} unpacks to far more than it holds")


def _read(archive: zipfile.ZipFile, one: str, name: str) -> bytes:
    """The entry's bytes, of which there are no more than it says."""
    wanted = archive.getinfo(one).file_size
    with archive.open(one) as file:
        data = file.read(wanted + 1)
    if len(data) != wanted:
        raise _refused(name, f"{one} is not as long as it says")
    return data


def _manifest(data: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise _refused(name, "its manifest is not that of a bundle")
    version = found.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _refused(name, "its manifest names no version")
    if version > VERSION:
        raise UserError(
            f"bundle {name!r} is of version {version}, and this project reads up to {VERSION}; update it"
        )
    if not isinstance(found.get("files"), dict) or not isinstance(found.get("run"), str):
        raise _refused(name, "its manifest names no run, or no files")
    return found


def _placed(bundle: Path, contents: dict[str, bytes], runs: Path) -> RunFolder:
    """Write the checked contents beside the runs, and move them there as one."""
    manifest = json.loads(contents.pop(MANIFEST))
    try:
        run = safe_name(manifest["run"]).removesuffix(BEHIND)
    except UserError:
        raise _refused(bundle.name, "the name of its run is none") from None
    check_contents(contents, lambda why: _refused(bundle.name, why))
    check_answers(contents, lambda why: _refused(bundle.name, why))
    folder, beside = runs / opened_name(run), runs / f".opening-{os.getpid()}"
    if folder.exists():
        raise UserError(
            f"run {run!r} is opened in {runs} already, as {folder.name}; delete that first, or open the "
            "bundle into another folder of runs"
        )
    try:
        for room in ("snapshots", ANSWERS):
            (beside / room).mkdir(parents=True)
        for name, data in contents.items():
            (beside / name).write_bytes(data)
        recipe = read_recipe(beside / "recipe.json")
        if recipe is None or not may_be_named(recipe, run):
            raise _refused(
                bundle.name, "its recipe is none of this version, or that of another run"
            )
        about = {
            "bundle": bundle.name,
            "engine": manifest.get("engine"),
            "version": manifest["version"],
        }
        (beside / OPENED).write_text(json.dumps(about))
        beside.rename(folder)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written: {error.strerror}; make room, or give --runs DIR"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return RunFolder.open(runs, folder.name)
