"""`resources`: what a finished run's network costs: bytes, bit operations, energy, time, kept apart."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from engine.run.commands.finished_run.answered import Question, answered
from engine.run.commands.printed.tables import table


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add it to the command line; `add` takes its name, what it does, and a line on it."""
    text = "tell a finished run's bytes, bit operations, energy and time beside the float network's"
    add("resources", resources, text).add_argument("run", metavar="RUN")


def resources(options: argparse.Namespace) -> int:
    found = answered(options, "resources", _question)
    print(json.dumps(found) if options.json else _as_text(found))
    return 0


def _question() -> Question:
    from engine.run.questions.costs.resources import resources

    return resources


def _as_text(found: dict[str, Any]) -> str:
    size, moved, spent = found["bytes"], found["bit_operations"], found["energy_uj"]
    plain, quantized = spent["fp32"], spent["quantized"]
    rows = [
        ("bytes", f"{size['fp32']:,}", f"{size['quantized']:,}", size["how"]),
        ("bit operations", f"{moved['fp32']:.3g}", f"{moved['quantized']:.3g}", moved["how"]),
        ("µJ of arithmetic", f"{plain['arithmetic']:.3g}", f"{quantized['arithmetic']:.3g}",
         spent["how"]),
        ("µJ, weights cached", _range(plain["weights_cached"]), _range(quantized["weights_cached"]),
         spent["source"]),
        ("µJ, weights in DRAM", _range(plain["weights_dram"]), _range(quantized["weights_dram"]), ""),
    ]  # fmt: skip
    time = found["latency_ms"]
    if time is not None:
        threads = f"{time['threads']} thread{'s' if time['threads'] > 1 else ''}"
        how = f"{time['how']}, {threads}"
        rows.append(("ms an image", f"{time['float']:.3f}", f"{time['quantized']:.3f}", how))
    lines = [table([("", "float32", "quantized", "how it is known"), *rows]), ""]
    return "\n".join([*lines, *filter(None, [found["latency_note"]]), found["sentence"]])


def _range(ends: list[float]) -> str:
    return f"{ends[0]:.3g} to {ends[1]:.3g}"
