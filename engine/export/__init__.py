"""Taking a run elsewhere, each format in a file of its own. `ls engine/export/formats` lists them."""

import ast
from importlib import import_module
from pathlib import Path

from engine.export.base import Format

_FOLDER = Path(__file__).parent / "formats"


def discover_formats() -> dict[str, type[Format]]:
    """Every format by its name, which is its file's with hyphens."""
    from engine.core.method import discover  # torch, which a list of options does not need
    from engine.export import formats

    found = discover(formats, Format)  # type: ignore[type-abstract]
    files = set(format_lines())
    if set(found) != files:
        raise TypeError(f"formats are named as their files: {sorted(set(found) ^ files)} are not")
    return found


def format_lines() -> dict[str, str]:
    """What each format gives, by its name: the first line of its file. Nothing is imported for it."""
    lines = {}
    for file in sorted(_FOLDER.glob("[!_]*.py")):
        said = ast.get_docstring(ast.parse(file.read_text())) or file.stem
        lines[file.stem.replace("_", "-")] = said.splitlines()[0]
    return lines


def light_formats() -> dict[str, type[Format]]:
    """The same for a page, which shows them without torch: no format's file imports it before it writes."""
    found = {}
    for name in format_lines():
        module = import_module(f"engine.export.formats.{name.replace('-', '_')}")
        kinds = (one for one in vars(module).values() if isinstance(one, type))
        found[name] = next(one for one in kinds if issubclass(one, Format) and one is not Format)
    return found


def needs_network() -> frozenset[str]:
    """The formats that are written of the network itself, which an opened or recorded run has not kept."""
    return frozenset(
        name
        for name in format_lines()
        if not _says_no(ast.parse((_FOLDER / f"{name.replace('-', '_')}.py").read_text()))
    )


def _says_no(file: ast.Module) -> bool:
    """Whether the format's card says that it needs no network; read, since importing it may load torch."""
    return any(
        isinstance(node, ast.keyword)
        and node.arg == "needs_network"
        and isinstance(node.value, ast.Constant)
        and node.value.value is False
        for node in ast.walk(file)
    )
