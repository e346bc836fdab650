"""`models`, `methods`, `settings`, `catalog`, `runs`: what there is."""

import argparse
import json
from typing import Any

from engine.core.errors import UserError
from engine.core.outside.own_code import is_own
from engine.run.catalog import OWN, TIMM, named
from engine.run.commands.printed.common import load_catalog, print_rows, runs_folder
from engine.run.folders.folder import RunFolder, damaged_runs, list_runs
from engine.run.recipes.recipe import PRESETS
from engine.run.recipes.settings import as_text

MODEL_FIELDS = (
    "name", "title", "dataset", "parameters", "batchnorm_layers", "image_shape", "available",
    "reason",
)  # fmt: skip
METHOD_FIELDS = ("name", "title", "paper", "needs")
RUN_FIELDS = (
    "model", "synthesis", "quantization", "weight_bits", "activation_bits", "images", "seed",
    "preset",
)  # fmt: skip


def models(options: argparse.Namespace) -> int:
    models = load_catalog(options)["models"]
    return print_rows(options, [{name: m[name] for name in MODEL_FIELDS} for m in models])


def methods(options: argparse.Namespace) -> int:
    catalog = load_catalog(options)
    kinds = ("synthesis", "quantization")
    methods = {k: [{name: m[name] for name in METHOD_FIELDS} for m in catalog[k]] for k in kinds}
    if options.json:
        print(json.dumps(methods))
        return 0
    rows = [{"kind": kind, **method} for kind in kinds for method in methods[kind]]
    return print_rows(options, rows)


def catalog(_options: argparse.Namespace) -> int:
    from engine.run.catalog import collect

    print(json.dumps(collect()))
    return 0


def settings(options: argparse.Namespace) -> int:
    """Every setting of what is called so: as `--set` names it, its type, its values by preset, its range."""
    catalog = load_catalog(options)
    rows = [
        _setting_row(f"{kind}.{knob['name']}", knob)
        for kind, knobs in _with_settings(options.name, catalog)
        for knob in knobs
    ]
    return print_rows(options, rows, none=f"{options.name} has no settings")


def _with_settings(name: str, catalog: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The kind and settings of all that has the name: a network and a method may share it."""
    if is_own(name) or name.endswith(".py") or name.startswith("timm/"):
        pattern = TIMM if name.startswith("timm/") else OWN
        return [("model", one["settings"]) for one in named() if one["name"] == pattern]
    kinds = {"models": "model", "synthesis": "synthesis", "quantization": "quantization"}
    found = [
        (kind, one["settings"])
        for key, kind in kinds.items()
        for one in catalog[key]
        if one["name"] == name
    ]
    if not found:
        raise UserError(
            f"{as_text(name)} is no network and no method; `python -m engine models` and "
            "`python -m engine methods` list them"
        )
    return found


def _setting_row(name: str, knob: dict[str, Any]) -> dict[str, Any]:
    low, high = knob.get("low"), knob.get("high")
    span = "" if low is None and high is None else f"{_or(low)} to {_or(high)}"
    return {
        "setting": name,
        "type": knob["type"],
        **{preset: knob["presets"][preset] for preset in PRESETS},
        "range": ", ".join(map(str, knob["choices"])) or span,
        "help": knob["help"],
    }


def _or(limit: float | None) -> str:
    return "any" if limit is None else f"{limit:g}"


def runs(options: argparse.Namespace) -> int:
    rows = [_run_row(folder) for folder in list_runs(runs_folder(options))]
    damaged = [_damaged_row(folder) for folder in damaged_runs(runs_folder(options))]
    return print_rows(options, rows + damaged)


def _damaged_row(folder: RunFolder) -> dict[str, Any]:
    unknown = dict.fromkeys((*RUN_FIELDS, "fp32_top1", "quantized_top1"))
    return {"run": folder.run_id, "state": "damaged", **unknown, "folder": str(folder.path)}


def _run_row(folder: RunFolder) -> dict[str, Any]:
    recipe, result = folder.recipe, folder.result() or {}
    return {
        "run": folder.run_id,
        "state": "done" if result else folder.status()["state"],
        **{name: getattr(recipe, name) for name in RUN_FIELDS},
        "fp32_top1": result.get("fp32_top1"),
        "quantized_top1": result.get("quantized_top1"),
        "folder": str(folder.path),
    }
