"""The command line's `run`: its options, and the recipe that they ask for."""

import argparse
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.own_code import file_and_factory, is_own
from engine.data.listing import check_folder
from engine.models.knobs import own_knobs, unlisted_knobs
from engine.run.recipe import EDGE_RULES, PRESETS, Recipe, make_recipe

KINDS = ("model", "synthesis", "quantization")  # what --set reaches


def add_options(parser: argparse.ArgumentParser, *, methods: bool = True) -> None:
    """Add what a recipe holds to the parser of `run`; where no method is needed, it may be left out."""
    parser.add_argument("--model", required=True, metavar="NAME", help="name, or FILE.py:FACTORY")
    parser.add_argument("--synthesis", required=methods, default="noise", metavar="NAME")
    parser.add_argument("--quantization", required=methods, default="nearest", metavar="NAME")
    parser.add_argument("--weight-bits", type=int, default=4, metavar="N", help="2 to 8")
    parser.add_argument("--activation-bits", type=int, default=4, metavar="N", help="2 to 8")
    parser.add_argument("--preset", default="standard", help=f"one of {', '.join(PRESETS)}")
    parser.add_argument("--images", type=int, metavar="N", help="images to calibrate with")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--edge-rule", default="brecq", help=f"one of {', '.join(EDGE_RULES)}")
    parser.add_argument(
        "--data", metavar="FOLDER",
        help="images to judge with, or a zip: class folders called by class number or name, or a labels.csv "
        "(file,label); a classes.txt may name the classes in the order of the outputs",
    )  # fmt: skip
    parser.add_argument("--weights", metavar="FILE", help="the network's checkpoint")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KIND.NAME=VALUE", dest="settings",
        help="a setting of the model, synthesis or quantization, e.g. synthesis.steps=500",
    )  # fmt: skip


def recipe_of(options: argparse.Namespace, catalog: dict[str, Any]) -> Recipe:
    """The recipe that the options of `run` ask for; UserError where they make none."""
    settings = parse_settings(options.settings)
    model = _model(options.model)
    data, weights = _existing(options.data, "data"), _existing(options.weights, "weights")
    if data:
        check_folder(Path(data))  # now, and not after minutes of synthesis
    return make_recipe(
        catalog,
        preset=options.preset,
        model=model,
        own=_own(model),
        own_code=True,
        synthesis=options.synthesis,
        quantization=options.quantization,
        weight_bits=options.weight_bits,
        activation_bits=options.activation_bits,
        images=options.images,
        seed=options.seed,
        edge_rule=options.edge_rule,
        data=data,
        weights=weights,
        **{f"{kind}_settings": values for kind, values in settings.items()},
    )


def _model(name: str) -> str:
    """The name; a FILE.py:FACTORY with its file made absolute, for the worker's folder is another."""
    if not is_own(name):
        return name
    file, factory = file_and_factory(name)
    return f"{_existing(str(file), 'model')}:{factory}"


def _own(model: str) -> dict[str, Any] | None:
    """What the catalog would say of a FILE.py:FACTORY or timm/NAME; None for a network of the catalog."""
    if model.startswith("timm/"):
        return {"file": "", "presets": {}, "settings": unlisted_knobs()}
    if not is_own(model):
        return None
    return {"file": str(file_and_factory(model)[0]), "presets": {}, "settings": own_knobs()}


def _existing(path: str | None, option: str) -> str:
    if path is None:
        return ""
    found = Path(path).expanduser().resolve()
    folder = option == "data"
    if not (found.is_dir() if folder else found.is_file()):
        kind = "folder" if folder else "file"
        raise UserError(f"--{option} {path!r} is not a {kind}; give the path of one that exists")
    return str(found)


def parse_settings(texts: list[str]) -> dict[str, dict[str, str]]:
    """What `--set KIND.NAME=VALUE` asks for, by kind; UserError where a text is not of that form."""
    settings: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for text in texts:
        name, equals, value = text.partition("=")
        kind, dot, setting = name.partition(".")
        if not equals or not dot or kind not in settings or not setting:
            raise UserError(
                f"--set {text!r} is not understood; write KIND.NAME=VALUE with KIND one of "
                f"{', '.join(KINDS)}"
            )
        settings[kind][setting] = value
    return settings
