"""`explain`, `predictions`, `bits`: why a finished run is as it is, and what changes for its users."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from engine.core.errors import UserError
from engine.core.percent import percent
from engine.run.commands.finished_run.answered import Question, answered
from engine.run.commands.printed.common import runs_folder
from engine.run.commands.printed.progress import Progress
from engine.run.commands.printed.tables import table
from engine.run.folders.folder import RunFolder
from engine.run.questions.why import answers
from engine.run.recipes.layer_bits import bits_wanted


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add each to the command line; `add` takes its name, what it does, and a line on it."""
    explained = add("explain", explain, "say where every layer's error comes from, and what to do")
    explained.add_argument("--layer", metavar="PATH", help="this layer alone")
    told = "say which answers a run has changed, and how sure it is"
    others = add("predictions", predictions, told)
    widths = add("bits", bits, "say what other bits would do: each layer's cliff, and the front")
    widths.add_argument(
        "--at",
        metavar="BITS",
        help="measure this choice alone: JSON as of quantization.bits, or its file",
    )
    for parser in (explained, others, widths):
        parser.add_argument("run", metavar="RUN")


def explain(options: argparse.Namespace) -> int:
    found = answers.of_layer(answered(options, "explain", _ask_explain), options.layer)
    print(json.dumps(found) if options.json else _explained(found))
    return 0


def predictions(options: argparse.Namespace) -> int:
    found = answered(options, "predictions", _ask_predictions)
    told = {name: value for name, value in found.items() if name != "pictures"}
    print(json.dumps(told) if options.json else _predicted(found))
    return 0


def bits(options: argparse.Namespace) -> int:
    if options.at is not None:
        return _tried(options)
    found = answered(options, "bits", _ask_bits)
    print(json.dumps(found) if options.json else _bits(found))
    return 0


def _tried(options: argparse.Namespace) -> int:
    if not options.at.strip():
        raise UserError(
            """--at is empty; give bits, such as '{"weight_bits": {"LAYER": 4}}', or a file of them"""
        )
    folder = RunFolder.open(runs_folder(options), options.run)
    at = bits_wanted(options.at, {"name": "nearest"})

    def find() -> dict[str, Any]:
        from engine.run.questions.why.fewer_bits.trial import trial
        from engine.run.workers.worker import settle_in

        settle_in()
        return trial(folder, at, Progress().counted)

    found = answers.trial(folder, at, find)
    print(json.dumps(found) if options.json else tried_text(found, folder.recipe.quantization))
    return 0


def tried_text(found: dict[str, Any], quantizer: str) -> str:
    """The measured choice beside the run's own bits, and how both are rounded; quantizer: the run's."""
    rows = ("these bits", found), ("the run's own bits", found["own"])
    lines = [
        f"{name:18}  KL {one['kl']:.4g} nats, agreement {one['agreement']:.4f} "
        "(95 %: {:.4f} to {:.4f})".format(*one["agreement_band"])
        for name, one in rows
    ]
    note = f"both rounded to the nearest, on {found['images']} images"
    if quantizer != found["rounding"]:
        note += f"; the run itself was quantized by {quantizer}: compare these two, not its result"
    return "\n".join([*lines, note])


def _ask_explain() -> Question:
    from engine.run.questions.why.explain import explain

    return explain


def _ask_predictions() -> Question:
    from engine.run.questions.why.predictions import predictions

    return predictions


def _ask_bits() -> Question:
    from engine.run.questions.why.fewer_bits.bits import bits

    return bits


def _explained(found: dict[str, Any]) -> str:
    parts = ("weights", "activations", "inherited", "interaction")
    head = ("layer", "alone dB", "with all before dB", *parts, "verdict")
    rows = [
        (
            row["path"], _number(row["sqnr_local_db"]), _number(row["sqnr_accumulated_db"]),
            *(_percent(row["share"], part) for part in parts), row["verdict"],
        )
        for row in found["layers"]
    ]  # fmt: skip
    return "\n".join([table([head, *rows]), "", *found["notes"], found["sentence"]])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _percent(share: dict[str, float] | None, part: str) -> str:
    return "-" if share is None else percent(share[part], 0)


def _predicted(found: dict[str, Any]) -> str:
    head = ("image", "float", "student", "margin float", "margin student")
    rows = [
        (
            row["image"], row["teacher"], row["student"],
            f"{row['margin_teacher']:.3f}", f"{row['margin_student']:.3f}",
        )
        for row in found["flipped"]
    ]  # fmt: skip
    low, high = found["agreement_band"]
    lines = [f"agreement {found['agreement']:.4f} (95 %: {low:.4f} to {high:.4f})"]
    if found["ece"] is None:
        lines.append(found["reason"])
    else:
        told = (f"{who} {value:.4f}" for who, value in found["ece"].items())
        lines.append(f"calibration error: {', '.join(told)}")
    flips = [table([head, *rows]), ""] if rows else []
    return "\n".join([*flips, *lines, *found["notes"], found["sentence"]])


def _bits(found: dict[str, Any]) -> str:
    widths = [str(bits) for bits in range(2, 9)]
    head = ("layer", *(f"{bits} bits, dB" for bits in widths), "cliff")
    layers = [
        (row["path"], *(_number(row["sqnr_db"][bits]) for bits in widths), row["cliff"] or "-")
        for row in found["layers"]
    ]
    rows = [
        (
            f"{point['size_bytes']:,}", f"{point['predicted_kl']:.4g}",
            *(f"{point['measured'][name]:.4g}" if point["measured"] else "-" for name in ("kl", "agreement")),
        )
        for point in found["front"]
    ]  # fmt: skip
    front = (
        [table([("bytes", "predicted KL", "measured KL", "agreement"), *rows]), ""] if rows else []
    )
    return "\n".join([table([head, *layers]), "", *front, *found["notes"]]).rstrip()
