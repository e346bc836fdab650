"""A function in the user's own Python file, `path/to/file.py:factory`; imports no torch.

The file is executed: it is the user's own program. Only the command line and Python may name one, never
a page's form or an upload. It runs as in its own folder, as if it had been started there: neighbours are
imported, relative paths lead from there, and what it prints goes to standard error, because scripts read
our standard output.
"""

import ast
import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from engine.core.errors import UserError
from engine.core.outside.slow_code import said_when_slow
from engine.core.outside.torchvision_guard import guard_torchvision

T = TypeVar("T")
_folders: set[Path] = set()  # that users' files have brought into this process
_MOST_BYTES = 2**20  # of a file whose functions are listed


def is_own(name: str) -> bool:
    """Whether a text is FILE.py:FACTORY."""
    file, colon, factory = name.rpartition(":")
    return bool(colon and factory) and file.endswith(".py")


def file_and_factory(name: str) -> tuple[Path, str]:
    """The two parts of FILE.py:FACTORY."""
    file, _, factory = name.rpartition(":")
    return Path(file).expanduser(), factory


def load_factory(name: str, what: str) -> Callable[[], Any]:
    """Executes the file and returns its function; `what` says in an error what kind of file it is."""
    file, factory = file_and_factory(name)
    if not file.is_file():
        raise UserError(f"{what} file {file} is not there; give the path of one that exists")
    file = file.resolve()
    # dataclasses and pickle look for a class's module by its name
    module_name = f"own_{what}_{file.stem}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _forget_neighbours(file.parent)
    sys.modules[module_name] = module
    loader = spec.loader
    guarded(
        lambda: loader.exec_module(module), name,
        step=f"{what} file {file}, which is executed,", trouble=f"{what} file {file} cannot be executed",
    )  # fmt: skip
    found = getattr(module, factory, None)
    if not callable(found):
        raise UserError(f"{what} file {file} has no function {factory!r}; {choice_of(file)}")
    factory_found: Callable[..., Any] = found
    return factory_found


def guarded(call: Callable[[], T], name: str, step: str, trouble: str) -> T:
    """What the user's code gives when it runs as in its own folder; UserError for whatever breaks in it."""
    try:
        with in_its_folder(name), said_when_slow(step, "mend what waits or loops there"):
            return call()
    except UserError:
        raise
    except SystemExit as error:
        raise UserError(
            f"{trouble}: it ends the program (sys.exit({error.code!r})); put what is for the command line "
            'below `if __name__ == "__main__":`'
        ) from error
    except Exception as error:
        file = file_and_factory(name)[0].name
        raise UserError(
            f"{trouble}: {in_words(error)}; mend it, and try it alone with `python {file}`"
        ) from error


def in_words(error: BaseException) -> str:
    """An error of the user's code in one line: its kind, and how its message begins."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


@contextlib.contextmanager
def in_its_folder(name: str) -> Iterator[None]:
    """Inside, the folder, arguments and output of the process are as if FILE.py had been started."""
    file = file_and_factory(name)[0].resolve()
    folder, before, arguments = str(file.parent), Path.cwd(), sys.argv
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)  # it stays: a network may import when it first runs
    guard_torchvision()
    try:
        os.chdir(folder)
        sys.argv = [str(file)]
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.argv = arguments
        os.chdir(before)


def _forget_neighbours(folder: Path) -> None:
    """Another file's neighbours may be called like this one's: they are not taken for them."""
    others = _folders - {folder}
    _folders.add(folder)
    here = _importable(folder) - {__name__.partition(".")[0]}
    for module_name, module in list(sys.modules.items()):
        first = module_name.partition(".")[0]
        if first not in here:  # first, as it is cheap: there are thousands of modules
            continue
        file = Path(getattr(module, "__file__", None) or ".")
        if any(
            file == other / f"{first}.py" or file.is_relative_to(other / first) for other in others
        ):
            del sys.modules[module_name]


def _importable(folder: Path) -> set[str]:
    """The names that a folder's files and folders can be imported by; none of one that cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return {
                entry.name.removesuffix(".py")
                for entry in entries
                if entry.name.endswith(".py") or entry.is_dir()
            }
    except OSError:
        return set()


# --- what a file offers, read and not executed -----------------------------------------------------


def check_named(name: str, what: str = "model") -> None:
    """UserError that lists a file's factories where FILE.py stands alone, without `:FACTORY`."""
    file = name.removesuffix(":")
    if not file.endswith(".py"):
        return
    path = Path(file).expanduser()
    if not path.is_file():
        raise UserError(f"{what} file {path} is not there; give the path of one that exists")
    raise UserError(f"{what} {name!r} names a file and no function in it; {choice_of(path)}")


def choice_of(file: Path) -> str:
    """The words behind an error: which functions there are to name."""
    found = factories(file)
    if not found:
        return f"write a function in it that returns the network, and give {file.name}:FUNCTION"
    return f"give {file.name}:FACTORY with one of its functions: {', '.join(found[:12])}"


def factories(file: Path) -> list[str]:
    """Public functions and classes of the file that may be called without arguments, as they stand in it."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            return []
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [
        node.name
        for node in body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and _needs_nothing(node)
    ]


def _needs_nothing(node: ast.FunctionDef | ast.ClassDef) -> bool:
    if isinstance(node, ast.ClassDef):
        own = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        is_network = any("Module" in ast.unparse(base) for base in node.bases)
        return is_network and (not own or _required(own[0]) <= 1)  # self
    return _required(node) == 0


def _required(node: ast.FunctionDef) -> int:
    given = node.args
    keyword_only = sum(default is None for default in given.kw_defaults)
    return len(given.posonlyargs) + len(given.args) - len(given.defaults) + keyword_only
