"""Bits that were chosen by measuring, kept in the run's folder."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from engine.core.events import BitsChosen, Event, Noted
from engine.quantization.plan import LayerBits
from engine.run.budget import cost_words, fits, rival
from engine.run.context import Context
from engine.run.folder import write_atomically


def _read(context: Context) -> dict[str, Any] | None:
    file = context.folder.path / "bits.json"
    if not file.exists():
        return None
    kept: dict[str, Any] = json.loads(file.read_text())
    return kept


def restore_bits(context: Context) -> bool:
    """Put the bits in the folder into the context's plan; False where there are none yet."""
    kept = _read(context)
    if kept is None:
        return False
    for path, bits in kept["weight_bits"].items():
        inputs = kept.get("activation_bits", {}).get(path, context.plan[path].activation_bits)
        context.plan[path] = replace(context.plan[path], weight_bits=bits, activation_bits=inputs)
    return True


def keep_bits(
    context: Context, plan: Mapping[str, LayerBits], report: dict[str, Any]
) -> Iterator[Event]:
    """Write the bits for good, take them into the plan, and report them."""
    bits = {path: layer.weight_bits for path, layer in plan.items()}
    inputs = {path: layer.activation_bits for path, layer in plan.items()}
    kept = {"weight_bits": bits, "activation_bits": inputs, "report": report}
    content = json.dumps(kept).encode()
    write_atomically(context.folder.path / "bits.json", content)
    restore_bits(context)
    yield BitsChosen(weight_bits=bits, activation_bits=inputs, report=report)
    yield from _warn(report)


def _warn(report: dict[str, Any]) -> Iterator[Event]:
    other = rival(report)
    if other is None or not fits(report, other):
        return
    mine, theirs = report["chosen"]["kl_together"], other["kl_together"]
    if mine >= theirs:
        how, than = ("as far", "as") if mine == theirs else ("further", "than")
        yield Noted(
            message=f"No gain from mixed bits here: rounded to nearest, the chosen ones are {how} from the "
            f"teacher (KL {mine:.4g}) {than} {other['weight_bits']} bits in every layer ({theirs:.4g})"
            f"{cost_words(report, other)}. The sum of harms promised more than all layers at once keep."
        )


def allocation(context: Context) -> dict[str, Any]:
    """`allocation` for the result, where bits were chosen."""
    kept = _read(context)
    return {} if kept is None else {"allocation": kept["report"]}
