"""One file that holds every layer's codes, each in its smallest form, with its grid; and its reader.

The file: a word, the length of an index (JSON: path, form, shape, sizes), the index, then each layer's
grid and codes. What a file takes is what the disk says it takes.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.export.network import WeightGrid
from engine.export.packing import pack, unpack
from engine.export.storage.forms import FORMS, Written, read, write
from engine.export.storage.symbols import codes, symbols

_WORD = b"QCODES1\n"
_SIDES = {"scale": np.float32, "zero_point": np.uint8, "levels": np.float32}


def smallest(grid: WeightGrid) -> tuple[Written, dict[str, int]]:
    """(the form with the fewest bytes, the bytes of every form); where equal, the plainest form.

    Dense packing keeps the grid's own bits, those that it has without any of this.
    """
    matrix = symbols(grid)
    written = [_dense(grid), *(write(form, matrix) for form in FORMS)]
    return min(written, key=lambda one: len(one.data)), {w.form: len(w.data) for w in written}


def _dense(grid: WeightGrid) -> Written:
    """Codes as they are, without gaps; nothing has to be told but what the index says already."""
    data = pack(grid.codes, grid.bits).tobytes()
    return Written("packed", data, grid.codes.size * grid.bits, grid.codes.size)


def grid_bytes(grid: WeightGrid) -> bytes:
    """Scales and zero points, or levels, as the file holds them."""
    return b"".join(side.tobytes() for side in _sides(grid).values())


def _sides(grid: WeightGrid) -> dict[str, NDArray[Any]]:
    """What stands beside the codes; levels that all channels share are held once."""
    found = {name: getattr(grid, name) for name in _SIDES}
    sides = {name: np.ascontiguousarray(side) for name, side in found.items() if side is not None}
    levels = sides.get("levels")
    if levels is not None and bool((levels == levels[:1]).all()):
        sides["levels"] = levels[:1].copy()
    return sides


def write_file(path: Path, layers: Mapping[str, tuple[WeightGrid, Written]]) -> None:
    """Write every layer in the form that was chosen for it."""
    index, parts = [], []
    for name, (grid, written) in layers.items():
        sides = {name: list(side.shape) for name, side in _sides(grid).items()}
        index.append(
            {
                "path": name, "form": written.form, "bits": grid.bits,
                "shape": list(grid.codes.shape), "grid": sides, "bytes": len(written.data),
            }
        )  # fmt: skip
        parts += [grid_bytes(grid), written.data]
    head = json.dumps(index, separators=(",", ":")).encode()
    path.write_bytes(b"".join([_WORD, struct.pack("<I", len(head)), head, *parts]))


def read_file(path: Path) -> dict[str, WeightGrid]:
    """Every layer's grid and codes, bit for bit; ValueError for a file that is none, or ends too early."""
    data = path.read_bytes()
    if not data.startswith(_WORD):
        raise ValueError(f"{path.name} holds no codes")
    at = len(_WORD) + 4
    (length,) = struct.unpack("<I", data[len(_WORD) : at])
    index, at = json.loads(data[at : at + length]), at + length
    found = {}
    for entry in index:
        sides: dict[str, NDArray[Any]] = {}
        for side, shape in entry["grid"].items():
            count = int(np.prod(shape))
            sides[side] = np.frombuffer(data, _SIDES[side], count, at).reshape(shape)
            at += sides[side].nbytes
        if "levels" in sides:
            levels = sides["levels"]
            sides["levels"] = np.broadcast_to(levels, (entry["shape"][0], levels.shape[1]))
        part = data[at : at + entry["bytes"]]
        at += entry["bytes"]
        found[entry["path"]] = _layer(entry, part, sides)
    return found


def _layer(entry: dict[str, Any], part: bytes, sides: dict[str, NDArray[Any]]) -> WeightGrid:
    shape, bits = entry["shape"], entry["bits"]
    matrix = (shape[0], int(np.prod(shape[1:])))
    if entry["form"] == "packed":
        count = matrix[0] * matrix[1]
        if 8 * len(part) < count * bits:
            raise ValueError("the bytes of a layer end too early")
        flat = unpack(np.frombuffer(part, np.uint8), bits, count)
        return WeightGrid(bits=bits, codes=flat.reshape(shape), **sides)
    empty = WeightGrid(bits=bits, codes=np.zeros(shape, np.uint8), **sides)
    held = codes(read(entry["form"], part, matrix), empty)
    return WeightGrid(bits=bits, codes=held, **sides)
