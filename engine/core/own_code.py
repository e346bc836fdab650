"""A function in the user's own Python file, `path/to/file.py:factory`; imports no torch.

The file is executed: it is the user's own program. Only the command line and Python may name one, never
a page's form or an upload.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.core.errors import UserError


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
    spec = importlib.util.spec_from_file_location(f"own_{what}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(
            f"{what} file {file} cannot be executed: {type(error).__name__}: {error}; mend it, and "
            f"try it alone with `python {file.name}`"
        ) from error
    found = getattr(module, factory, None)
    if not callable(found):
        raise UserError(
            f"{what} file {file} has no function {factory!r}; name one behind the colon"
        )
    factory_found: Callable[..., Any] = found
    return factory_found
