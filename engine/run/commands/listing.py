"""`models`, `methods`, `catalog`, `runs`: what there is."""

import argparse
import json
from typing import Any

from engine.run.commands.common import load_catalog, print_rows, runs_folder
from engine.run.folder import RunFolder, damaged_runs, list_runs

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
