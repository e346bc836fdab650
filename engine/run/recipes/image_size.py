"""The size of the images of a network by file, where the recipe does not say it: found, never guessed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors import safe_open

from engine.core.errors import UserError
from engine.core.outside.own_code import is_own
from engine.data.datasets import find_arrays
from engine.data.image_folders import list_folder, root_of
from engine.models.checkpoints.read import read_checkpoint
from engine.models.probing.image_size import Size
from engine.run.recipes.recipe import Recipe

_LOOKED_AT = 200  # images, from all over a folder
_GREY = ("1", "L", "I", "I;16", "F", "LA")


def card_settings(recipe: Recipe, run: Path | None = None) -> Mapping[str, Any]:
    """The recipe's settings for the card; with `image_size` for a network by file whose shape is not given.

    Of the images that the run in `run` has made already, else those to judge with, else those to
    calibrate with, else what the checkpoint is known for.
    """
    settings = recipe.model_settings
    if not is_own(recipe.model) or settings.get("image_shape"):
        return settings
    size = _of_run(run) if run is not None else None
    for name in (recipe.data, str(settings.get("calibration") or "")):
        size = size or (_of_folder(Path(name)) if name else None)
    size = size or (_of_checkpoint(Path(recipe.weights)) if recipe.weights else None)
    return dict(settings) | {"image_size": size}


def _of_run(run: Path) -> Size | None:
    file = next(iter(sorted(run.glob("images-*.safetensors"))), None)
    try:
        if file is None:
            return None
        with safe_open(file, "pt") as opened:
            return tuple(opened.get_slice("images").get_shape()[1:])
    except Exception:  # noqa: BLE001  (a torn file is told of by who needs its pixels)
        return None


def _of_folder(folder: Path) -> Size | None:
    """Channels, height and width that all images share; None where they differ or cannot be read."""
    try:
        arrays = find_arrays(folder, "test") if folder.is_dir() else None
        if arrays is not None:
            return tuple(arrays().pixels.shape[1:])
        entries = list_folder(root_of(folder, "test"), None).entries
    except (
        UserError,
        OSError,
        ValueError,
    ):  # what is wrong with the folder is told by who opens it
        return None
    found: set[Size] = set()
    channels = 1
    step = max(1, len(entries) // _LOOKED_AT)
    for entry in entries[::step]:
        try:
            with Image.open(entry.path) as image:
                found.add((image.height, image.width))
                channels = max(channels, 1 if image.mode in _GREY else 3)
        except Exception:  # noqa: BLE001  (a broken image is skipped, and told of later)
            continue
        if len(found) > 1:
            return None
    return (channels, *found.pop()) if found else None


def _of_checkpoint(file: Path) -> Size | None:
    """What an architecture is trained with whose tensors the file holds, all of them."""
    from engine.models.cards.from_architecture import guess
    from engine.models.cards.proposals import propose

    try:
        checkpoint = read_checkpoint(file)
        best = next(iter(guess(checkpoint)), None)
        return propose(checkpoint, best).image_shape if best and best.fit.whole else None
    except UserError:
        return None
