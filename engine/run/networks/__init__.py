"""Networks that users bring, for pages and the command line: found out about, tried, and saved.

Imports no torch: what a file holds is found out in a process of its own, with a limit on its memory.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.outside.files import sha256_of
from engine.data.archive import inner_folder, unpack
from engine.models.cards.saved import (
    PREFIX,
    check_name,
    forget,
    list_saved,
    read_saved,
    saved_folder,
)
from engine.run.folders.owner import HOST
from engine.run.recipes.recipe import Recipe
from engine.run.subprocess_answer import CommandError, answer_of

__all__ = [
    "PREFIX",
    "Brought",
    "check_content",
    "forget",
    "inspect",
    "list_saved",
    "networks_folder",
    "save",
    "try_out",
    "unpacked",
]

OWNER = "QUANTOSCOPE_OWNER"  # in the environment of the process that saves a network
PATIENCE_S = 900  # what no check of a network takes


def networks_folder(runs: Path) -> Path:
    """Where saved networks lie: QUANTOSCOPE_NETWORKS, else `networks/` beside the folder of runs."""
    chosen = os.environ.get("QUANTOSCOPE_NETWORKS")
    return Path(chosen).resolve() if chosen else runs.resolve().parent / "networks"


def check_content(recipe: Recipe, networks: Path) -> None:
    """UserError where the recipe's saved network has been replaced since the recipe was made."""
    wanted = recipe.contents.get("network")
    if wanted and read_saved(saved_folder(recipe.model, networks)).content != wanted:
        raise UserError(
            f"network {recipe.model!r} has been saved anew since; start a new run with it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A checkpoint and what its owner says of it; what is left empty is guessed."""

    weights: str  # the file
    architecture: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    image_shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    resize: int = 0
    classes: tuple[str, ...] = ()
    title: str = ""
    summary: str = ""
    dataset: str = ""
    images: str = ""  # a folder or zip archive of real images to judge with

    def options(self) -> list[str]:
        """As arguments of the command line."""
        texts = {
            "architecture": self.architecture,
            "image-shape": ",".join(map(str, self.image_shape)),
            "mean": ",".join(map(repr, self.mean)),
            "std": ",".join(map(repr, self.std)),
            "resize": str(self.resize or ""),
            # The comma at the end: a name alone could be that of a file, which would be read.
            "classes": ",".join([*self.classes, ""]),
            "title": self.title,
            "summary": self.summary,
            "dataset": self.dataset,
            "images": self.images,
        }
        options = [f"--{name}={text}" for name, text in texts.items() if text]
        options += [f"--parameter={name}={value}" for name, value in self.parameters.items()]
        return [f"--weights={self.weights}", *options]


def unpacked(archive: Path, runs: Path) -> Path:
    """The folder of a zip archive's images, unpacked once below the runs; UserError where it does harm."""
    try:
        digest = sha256_of(archive, "archive")
        folder = runs / ".images" / digest[:16]
        if not folder.is_dir():
            _unpack_beside(archive, folder)
    except OSError as error:
        raise UserError(
            f"{error.filename or archive} cannot be read or written: {error.strerror}; give a folder of "
            "images, or make room"
        ) from error
    return inner_folder(folder)


def _unpack_beside(archive: Path, folder: Path) -> None:
    """Unpack, and let the folder appear at once; of two who do so at a time, the first is kept."""
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.{threading.get_ident()}")
    unpack(archive, beside)
    try:
        beside.rename(folder)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        if not folder.is_dir():
            raise


def inspect(file: Path) -> dict[str, Any]:
    """What is in a checkpoint, the architectures it may be of, and a form filled in with guesses."""
    return _ask("inspect", str(file))


def try_out(brought: Brought) -> dict[str, Any]:
    """Whether the network runs and can be quantized; its float accuracy where there are images."""
    return _ask("try-network", *brought.options())


def save(
    name: str, brought: Brought, runs: Path, *, replace: bool = False, owner: str = HOST
) -> dict[str, Any]:
    """Save the network as `mine/NAME`, the owner's; it is in every menu from then on."""
    more = ["--replace"] if replace else []
    check_name(name)  # before it is a word of a command
    return _ask(
        "save-network", name, f"--runs={runs}", *more, *brought.options(),
        environment={OWNER: owner},
    )  # fmt: skip


def _ask(*arguments: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The answer of a command of `python -m engine`; UserError with its one line where it refuses."""
    try:
        return answer_of(*arguments, "--json", patience_s=PATIENCE_S, environment=environment)
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"{arguments[0]} took more than {PATIENCE_S // 60} minutes; use fewer images"
        ) from error
    except CommandError as error:
        last = (error.said.splitlines() or ["without a word"])[-1]
        raise UserError(
            f"{arguments[0]} broke off ({last[:200]}); give a smaller file, for it may ask for more "
            "memory than there is"
        ) from error
