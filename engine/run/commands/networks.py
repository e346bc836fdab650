"""The command line's share in networks that users bring: inspect, try, save and forget them."""

import argparse
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.run.commands.printed.common import finite_number, runs_folder, whole_number
from engine.run.commands.printed.tables import facts_table
from engine.run.networks import Brought, networks_folder
from engine.run.recipes.settings import as_text

MEMORY_BYTES = 8 * 2**30  # enough to build and run any network of the zoo
Add = Callable[[str, str], argparse.ArgumentParser]


def add_commands(add: Add) -> None:
    """Add the parsers; each command's name is its parser's `COMMAND`."""
    inspecting = add("inspect", "say what a checkpoint holds, and which network it may be of")
    inspecting.add_argument("file", metavar="FILE")
    _add_form(add("try-network", "run a checkpoint, and judge it on real images"))
    saving = add("save-network", "keep a checkpoint as mine/NAME, in every menu")
    saving.add_argument("name", metavar="NAME")
    saving.add_argument(
        "--replace", action="store_true", help="even where there is one of that name"
    )
    _add_form(saving)
    add("forget-network", "remove mine/NAME with its weights").add_argument("name", metavar="NAME")


def _add_form(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", required=True, metavar="FILE", help="the checkpoint")
    parser.add_argument(
        "--architecture", default="", metavar="NAME", help="else guessed from the file"
    )
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", dest="parameters",
        help="of the architecture, e.g. depth=20, classes=10, in_channels=3, shortcut=A",
    )  # fmt: skip
    parser.add_argument("--image-shape", default="", metavar="C,H,W")
    parser.add_argument("--mean", default="", metavar="R,G,B", help="of pixels in [0, 1]")
    parser.add_argument("--std", default="", metavar="R,G,B")
    parser.add_argument(
        "--resize", type=whole_number, default=0, metavar="N", help="short side before the crop"
    )
    parser.add_argument(
        "--classes", default="", metavar="A,B,..", help="names, or a file with one a line"
    )
    parser.add_argument("--title", default="")
    parser.add_argument("--summary", default="")
    parser.add_argument("--dataset", default="")
    parser.add_argument("--images", default="", metavar="FOLDER", help="to judge with, or a zip")


def brought_of(options: argparse.Namespace) -> Brought:
    """What the options say of the network."""
    return Brought(
        weights=str(Path(options.weights).expanduser().resolve()),
        architecture=options.architecture,
        parameters=_parameters(options.parameters),
        image_shape=_shape(options.image_shape),
        mean=_numbers(options.mean, "mean"),
        std=_numbers(options.std, "std"),
        resize=options.resize,
        classes=_names(options.classes),
        title=options.title,
        summary=options.summary,
        dataset=options.dataset,
        images=_images(options.images),
    )


def _parameters(texts: list[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--parameter {text!r} is not understood; write NAME=VALUE")
        parameters[name] = whole_number(value) if value.isdecimal() else value
    return parameters


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(map(finite_number, text.split(","))) if text else ()
    except argparse.ArgumentTypeError:
        raise UserError(
            f"--{option} {as_text(text)} is not understood; write finite numbers with commas"
        ) from None


def _shape(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(whole_number, text.split(","))) if text else ()
    except argparse.ArgumentTypeError:
        raise UserError(
            f"--image-shape {as_text(text)} is not understood; write channels,height,width, as 3,32,32"
        ) from None


def _names(text: str) -> tuple[str, ...]:
    with contextlib.suppress(OSError, ValueError):
        if "," not in text and Path(text).is_file():
            text = ",".join(Path(text).read_text(encoding="utf-8").splitlines())
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _images(text: str) -> str:
    if text and not Path(text).expanduser().exists():
        raise UserError(f"--images {text!r} is not there; give a folder of images or a zip archive")
    return str(Path(text).expanduser().resolve()) if text else ""


def run(options: argparse.Namespace) -> int:
    """Do what the command says, and print its answer."""
    said = _answer(options, networks_folder(runs_folder(options)))
    print(json.dumps(said) if options.json else facts_table(said))
    return 0


def _answer(options: argparse.Namespace, networks: Path) -> dict[str, Any]:
    if options.COMMAND == "forget-network":
        from engine.models.cards.saved import forget

        forget(options.name, networks)
        return {"name": options.name, "state": "removed"}
    _limit_memory()
    from engine.run.networks.keep import save_network  # torch, which may not be asked for before
    from engine.run.networks.trial import try_out
    from engine.run.networks.understand import inspect_file

    if options.COMMAND == "inspect":
        return inspect_file(Path(options.file).expanduser())
    brought = brought_of(options)
    if options.COMMAND == "try-network":
        return try_out(brought)
    return save_network(options.name, brought, networks, overwrite=options.replace)


def _limit_memory() -> None:
    """A hostile file may ask for more memory than the machine has: this process gets an end."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
