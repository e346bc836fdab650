"""The command line: `python -m engine --help`. Scripts depend on its words and its JSON.

Exit status: 0 done, 1 the run broke, 2 a mistake of the user's (one line says which), 130 Ctrl-C. Whatever
happens is told in one line on standard error, never as a traceback.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from engine.core.errors import UserError
from engine.core.outside.slow_code import on_stderr, reported
from engine.run.commands import (
    benches,
    exports,
    listing,
    networks,
    new,
    questions,
    runs,
    sweep,
)
from engine.run.commands.finished_run import (
    compare,
    doctor,
    ranges,
    resources,
    sensitivities,
    similarity,
    storage,
    tensors,
    why,
)
from engine.run.commands.printed.common import whole_number
from engine.run.commands.printed.ending import BROKEN, close_streams, end, open_streams
from engine.run.commands.recipe import add_options


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments say; returns the exit status."""
    options = argparse.Namespace()
    try:
        options = _parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], int] = options.command
        with reported(on_stderr):
            status = command(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, for example `head`, has seen enough
        return BROKEN
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (everything ends in one line)
        return end(error, options)
    return status


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

    add("models", listing.models, "list the networks")
    add("methods", listing.methods, "list the methods of synthesis and quantization")
    add(
        "settings", listing.settings, "list what --set reaches of a network or a method"
    ).add_argument(
        "name", metavar="NAME", help="of `models` or `methods`, FILE.py:FACTORY, timm/NAME"
    )
    add(
        "catalog",
        listing.catalog,
        "print all that there is to choose from, with every setting, as JSON",
    )
    run = add("run", runs.run, "synthesise images, quantize a network, measure what is lost")
    add_options(run)
    run.add_argument(
        "--within", metavar="TIME", default="",
        help="the most images and steps that fit into 30s, 2min or 1h; what --images and --set say stays",
    )  # fmt: skip
    diagnose = add("diagnose", questions.diagnose, "look a network over before anything runs")
    add_options(diagnose, methods=False)
    add_options(
        add("estimate", questions.estimate, "say how long a run would take, and how much memory")
    )
    pace = add(
        "pace", questions.pace, "measure a few steps of a recipe, as JSON: what `estimate` goes by"
    )
    add_options(pace)
    pace.add_argument("--part", required=True, choices=("synthesis", "quantization"))
    add("pause", runs.pause, "stop a run before its next step; it can be forked, or resumed")
    add("resume", runs.resume, "go on with a run that is paused or ended early")
    forked = add("fork", runs.fork, "branch a paused run in the middle of its synthesis")
    forked.add_argument(
        "--set", action="append", default=[], metavar="synthesis.NAME=VALUE", dest="settings",
        help="what is different from here on, e.g. synthesis.image_weight=0",
    )  # fmt: skip
    add("cancel", runs.cancel, "end a run; it can be resumed")
    add("delete", runs.delete, "remove a run that has ended, with all its files")
    analyse = add(
        "analyse",
        runs.analyse,
        "what each layer's bits cost a finished run, one left out at a time",
    )
    analyse.add_argument(
        "--images", type=whole_number, default=1000, metavar="N", help="test images to use"
    )
    for asked in (
        why,
        tensors,
        doctor,
        ranges,
        storage,
        compare,
        similarity,
        resources,
        sensitivities,
    ):
        asked.add_commands(add)
    for name in ("pause", "resume", "fork", "cancel", "delete", "analyse"):
        commands.choices[name].add_argument("run", metavar="RUN")
    add("runs", listing.runs, "list the runs")
    swept = add(
        "sweep", sweep.sweep, "run networks x images x quantizers x bits x seeds as one matrix"
    )
    swept.add_argument("file", metavar="FILE", help="what to multiply, as JSON or TOML")
    swept.add_argument("--plan", action="store_true", help="only say what it is, and what it takes")
    exports.add_commands(add)
    networks.add_commands(lambda name, text: add(name, networks.run, text))
    made = add("new", new.new, "write the first files of a method of your own")
    made.add_argument("kind", metavar="synthesis|quantization")
    made.add_argument("name", metavar="NAME", help="lower-case, with hyphens")
    made.add_argument("--title", default="", metavar="TITLE", help="as menus show it")
    bench = add("bench", benches.bench, "run a benchmark, or list those there are")
    bench.add_argument("name", nargs="?", metavar="NAME")
    bench.add_argument("--data", type=Path, metavar="FOLDER", help="the real data that some need")
    bench.add_argument(
        "--seeds", metavar="0,1,2", help="effects, ablation, rates: the seeds, each by itself"
    )
    bench.add_argument(
        "--only",
        metavar="NAME,..",
        help="effects: these claims alone, export: these networks; the file keeps its others; synthesis, "
        "reconstruction, memory: these networks",
    )
    bench.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="effects, ablation, rates, export: where the result is kept",
    )
    bench.add_argument(
        "--rounds", type=whole_number, metavar="N", help="of what is timed in turn, or whole runs"
    )
    bench.add_argument(
        "--markdown", action="store_true", help="export, speed and its benches: a table of Markdown"
    )
    for name in ("images", "steps", "generator-steps", "generator-batch"):
        bench.add_argument(
            f"--{name}", type=whole_number, metavar="N", help="effects: the budget of a set"
        )
    return parser


def program() -> int:
    """The command line as a program of its own, whatever its streams are."""
    open_streams()
    try:
        return main()
    except SystemExit as leaving:  # --help
        return int(leaving.code or 0)
    finally:
        close_streams()


if __name__ == "__main__":
    sys.exit(program())
