"""Checkpoints: the tensors of a .safetensors or .pth file, and what had to be undone to get at them.

A checkpoint is hostile until proven otherwise: what it is is told by its first bytes, not by its name;
nothing in it is ever executed; and nothing larger than the file itself is ever allocated for it.
"""

import argparse
import re
import warnings
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, _weights_only_unpickler

from engine.core.errors import UserError
from engine.core.outside.files import check_regular
from engine.models.checkpoints.pickles import Inert, stand_ins

MAX_CHECKPOINT_BYTES = 4 * 2**30
MAX_HEADER_BYTES = 100 * 2**20  # what the safetensors format allows
MOST_UNPACKED = 4  # times its own size; torch stores tensors unpacked, so honest files stay near 1
# Where training scripts put the weights, the plain ones before the averaged ones.
WRAPPINGS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params",
    "module", "ema", "model_ema", "ema_state_dict", "state_dict_ema",
)  # fmt: skip
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
_COUNTERS = ("n_averaged",)  # of torch.optim.swa_utils
MOST_WRAPPINGS = 5  # dictionaries in dictionaries
_WAY_OUT = "save it with torch.save(model.state_dict(), FILE)"
# Objects without code that training scripts leave beside the weights.
_numpy_scalar: Any = np.float64(0).__reduce__()[0]
_HARMLESS: list[Any] = [
    argparse.Namespace, np.dtype, *{type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "?")},
    _numpy_scalar, (_numpy_scalar, "numpy.core.multiarray.scalar"),
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Tensors by name, and how they were found."""

    path: Path
    form: str  # what kind of file it is
    tensors: dict[str, Tensor]
    undone: tuple[str, ...] = ()  # wrappings taken off, in words

    @property
    def parameters(self) -> int:
        """Values in floating-point tensors, the statistics of BatchNorm included."""
        return sum(t.numel() for t in self.tensors.values() if t.is_floating_point())

    @property
    def dtypes(self) -> dict[str, int]:
        """How many tensors there are of each type, for example {"float16": 97}."""
        return dict(Counter(str(t.dtype).removeprefix("torch.") for t in self.tensors.values()))


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file; UserError, in one line, for whatever is none."""
    if not path.exists():
        raise UserError(f"weights file {path} is not there; give another with --weights FILE")
    size = check_regular(path, "weights file", MAX_CHECKPOINT_BYTES).st_size
    form = _form(path, size)
    try:
        state = load_file(path) if form == "safetensors" else _load(path)
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(
            f"weights file {path} cannot be read: it asks for more memory than there is; {_WAY_OUT}"
        ) from error
    except Exception as error:  # whatever a torn or hostile file makes the readers raise
        raise UserError(f"weights file {path} cannot be read: {_reason(error)}") from error
    return _unwrap(state, path, form)


def _form(path: Path, size: int) -> str:
    """What the file's first bytes say it is; UserError where that is nothing with tensors in it."""
    with path.open("rb") as file:
        head = file.read(512)
    if head[8:9] == b"{":
        _check_header(path, int.from_bytes(head[:8], "little"), size)
        return "safetensors"
    if head[:2] == b"PK":
        _check_archive(path, size)
        return "torch zip"
    if head[257:262] == b"ustar":
        _refuse(path, "it is a tar archive, torch's format before 2017", _WAY_OUT)
    if head[:1] == b"\x80":
        return "torch before 1.6"
    known = {
        b"": "it is empty", b"version https://git-lfs": "it is a Git LFS pointer, not the file itself",
        b"\x89HDF": "it is an HDF5 file (Keras)", b"\x1f\x8b": "it is packed with gzip",
        b"\x93NUMPY": "it is a NumPy array", b"\x08": "it is an ONNX network, or another protocol buffer",
        b"%PDF": "it is a PDF", b"\x89PNG": "it is a picture", b"\xff\xd8\xff": "it is a picture",
        b"GGUF": "it is a GGUF file of a language model", b"<": "it is a web page, not the file itself",
    }  # fmt: skip
    what = next((text for magic, text in known.items() if magic and head.startswith(magic)), "")
    if not head:
        what = known[b""]
    what = what or "it is no safetensors or PyTorch file"  # how it begins is nobody's business
    return _refuse(path, what, "give a .safetensors file or a .pth with a state_dict")


def _refuse(path: Path, what: str, way_out: str) -> str:
    raise UserError(f"weights file {path} cannot be read: {what}; {way_out}")


def _check_header(path: Path, header: int, size: int) -> None:
    if header > MAX_HEADER_BYTES or 8 + header > size:
        _refuse(
            path, f"its safetensors header claims {header:,} bytes, the file has {size:,}",
            "copy or download it anew",
        )  # fmt: skip


