"""Well-known data sets as they lie on disk, torchvision's folders too: CIFAR's batches, MNIST's IDX files."""

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import UserError
from engine.data.idx import read_idx

Part = Literal["test", "train"]
_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
MOST_BATCH_BYTES = 400_000_000


@dataclass(frozen=True, slots=True)
class Arrays:
    """Images [n, channels, height, width] of bytes, and their class numbers [n]."""

    name: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def find_arrays(folder: Path, part: Part) -> Callable[[], Arrays] | None:
    """What reads the part of a known data set in this folder (or right below it); None: there is none."""
    for place in _places(folder):
        for finder in (_cifar10_binary, _cifar100_binary, _cifar_pickled, _idx):
            reader = finder(place, part)
            if reader is not None:
                return reader
    return None


def _places(folder: Path) -> list[Path]:
    below = [child for child in sorted(folder.iterdir()) if child.is_dir()]
    raw = [child / "raw" for child in (folder, *below) if (child / "raw").is_dir()]
    known = [child for child in below if child.name.startswith("cifar-")]
    return [folder, *known, *(raw if len(raw) == 1 else [])]


def _cifar10_binary(folder: Path, part: Part) -> Callable[[], Arrays] | None:
    files = (
        [folder / "test_batch.bin"] if part == "test" else sorted(folder.glob("data_batch_*.bin"))
    )
    return _binary("CIFAR-10", files, part, before=1)


def _cifar100_binary(folder: Path, part: Part) -> Callable[[], Arrays] | None:
    if not (folder / "fine_label_names.txt").is_file():
        return None
    return _binary("CIFAR-100", [folder / f"{part}.bin"], part, before=2)


def _binary(name: str, files: list[Path], part: Part, before: int) -> Callable[[], Arrays] | None:
    if not files or not all(file.is_file() for file in files):
        return None

    def read() -> Arrays:
        parts = [_records(file, before + _PIXELS) for file in files]
        records = np.concatenate(parts)
        pixels = records[:, before:].reshape(-1, 3, _SIDE, _SIDE)
        return Arrays(f"{name} {part}", pixels, records[:, before - 1].astype(np.int64))

    return read


def _records(file: Path, size: int) -> NDArray[np.uint8]:
    if not 0 < file.stat().st_size <= MOST_BATCH_BYTES or file.stat().st_size % size:
        raise UserError(
            f"{file} is no batch of CIFAR images of {size} bytes each; download it anew"
        )
    return np.fromfile(file, np.uint8).reshape(-1, size)


def _cifar_pickled(folder: Path, part: Part) -> Callable[[], Arrays] | None:
    """Torchvision's form: pickles of arrays, read by a reader that knows arrays and nothing else."""
    ten = [folder / "test_batch"] if part == "test" else sorted(folder.glob("data_batch_[0-9]"))
    hundred = [folder / part] if (folder / "meta").is_file() else []
    for name, files, key in (("CIFAR-10", ten, b"labels"), ("CIFAR-100", hundred, b"fine_labels")):
        if files and all(file.is_file() for file in files):
            return partial(_read_pickles, f"{name} {part}", files, key)
    return None


def _read_pickles(name: str, files: list[Path], key: bytes) -> Arrays:
    batches = [_unpickle(file) for file in files]
    try:
        pixels = np.concatenate([np.asarray(batch[b"data"], np.uint8) for batch in batches])
        labels = np.concatenate([np.asarray(batch[key], np.int64) for batch in batches])
        return Arrays(name, pixels.reshape(len(labels), 3, _SIDE, _SIDE), labels)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{files[0]} is no batch of CIFAR images: {error}; download it anew"
        ) from error


class _ArraysOnly(pickle.Unpickler):
    """Knows what an array of numbers is made of; whatever else a pickle names is refused, not run."""

    _known = {  # noqa: RUF012  (never changed)
        ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
        ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
    }  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._known:
            raise pickle.UnpicklingError(
                f"it holds code ({module}.{name}), which is never executed"
            )
        return super().find_class(module, name)


def _unpickle(file: Path) -> dict[bytes, Any]:
    if file.stat().st_size > MOST_BATCH_BYTES:
        raise UserError(f"{file} is too large to be a batch of CIFAR images; download it anew")
    try:
        content = _ArraysOnly(io.BytesIO(file.read_bytes()), encoding="bytes").load()
    except Exception as error:  # whatever a torn or hostile pickle makes the reader raise
        raise UserError(
            f"{file} cannot be read: {str(error)[:120]}; use CIFAR's binary version"
        ) from error
    return content if isinstance(content, dict) else {}


def _idx(folder: Path, part: Part) -> Callable[[], Arrays] | None:
    head = {"test": "t10k", "train": "train"}[part]
    images = _one(folder, f"{head}-images")
    labels = _one(folder, f"{head}-labels")
    if images is None or labels is None:
        return None

    def read() -> Arrays:
        try:
            pixels, classes = read_idx(images), read_idx(labels)
        except (ValueError, OSError, EOFError) as error:
            raise UserError(
                f"{images.parent} holds broken IDX files: {error}; download them anew"
            ) from error
        if pixels.ndim != 3 or classes.shape != pixels.shape[:1]:
            raise UserError(
                f"{labels.name} has {classes.shape} labels, {images.name} {pixels.shape} images; "
                "put files that belong together there"
            )
        return Arrays(f"{images.parent.name} {part}", pixels[:, None], classes.astype(np.int64))

    return read


def _one(folder: Path, head: str) -> Path | None:
    """The IDX file that begins so, unpacked or not."""
    found = sorted(folder.glob(f"{head}[-.]idx?-ubyte")) or sorted(
        folder.glob(f"{head}[-.]idx?-ubyte.gz")
    )
    return found[0] if found else None
