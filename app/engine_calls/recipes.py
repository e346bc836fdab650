"""Recipes that a page asks for: where a typed path leads is looked at before the engine opens it."""

import os
import stat
from pathlib import Path
from typing import Any

import streamlit as st

from app.access.sharing import sharing
from app.run_files.run_folders import ROOT
from engine.core.errors import UserError
from engine.core.outside.files import check_regular, typed_path, walk
from engine.run.recipes.recipe import Recipe, make_recipe

SETTINGS_THAT_ARE_PATHS = {"synthesis_settings": ("folder",), "model_settings": ("calibration",)}


def recipe_of(catalog: dict[str, Any], **wanted: Any) -> Recipe:
    """The recipe; UserError where make_recipe has one, or a path leads where this app does not follow."""
    return make_recipe(catalog, **_followed(wanted))


def paths_in(wanted: dict[str, Any]) -> dict[str, str]:
    """The paths that a recipe would open, by what they are; without those that are empty."""
    found = {name: str(wanted.get(name) or "") for name in ("weights", "data")}
    for kind, names in SETTINGS_THAT_ARE_PATHS.items():
        settings = wanted.get(kind) or {}
        found |= {f"{kind}.{name}": str(settings.get(name) or "") for name in names}
    return {what: text for what, text in found.items() if text.strip()}


def followed(text: str, what: str = "path") -> Path:
    """The path that a visitor typed; where the app is shared, only into the folders opened for that.

    UserError, the same for what is elsewhere and for what is not there at all: nobody is to find out by it
    what there is.
    """
    path = typed_path(text, what)
    told = sharing()
    if not told.shared:
        return path
    real = Path(os.path.realpath(ROOT / path))
    roots = [Path(os.path.realpath(folder)) for folder in told.folders]
    if not any(_is_inside(real, root) for root in roots) or not real.exists():
        names = ", ".join(_short(folder) for folder in told.folders)
        raise UserError(
            f"{what} {text!r} is not in a folder that is open to visitors; give one of: {names}"
        )
    if real.is_dir():
        _check_folder(str(real), [str(root) for root in roots], text)
    else:
        check_regular(real, what)
    return real


def _followed(wanted: dict[str, Any]) -> dict[str, Any]:
    changed = dict(wanted)
    for what, text in paths_in(wanted).items():
        kind, dot, name = what.partition(".")
        path = str(followed(text, what.replace("_settings", "")))
        if not sharing().shared:
            continue
        if dot:
            changed[kind] = changed[kind] | {name: path}
        else:
            changed[what] = path
    return changed


@st.cache_data(ttl=60, show_spinner=False)
def _check_folder(folder: str, roots: list[str], text: str) -> None:
    """UserError where a folder holds a link that leads out, or something to wait for."""
    for entry in walk(Path(folder)):
        if entry.is_symlink():
            real = Path(os.path.realpath(entry.path))
            odd = not any(_is_inside(real, Path(root)) for root in roots)
        else:
            kind = entry.stat(follow_symlinks=False).st_mode
            odd = not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))
        if odd:
            raise UserError(
                f"{text!r} holds {entry.name!r}, which leads out of it or is no file; take it out of there"
            )


def _is_inside(path: Path, root: Path) -> bool:
    """Whether the path lies in the root, and not behind a name that hides."""
    return path.is_relative_to(root) and not any(
        part.startswith(".") for part in path.relative_to(root).parts
    )


def _short(folder: Path) -> str:
    return str(folder.relative_to(ROOT)) if folder.is_relative_to(ROOT) else str(folder)
