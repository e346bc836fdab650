"""A torch pickle looked through before it is read: what it names, and whether it can be read in bounded time.

torch's own reader (`weights_only=True`) refuses a file for a single object that it does not know, and
training scripts leave many beside the weights: arrays, paths, dates, settings of their own. Nothing of
them is needed, so each name stands for an inert object here: it takes what the file gives it and does
nothing. No class or function that a file names is ever looked up.
"""

import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

from engine.core.errors import UserError

MOST_BYTES = 64 * 2**20  # of the pickle alone; tensors lie beside it
MOST_OPERATIONS = 20_000_000
MOST_IN_A_TUPLE = 10_000  # tuples in tuples, counted as often as they stand there
MOST_HASHED = (
    50_000_000  # of those, in all that is put somewhere: a key's hash visits each, every time
)
# Names that do something: beside weights they have no business.
_ACTS = (
    "os", "posix", "nt", "sys", "subprocess", "shutil", "runpy", "importlib", "socket", "ctypes",
    "webbrowser", "pty", "code", "builtins", "__builtin__", "operator", "functools", "pickle",
    "_pickle", "marshal", "types", "inspect", "asyncio", "multiprocessing", "torch.hub",
    "torch.storage", "torch.jit", "codeop", "timeit", "pdb", "bdb", "cProfile", "trace",
)  # fmt: skip
_MERELY_DATA = {  # of those modules: what holds and does nothing
    f"{module}.{name}"
    for module in ("builtins", "__builtin__")
    for name in (
        "set", "frozenset", "complex", "bytearray", "range", "xrange", "slice", "object", "list",
        "dict", "tuple", "int", "float", "str", "bool", "bytes", "long", "unicode",
    )
}  # fmt: skip
_MERELY_DATA |= {"types.SimpleNamespace", "functools.partial", "operator.itemgetter"}
_MERELY_DATA |= {"torch.storage.UntypedStorage", "torch.storage.TypedStorage"}


class Inert:
    """Stands for whatever a file names: takes everything, does nothing."""

    named = ""  # what it stands for

    def __new__(cls, *_args: Any, **_named: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *_args: Any, **_named: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


class _InertDict:
    """For what a file puts items into: torch's reader fills plain dictionaries only."""

    def __new__(cls, *_args: Any) -> Any:
        return OrderedDict()


class _InertList:
    def __new__(cls, *args: Any) -> Any:
        return list(args[0]) if args and isinstance(args[0], (list, tuple)) else []


@cache
def _inert(name: str, kind: type) -> Any:
    """A class of its own for each name, so that a file's objects can be told apart."""
    return type("Inert", (kind,), {"named": name})


def stand_ins(path: Path, known: Container[str]) -> list[tuple[Any, str]]:
    """(an inert class, full name) for each name in the file's pickles that is not `known`.

    What acts gets none, so that the reader refuses it. UserError where reading would take unbounded work.
    """
    scans = [_scanned(stream, path) for stream in _pickles(path)]
    kinds: dict[str, type] = {}
    for scan in scans:
        kinds |= dict.fromkeys(scan.names - kinds.keys(), Inert)
        kinds |= dict.fromkeys(scan.dicts, _InertDict) | dict.fromkeys(scan.lists, _InertList)
    return [
        (_inert(name, kind), name)
        for name, kind in sorted(kinds.items())
        if name not in known and not _acts(name)
    ]


def _acts(name: str) -> bool:
    module = name.rpartition(".")[0]
    first = module.partition(".")[0]
    return (first in _ACTS or module in _ACTS) and name not in _MERELY_DATA


def _pickles(path: Path) -> Iterator[IO[bytes]]:
    """The pickles of the file: one in a zip archive, several one after another in the older form."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.filename.endswith("data.pkl"):
                    continue
                if entry.file_size > MOST_BYTES:
                    raise UserError(
                        f"weights file {path} cannot be read: its list of objects takes "
                        f"{entry.file_size:,} bytes; save it with torch.save(model.state_dict(), FILE)"
                    )
                with archive.open(entry) as stream:
                    yield stream
        return
    with path.open("rb") as stream:
        for _ in range(4):  # magic number, protocol, system, objects
            if not stream.peek(1):
                return
            yield stream


@dataclass(slots=True)
class _Scan:
    """What a pickle names, and a stack that knows how many tuples are in a thing and what it is made of."""

    names: set[str] = field(default_factory=set)  # every global
    dicts: set[str] = field(default_factory=set)  # those whose objects get items
    lists: set[str] = field(default_factory=set)
    stack: list[Any] = field(default_factory=list)  # tuples, name of a global, None for a mark
    memo: dict[int, Any] = field(default_factory=dict)
    hashed: int = 0

    def step(self, code: Any, argument: Any) -> None:
        """What one operation does."""
        stack, kind = self.stack, code.name
        if kind in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            place = len(self.memo) if kind == "MEMOIZE" else argument
            self.memo[place] = stack[-1] if stack else 0
            return
        if kind in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo.get(argument, 0))
            return
        taken = _taken(code, stack)
        first = taken[0] if taken else 0
        if kind == "GLOBAL":
            name = _full_name(str(argument))
            self.names.add(name)
            stack.append(name)
        elif kind in ("SETITEM", "SETITEMS", "APPEND", "APPENDS"):
            self.hashed += sum(t for t in taken if isinstance(t, int))
            if isinstance(first, str):
                (self.dicts if kind.startswith("SET") else self.lists).add(first)
            stack.append(first)
        elif kind in ("REDUCE", "NEWOBJ", "BUILD"):
            stack.append(first)  # what is made of a global goes by its name
        elif kind == "DUP":
            stack += [first, first]
        elif "TUPLE" in kind:
            stack.append(1 + sum(t for t in taken if isinstance(t, int)))
        else:
            marks = (None if one is pickletools.markobject else 0 for one in code.stack_after)
            stack.extend(marks)


def _scanned(stream: IO[bytes], path: Path) -> _Scan:
    """The next pickle, looked through; UserError where it nests tuples without end."""
    scan = _Scan()
    for count, (code, argument, _) in enumerate(pickletools.genops(stream)):
        scan.step(code, argument)
        top = scan.stack[-1] if scan.stack else 0
        nested = isinstance(top, int) and top > MOST_IN_A_TUPLE
        if nested or count > MOST_OPERATIONS or scan.hashed > MOST_HASHED:
            raise UserError(
                f"weights file {path} cannot be read: it nests tuples so deeply that reading it would not "
                "end; save it with torch.save(model.state_dict(), FILE)"
            )
    return scan


def _full_name(argument: str) -> str:
    """As Python 3 calls what a file of protocol 2 names as Python 2 did: torch's reader does the same."""
    module, _, name = argument.partition(" ")
    if (module, name) in NAME_MAPPING:
        module, name = NAME_MAPPING[module, name]
    elif module in IMPORT_MAPPING:
        module = IMPORT_MAPPING[module]
    return f"{module}.{name}"


def _taken(code: Any, stack: list[Any]) -> list[Any]:
    """What the operation takes off the stack, the lowest first."""
    below = len(code.stack_before)
    taken: list[Any] = []
    if pickletools.markobject in code.stack_before:
        while stack and stack[-1] is not None:
            taken.append(stack.pop())
        if stack:
            stack.pop()
        below = code.stack_before.index(pickletools.markobject)
    taken += [stack.pop() for _ in range(min(below, len(stack)))]
    return taken[::-1]
