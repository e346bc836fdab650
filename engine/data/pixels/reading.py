"""The pixels of many images at once, from files or from an array, in the network's shape."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from engine.core.device import cores
from engine.core.errors import UserError
from engine.data.image_folders import printable
from engine.data.labelling.label_tables import Entry
from engine.data.pixels.decode import check, decode, to_pixels
from engine.data.pixels.pixel_range import Shades

T = TypeVar("T")
R = TypeVar("R")
_AT_ONCE = 8  # files that a thread takes; to hand over each alone costs more than a small one
_BROKEN = (OSError, ValueError, SyntaxError, MemoryError)  # what Pillow raises for a bad file


def read_arrays(
    pixels: NDArray[np.uint8],
    shape: tuple[int, int, int],
    resize: int,
    interpolation: str,
    start: int,
    stop: int,
) -> NDArray[np.uint8]:
    """Some of an array's images in the network's shape."""
    chosen = pixels[start:stop]
    if chosen.shape[1:] == shape:
        return chosen.copy()  # the file's own memory is read-only, which torch dislikes
    images = [
        to_pixels(Image.fromarray(_for_pillow(one)), shape, resize, interpolation) for one in chosen
    ]
    return np.stack(images) if images else np.zeros((0, *shape), np.uint8)


def _for_pillow(one: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return one[0] if len(one) == 1 else np.ascontiguousarray(np.moveaxis(one, 0, -1))


def look_at(shape: tuple[int, int, int], resize: int, path: Path) -> str | Shades:
    """The shades of a picture; why a file cannot be read, where it cannot."""
    try:
        return check(path, shape, resize)
    except UnidentifiedImageError:
        return "no image that can be read"
    except _BROKEN as error:
        return str(error) if path.is_file() else "no such file"


def read_files(
    entries: list[Entry],
    shape: tuple[int, int, int],
    resize: int,
    interpolation: str,
    divisor: int,
    start: int,
    stop: int,
) -> NDArray[np.uint8]:
    """Some of these files' images; UserError where one has gone since it was looked at."""

    def read(entry: Entry) -> NDArray[np.uint8]:
        try:
            return decode(entry.path, shape, resize, interpolation, divisor)
        except _BROKEN as error:
            raise UserError(
                f"{printable(entry.path)} can no longer be read: {error}; start again"
            ) from error

    if start == stop:
        return np.zeros((0, *shape), np.uint8)
    return np.stack(in_threads(read, entries[start:stop]))


def in_threads(work: Callable[[T], R], items: list[T]) -> list[R]:
    """Pillow decodes and resizes outside of Python's lock, so that threads help."""
    parts = [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]
    with ThreadPoolExecutor(min(4, cores())) as pool:
        return [done for part in pool.map(lambda part: [*map(work, part)], parts) for done in part]
