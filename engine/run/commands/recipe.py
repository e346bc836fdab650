"""The command line's `run`: its options, and the recipe that they ask for."""

import argparse
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.models.card_settings import own_knobs
from engine.run.commands.printed.common import whole_number
from engine.run.recipes.recipe import EDGE_RULES, PRESETS, Recipe, make_recipe
from engine.run.recipes.settings import as_text

KINDS = ("model", "synthesis", "quantization")  # what --set reaches


def add_options(parser: argparse.ArgumentParser, *, methods: bool = True) -> None:
    """Add what a recipe holds to the parser of `run`; where no method is needed, it may be left out."""
    parser.add_argument(
        "--model", required=True, metavar="NAME",
        help="a name of `models`, torchvision/NAME, timm/NAME, or FILE.py:FACTORY, which is executed",
    )  # fmt: skip
    parser.add_argument("--synthesis", required=methods, default="noise", metavar="NAME")
    parser.add_argument("--quantization", required=methods, default="nearest", metavar="NAME")
    for bits, limits in (
        ("--weight-bits", "2 to 8; 1 where the quantizer has levels for a single bit"),
        ("--activation-bits", "2 to 8"),
    ):
        parser.add_argument(bits, type=whole_number, default=4, metavar="N", help=limits)
    parser.add_argument("--preset", default="standard", help=f"one of {', '.join(PRESETS)}")
    parser.add_argument("--images", type=whole_number, metavar="N", help="images to calibrate with")
    parser.add_argument("--seed", type=whole_number, default=0, metavar="N")
    parser.add_argument("--edge-rule", default="brecq", help=f"one of {', '.join(EDGE_RULES)}")
    parser.add_argument(
        "--data", metavar="FOLDER",
        help="images to judge with, or a zip: class folders called by class number or name, or a labels.csv "
        "(file,label); a classes.txt may name the classes in the order of the outputs",
    )  # fmt: skip
    parser.add_argument("--weights", metavar="FILE", help="the network's checkpoint")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KIND.NAME=VALUE", dest="settings",
        help="a setting of the model, synthesis or quantization, e.g. synthesis.steps=500; "
        "`python -m engine settings NAME` lists those of a network or method",
    )  # fmt: skip
    told = "\n".join(f"  model.{knob['name']:15} {knob['help']}" for knob in own_knobs())
    title = "settings of a network from FILE.py:FACTORY, with --set"
    parser.epilog = f"{title}:\n{told}".replace("%", "%%")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def recipe_of(options: argparse.Namespace, catalog: dict[str, Any], runs: Path) -> Recipe:
    """The recipe that the options of `run` ask for; UserError where they make none."""
    settings = parse_settings(options.settings)
    return make_recipe(
        catalog,
        preset=options.preset,
        runs=runs,
        own_code=True,
        model=options.model,
        synthesis=options.synthesis,
        quantization=options.quantization,
        weight_bits=options.weight_bits,
        activation_bits=options.activation_bits,
        images=options.images,
        seed=options.seed,
        edge_rule=options.edge_rule,
        data=options.data,
        weights=options.weights,
        **{f"{kind}_settings": values for kind, values in settings.items()},
    )


def parse_settings(texts: list[str]) -> dict[str, dict[str, str]]:
    """What `--set KIND.NAME=VALUE` asks for, by kind; UserError where a text is not of that form."""
    settings: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for text in texts:
        name, equals, value = text.partition("=")
        kind, dot, setting = name.partition(".")
        if not equals or not dot or kind not in settings or not setting:
            raise UserError(
                f"--set {as_text(text)} is not understood; write KIND.NAME=VALUE with KIND one of "
                f"{', '.join(KINDS)}"
            )
        settings[kind][setting] = value
    return settings