def _check_archive(path: Path, size: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        _refuse(path, "it is a torn PyTorch file (its end is missing)", "copy or download it anew")
    names = [entry.filename for entry in entries]
    if any(name.endswith("constants.pkl") for name in names):
        _refuse(
            path, "it is a TorchScript archive, which holds code",
            "save torch.jit.load(FILE).state_dict() instead",
        )  # fmt: skip
    inside = [name for name in names if name.endswith((".pth", ".pt", ".ckpt", ".safetensors"))]
    if inside and not any(name.endswith("data.pkl") for name in names):
        _refuse(
            path, f"it is a zip archive that holds {inside[0]}", "unpack it, and give that file"
        )
    if not any(name.endswith("data.pkl") for name in names):
        _refuse(path, f"it is a zip archive of {len(names)} files, none of torch's", _WAY_OUT)
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MOST_UNPACKED * size + 2**20:
        _refuse(path, f"its {size:,} bytes unpack to {unpacked:,}", _WAY_OUT)


def _load(path: Path) -> Any:
    """What torch's reader makes of the file, with inert objects for all that is no tensor."""
    read = {
        *_weights_only_unpickler._get_allowed_globals(),
        *(one[1] if isinstance(one, tuple) else f"{one.__module__}.{one.__qualname__}" for one in _HARMLESS),
    }  # fmt: skip
    harmless = [*_HARMLESS, *stand_ins(path, read)]
    with torch.serialization.safe_globals(harmless), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pickles by other writers: they are judged below
        return torch.load(path, map_location="cpu", weights_only=True)


def _reason(error: Exception) -> str:
    """The reader's complaint in one line, in the user's words where it is one of the known ones."""
    text = " ".join((str(error) or type(error).__name__).split())
    code = re.search(r"GLOBAL ([\w.]+)", text)
    if code:
        return f"it holds code ({code[1]}), which is never executed; {_WAY_OUT}"
    if "WeightsUnpickler error" in text:
        return f"it is a Python pickle, but none that torch wrote; {_WAY_OUT}"
    if "legacy .tar" in text:
        return f"it is a tar archive, torch's format before 2017; {_WAY_OUT}"
    damaged = (
        "exhausted",
        "Incomplete",
        "storage has wrong",
        "Ran out",
        "EOF",
        "failed finding",
        "pickle data",
    )
    if any(word.lower() in text.lower() for word in damaged):
        return "it is torn (a part is missing); copy or download it anew"
    return f"{text.strip()[:120]}; {_WAY_OUT}"


def _unwrap(state: Any, path: Path, form: str) -> Checkpoint:
    state, undone = _taken_out(state)
    if isinstance(state, Inert):
        raise UserError(
            f"weights file {path} cannot be read: it holds code ({state.named}), which is never executed; "
            f"{_WAY_OUT}"
        )
    tensors = state if isinstance(state, dict) else {}
    _refuse_several(tensors, path)
    others = [k for k, v in tensors.items() if not isinstance(v, Tensor) or k in _COUNTERS]
    tensors = {str(k): v for k, v in tensors.items() if k not in others}
    if not tensors:
        raise UserError(f"weights file {path} holds no dictionary of tensors; {_WAY_OUT}")
    if others:
        undone.append(f"left aside: {', '.join(map(str, others[:4]))}")
    for prefix in PREFIXES * 2:  # both may stand there, in either order
        if any(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
            undone.append(f"prefix {prefix!r} taken off")
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise UserError(
                f"weights file {path} holds {name!r}, which is no plain tensor; {_WAY_OUT}"
            )
    return Checkpoint(path=path, form=form, tensors=tensors, undone=tuple(undone))


def _taken_out(state: Any) -> tuple[Any, list[str]]:
    """The dictionary that holds the weights, and what was left aside on the way to it, in words."""
    undone: list[str] = []
    for _ in range(MOST_WRAPPINGS):
        if isinstance(state, (list, tuple)) and any(isinstance(part, dict) for part in state):
            state = {f"item {number}": part for number, part in enumerate(state)}  # (state, epoch)
        key = _wrapping(state)
        if key is None:
            break
        beside = [str(k) for k in state if k != key]
        left = f" ({', '.join(beside[:4])} left aside)" if beside else ""
        undone.append(f"taken from {key!r}{left}")
        state = state[key]
    return state, undone


def _refuse_several(state: dict[Any, Any], path: Path) -> None:
    several = [str(key)[:60] for key in _holders(state)]
    if len(several) > 1 and not any(isinstance(value, Tensor) for value in state.values()):
        raise UserError(
            f"weights file {path} holds several networks ({', '.join(map(repr, several[:4]))}); save the one "
            f"you mean: torch.save(torch.load(FILE, weights_only=True)[{several[0]!r}], NEW)"
        )


def _wrapping(state: Any) -> str | None:
    """The key under which the weights lie deeper; None where they lie here, or nowhere."""
    if not isinstance(state, dict):
        return None
    for key in WRAPPINGS:
        if isinstance(state.get(key), dict):
            return key
    if any(isinstance(value, Tensor) for value in state.values()):
        return None
    holders = _holders(state)
    return holders[0] if len(holders) == 1 and isinstance(holders[0], str) else None


def _holders(state: dict[Any, Any]) -> list[Any]:
    """The keys under which tensors lie by name, however deep."""
    return [key for key, value in state.items() if _holds_tensors(value, MOST_WRAPPINGS, set())]


def _holds_tensors(value: Any, depth: int, seen: set[int]) -> bool:
    if not isinstance(value, dict) or id(value) in seen or not depth:
        return False
    seen.add(id(value))  # a hostile file's dictionaries hold one another
    return any(isinstance(v, Tensor) or _holds_tensors(v, depth - 1, seen) for v in value.values())
