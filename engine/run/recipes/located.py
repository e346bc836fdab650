"""What a recipe names on this machine, made absolute and looked at before a worker starts. Imports no torch.

The same for the page, the command line and Python: a worker runs in another folder than the one who asks.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.outside.files import typed_path
from engine.core.outside.own_code import choice_of, file_and_factory, is_own
from engine.data.image_folders import check_folder
from engine.models.card_settings import own_knobs, unlisted_knobs
from engine.run.recipes.settings import as_text

_NO_IMAGES = {"calibration_images": False, "calibration_labels": False}


def network_named(name: str, *, own_code: bool) -> tuple[str, dict[str, Any] | None]:
    """The network's name with its file made absolute, and what a catalog would say of it.

    None in place of that where the catalog itself has to know the name. `own_code`: whether a file of the
    user's may be executed; UserError where it may not, is not there, or names no function.
    """
    if name.startswith("timm/"):
        if find_spec("timm") is None:
            raise UserError(
                f"model {as_text(name)} needs timm, which is not installed; run: pip install timm"
            )
        return name, {"file": "", "presets": {}, "settings": unlisted_knobs(), **_NO_IMAGES}
    if not is_own(name) and not name.endswith(".py"):
        return name, None
    if not own_code:  # before anything of the file is looked at
        raise UserError(
            f"model {as_text(name)} would execute a file, which only the command line and Python may; "
            "start it there, or choose a network of the menu"
        )
    if name.endswith(".py"):
        raise UserError(
            f"model {as_text(name)} names a file alone; {choice_of(_file(name, 'model'))}"
        )
    file, factory = file_and_factory(name)
    file = _file(str(file), "model")
    own = {"file": str(file), "presets": {}, "settings": own_knobs(), **_NO_IMAGES}
    return f"{file}:{factory}", own


def file_named(path: str | Path | None, what: str) -> str:
    """The file's absolute path, "" for none; what it is shows when it is read, a moment later."""
    if path is None or not str(path):
        return ""
    found = _resolved(path, what)
    if found is None:
        raise UserError(
            f"{what} {as_text(str(path))} is not a file; give the path of one that exists"
        )
    return str(found)


def images_named(path: str | Path | None, runs: Path | None) -> str:
    """The absolute path of a folder of images to judge with, "" for none; a zip is unpacked below the runs.

    UserError where there is neither, or no image in it: now, and not after minutes of synthesis. Without
    `runs` a recipe is only being drawn up, again and again: nothing is unpacked, and nothing listed.
    """
    if path is None or not str(path):
        return ""
    found = _resolved(path, "data")
    if runs is not None and found is not None and found.is_file():
        from engine.run.networks import unpacked  # it knows recipes, as this does not

        found = unpacked(found, runs.resolve())
    if found is None or not found.is_dir():
        kind = "folder or zip archive" if runs is not None else "folder"
        raise UserError(
            f"data {as_text(str(path))} is not a {kind}; give the path of one that exists"
        )
    if runs is not None:
        check_folder(found)
    return str(found)


def _file(path: str | Path | None, what: str) -> Path:
    found = _resolved(path or "", what)
    if found is None or not found.is_file():
        raise UserError(
            f"{what} {as_text(str(path))} is not a file; give the path of one that exists"
        )
    return found


def _resolved(path: str | Path, what: str) -> Path | None:
    """The absolute path; None for one that no system could have. UserError for a text that can be no path."""
    try:
        found = typed_path(str(path), what).resolve()
        found.exists()
    except (OSError, RuntimeError):  # a name that is too long; links in a circle
        return None
    return found
