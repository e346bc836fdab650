"""The command line: `python -m engine --help`. Scripts depend on its words and its JSON.

Exit status: 0 done, 1 the run broke, 2 a mistake of the user's (one line says which), 130 Ctrl-C.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from engine.core.errors import UserError
from engine.run import launch
from engine.run.cli import Progress, attend, facts_table, table
from engine.run.cli_diagnose import diagnosis_text, estimate_text
from engine.run.cli_networks import add_commands as add_network_commands
from engine.run.cli_networks import answer
from engine.run.cli_recipe import add_options, parse_settings, recipe_of
from engine.run.folder import RunFolder, list_runs
from engine.run.networks import networks_folder, unpacked

MODEL_FIELDS = (
    "name", "title", "dataset", "parameters", "batchnorm_layers", "image_shape", "available",
    "reason",
)  # fmt: skip
METHOD_FIELDS = ("name", "title", "paper", "needs")
RUN_FIELDS = (
    "model", "synthesis", "quantization", "weight_bits", "activation_bits", "images", "seed",
    "preset",
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments say; returns the exit status."""
    try:
        options = _parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except UserError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, for example `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    shared = _Parser(add_help=False)
    shared.add_argument("--runs", type=Path, metavar="DIR", help="where the runs are kept")
    shared.add_argument("--json", action="store_true", help="print JSON on standard output")
    parser = _Parser(prog="python -m engine", description="Zero-shot quantization, run by run.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> _Parser:
        added = commands.add_parser(
            name, parents=[shared], help=text, description=text, allow_abbrev=False
        )
        added.set_defaults(command=command)
        return added

    add("models", _models, "list the networks")
    add("methods", _methods, "list the methods of synthesis and quantization")
    add("catalog", _catalog, "print all that there is to choose from, with every setting, as JSON")
    add_options(add("run", _run, "synthesise images, quantize a network, measure what is lost"))
    diagnose = add("diagnose", _diagnose, "look a network over before anything runs")
    add_options(diagnose, methods=False)
    add_options(add("estimate", _estimate, "say how long a run would take, and how much memory"))
    pace = add("pace", _pace, "measure a few steps of a recipe, as JSON: what `estimate` goes by")
    add_options(pace)
    pace.add_argument("--part", required=True, choices=("synthesis", "quantization"))
    add("resume", _resume, "go on with a run that ended early").add_argument("run", metavar="RUN")
    forked = add("fork", _fork, "branch a paused run in the middle of its synthesis")
    forked.add_argument("run", metavar="RUN")
    forked.add_argument(
        "--set", action="append", default=[], metavar="synthesis.NAME=VALUE", dest="settings",
        help="what is different from here on, e.g. synthesis.image_weight=0",
    )  # fmt: skip
    add("cancel", _cancel, "end a run; it can be resumed").add_argument("run", metavar="RUN")
    analyse = add(
        "analyse", _analyse, "what each layer's bits cost a finished run, one left out at a time"
    )
    analyse.add_argument("run", metavar="RUN")
    analyse.add_argument("--images", type=int, default=1000, metavar="N", help="test images to use")
    add("runs", _runs, "list the runs")
    add_network_commands(lambda name, text: add(name, _network, text))
    bench = add("bench", _bench, "run a benchmark, or list those there are")
    bench.add_argument("name", nargs="?", metavar="NAME")
    bench.add_argument("--data", type=Path, metavar="FOLDER", help="the real data that some need")
    bench.add_argument(
        "--seeds", metavar="0,1,2", help="effects: the seeds, each a pair of its own"
    )
    bench.add_argument("--out", type=Path, metavar="FILE", help="effects: where the result is kept")
    for name in ("images", "steps", "generator-steps", "generator-batch"):
        bench.add_argument(f"--{name}", type=int, metavar="N", help="effects: the budget of a set")
    return parser


# --- what there is ------------------------------------------------------------------------------


def _runs_folder(options: argparse.Namespace) -> Path:
    chosen = options.runs or os.environ.get("QUANTOSCOPE_RUNS")
    return Path(chosen).resolve() if chosen else Path(__file__).parents[1] / "runs"


def _network(options: argparse.Namespace) -> int:
    said = answer(options, networks_folder(_runs_folder(options)))
    print(json.dumps(said) if options.json else facts_table(said))
    return 0


def _load_catalog(options: argparse.Namespace) -> dict[str, Any]:
    from engine.run.catalog import load

    return load(_runs_folder(options))


def _models(options: argparse.Namespace) -> int:
    models = _load_catalog(options)["models"]
    return _print_rows(options, [{name: m[name] for name in MODEL_FIELDS} for m in models])


def _methods(options: argparse.Namespace) -> int:
    catalog = _load_catalog(options)
    kinds = ("synthesis", "quantization")
    methods = {k: [{name: m[name] for name in METHOD_FIELDS} for m in catalog[k]] for k in kinds}
    if options.json:
        print(json.dumps(methods))
        return 0
    rows = [{"kind": kind, **method} for kind in kinds for method in methods[kind]]
    return _print_rows(options, rows)


def _catalog(_options: argparse.Namespace) -> int:
    from engine.run.catalog import collect

    print(json.dumps(collect()))
    return 0


def _runs(options: argparse.Namespace) -> int:
    return _print_rows(options, [_run_row(folder) for folder in list_runs(_runs_folder(options))])


def _run_row(folder: RunFolder) -> dict[str, Any]:
    recipe, result = folder.recipe, folder.result() or {}
    return {
        "run": folder.run_id,
        "state": folder.status()["state"],
        **{name: getattr(recipe, name) for name in RUN_FIELDS},
        "fp32_top1": result.get("fp32_top1"),
        "quantized_top1": result.get("quantized_top1"),
        "folder": str(folder.path),
    }


def _print_rows(options: argparse.Namespace, rows: list[dict[str, Any]]) -> int:
    if options.json:
        print(json.dumps(rows))
    elif rows:
        print(table([list(rows[0]), *([_cell(v) for v in row.values()] for row in rows)]))
    else:
        print("none yet")
    return 0


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return " x ".join(map(str, value)) or "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


# --- before a run -------------------------------------------------------------------------------


def _diagnose(options: argparse.Namespace) -> int:
    catalog = _load_catalog(options)
    recipe = recipe_of(options, catalog)
    from engine.run.diagnose import joined
    from engine.run.examine import collect

    answer = joined(collect(recipe, networks_folder(_runs_folder(options))), recipe, catalog)
    print(json.dumps(answer) if options.json else diagnosis_text(answer))
    return 0


def _estimate(options: argparse.Namespace) -> int:
    from engine.run import estimate

    recipe = recipe_of(options, _load_catalog(options))
    answer = estimate.estimate(
        recipe, _runs_folder(options), estimate.pace_of(_runs_folder(options), recipe)
    )
    print(json.dumps(answer) if options.json else estimate_text(answer))
    return 0


def _pace(options: argparse.Namespace) -> int:
    from engine.run.pace import measure
    from engine.run.worker import settle_in

    os.environ["QUANTOSCOPE_NETWORKS"] = str(networks_folder(_runs_folder(options)))
    settle_in()
    print(json.dumps(measure(recipe_of(options, _load_catalog(options)), options.part)))
    return 0


# --- runs ---------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    runs = _runs_folder(options)
    if options.data and Path(options.data).expanduser().is_file():
        options.data = str(unpacked(Path(options.data).expanduser(), runs))
    recipe = recipe_of(options, _load_catalog(options))
    offset = _size(RunFolder(runs / recipe.run_id))
    folder = launch.start(recipe, runs)
    return attend(folder, offset, as_json=options.json)


def _resume(options: argparse.Namespace) -> int:
    folder = RunFolder.open(_runs_folder(options), options.run)
    offset = _size(folder)
    launch.resume(folder)
    return attend(folder, offset, as_json=options.json)


def _fork(options: argparse.Namespace) -> int:
    from engine.run.fork import fork

    source = RunFolder.open(_runs_folder(options), options.run)
    settings = parse_settings(options.settings)
    other = [kind for kind, values in settings.items() if values and kind != "synthesis"]
    if other:
        raise UserError(f"a fork cannot change {other[0]} settings; give synthesis.NAME=VALUE")
    folder = fork(source, settings["synthesis"], _load_catalog(options))
    return attend(folder, 0, as_json=options.json)


def _cancel(options: argparse.Namespace) -> int:
    folder = RunFolder.open(_runs_folder(options), options.run)
    launch.cancel(folder)
    state = folder.status()["state"]
    print(json.dumps({"run": folder.run_id, "state": state}) if options.json else state)
    return 0


def _analyse(options: argparse.Namespace) -> int:
    folder = RunFolder.open(_runs_folder(options), options.run)
    if options.images < 1:
        raise UserError(f"--images is {options.images}; give 1 or more")
    from engine.run.analyse import analyse  # torch, which the other commands do not need

    found = analyse(folder, options.images)
    if options.json:
        print(json.dumps(found))
        return 0
    return _print_rows(options, found["layers"])


def _size(folder: RunFolder) -> int:
    """The bytes of events that are there before the worker adds its own."""
    return folder.events_file.stat().st_size if folder.events_file.exists() else 0


def _bench(options: argparse.Namespace) -> int:
    from engine.run import bench

    names = sorted(bench.names())
    if options.name is None:
        print(json.dumps(names) if options.json else "\n".join(names))
        return 0
    if options.name not in names:
        raise UserError(
            f"benchmark {options.name!r} is not known; choose one of {', '.join(names)}"
        )
    if options.name == bench.EFFECTS:
        return _effects(options)
    result = bench.run(options.name, options.data, _runs_folder(options))
    print(json.dumps(result) if options.json else table(result.items()))
    return 0


def _effects(options: argparse.Namespace) -> int:
    from engine.run.bench_effects import budget_of, effects
    from engine.run.effects import FILE, rows_of, seeds_of

    budget = ("images", "steps", "generator_steps", "generator_batch")
    chosen = {name: getattr(options, name) for name in budget}
    result = effects(
        seeds_of(options.seeds or "0,1,2"),
        out=options.out or _runs_folder(options) / FILE,
        budget=budget_of({name: value for name, value in chosen.items() if value is not None}),
        tell=Progress().line,
    )
    print(json.dumps(result) if options.json else table(rows_of(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
