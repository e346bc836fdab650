"""What a stranger's files of a run may hold: events of their kinds, arrays of numbers, whole images."""

import io
import json
import types
import typing
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from engine.core.errors import UserError
from engine.core.events import KINDS
from engine.run.folders.names import is_result

Refuse = Callable[[str], UserError]
MOST_LINE = 4 * 2**20  # bytes of one event
MOST_DEPTH = 12  # of objects and lists in one another
MOST_ARRAYS, MOST_VALUES = 64, 2**24  # of one npz
MOST_PIXELS = 2**26
_NUMBERS_AND_NAMES = "fiubU"  # numpy's letters; names are the paths of layers
_FORMATS = {"webp": "WEBP", "png": "PNG"}
_BROKEN = (OSError, ValueError, SyntaxError, MemoryError, EOFError, KeyError, TypeError,
           NotImplementedError, RuntimeError, zipfile.BadZipFile, Image.DecompressionBombError)  # fmt: skip


def check_contents(contents: Mapping[str, bytes], refuse: Refuse) -> None:
    """Raise what `refuse` makes of the first thing that is not as a run writes it."""
    for name, data in contents.items():
        kind = name.rpartition(".")[2]
        if kind == "jsonl":
            _check_events(data, {*contents}, refuse)
        elif kind == "json":
            _object(data, name, refuse)
        elif kind == "npz":
            _check_arrays(data, name, refuse)
        else:
            check_image(data, name, _FORMATS[kind], refuse)
    if not is_result(_object(contents["result.json"], "result.json", refuse)):
        raise refuse("its result.json is not a run's result")


def _object(data: bytes, name: str, refuse: Refuse) -> dict[str, Any]:
    """The JSON object; refused where it is none, or is nested too deep."""
    try:
        found = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise refuse(f"{name} holds no JSON that can be read") from None
    if not isinstance(found, dict):
        raise refuse(f"{name} holds no JSON object")
    if _depth(found) > MOST_DEPTH:
        raise refuse(f"{name} is nested deeper than a run's files are")
    return found


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level and depth <= MOST_DEPTH:
        depth += 1
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [v for several in inner for v in several if isinstance(v, (dict, list))]
    return depth


def _check_events(data: bytes, names: set[str], refuse: Refuse) -> None:
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        if len(line) > MOST_LINE:
            raise refuse(f"line {number} of its events is longer than any event")
        event = _object(line, "events.jsonl", refuse)
        kind = event.pop("kind", None)
        if not isinstance(kind, str) or kind not in KINDS:  # of another version, and not read
            continue
        kinds = _kinds(kind)
        for name, value in event.items():
            if name not in kinds or not _is_of(value, kinds[name]):
                raise refuse(f"line {number} of its events has no sound {name[:30]!r}")
        file = event.get("file")
        if file is not None and f"snapshots/{file}" not in names:
            raise refuse(f"line {number} of its events names a file that is not in it")


@cache
def _kinds(kind: str) -> dict[str, Any]:
    cls = KINDS[kind]
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value read from JSON is of a field's type, in its parts too."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if origin in (types.UnionType, typing.Union):
        return any(_is_of(value, one) for one in inside)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is list:
        return isinstance(value, list) and all(_is_of(one, inside[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(_is_of(one, inside[1]) for one in value.values())
    return isinstance(value, kind)


def _check_arrays(data: bytes, name: str, refuse: Refuse) -> None:
    """Plain numbers alone, and no more of them than the file says."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_ARRAYS or sum(i.file_size for i in infos) > 8 * MOST_VALUES:
                raise refuse(f"{name} holds too much")
            if any(
                i.file_size > 2**20 and i.file_size > 1000 * max(1, i.compress_size) for i in infos
            ):
                raise refuse(f"{name} unpacks to far more than it holds")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            for key in arrays.files:
                array = arrays[key]  # bytes, where the entry is no array
                if not isinstance(array, np.ndarray) or array.dtype.kind not in _NUMBERS_AND_NAMES:
                    raise refuse(f"{name} holds what is neither number nor name")
    except UserError:
        raise
    except _BROKEN:
        raise refuse(f"{name} holds no arrays that can be read") from None


def check_image(data: bytes, name: str, form: str, refuse: Refuse) -> None:
    """An image of its own kind, of a bounded size, whole."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=(form,)) as image:
                if image.width * image.height > MOST_PIXELS or getattr(image, "n_frames", 1) > 1:
                    raise refuse(f"{name} is larger than a run's pictures")
                image.load()
    except UserError:
        raise
    except (*_BROKEN, Image.DecompressionBombWarning):
        raise refuse(f"{name} holds no image that can be read") from None
