"""Bits that were chosen by measuring, kept in the run's folder."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from engine.core.events import BitsChosen, Event, Noted
from engine.core.outside.reading import read_object
from engine.quantization.plan import LayerBits
from engine.run.context import Context
from engine.run.folders.damage import quarantined
from engine.run.folders.folder import write_atomically
from engine.run.recipes.checks import BITS
from engine.run.uniform_budget import cost_words, fits, rival

FILE = "bits.json"


def _read(context: Context) -> dict[str, Any] | None:
    kept = read_object(context.folder.path / FILE)
    return kept if kept is not None and _is_sound(kept, context) else None


def _is_sound(kept: dict[str, Any], context: Context) -> bool:
    """Whether it has bits for every layer; older files have none of the inputs."""
    weights, inputs = kept.get("weight_bits"), kept.get("activation_bits", {})
    return (
        isinstance(weights, dict)
        and weights.keys() == context.plan.keys()
        and all(_is_width(bits) for bits in weights.values())
        and isinstance(inputs, dict)
        and all(bits is None or _is_width(bits) for bits in inputs.values())
        and "report" in kept
    )


def _is_width(bits: object) -> bool:
    return type(bits) is int and BITS[0] <= bits <= BITS[1]


def forget_damaged(context: Context) -> Iterator[Event]:
    """Set a file aside that holds no bits for these layers: they are chosen anew, and come out the same."""
    if (context.folder.path / FILE).exists() and _read(context) is None:
        yield quarantined(context.folder.path / FILE)


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
    write_atomically(context.folder.path / FILE, content)
    restore_bits(context)
    yield BitsChosen(weight_bits=bits, activation_bits=inputs, report=report)
    yield from _warn(report)


def _warn(report: dict[str, Any]) -> Iterator[Event]:
    if "kernels" in report:
        yield Noted(message=report["kernels"]["sentence"])
    other = rival(report)
    if other is None or not fits(report, other):
        return
    mine, theirs = report["chosen"]["kl_together"], other["kl_together"]
    if mine >= theirs:
        how, than = ("as far", "as") if mine == theirs else ("further", "than")
        yield Noted(
            message=f"No gain from mixed bits here: rounded to nearest, the chosen ones are {how} from the "
            f"teacher (KL {mine:.4g}) {than} {other['weight_bits']} bits in every layer ({theirs:.4g})"
            f"{cost_words(report, other)}. The sensitivities summed to more than all layers at once keep."
        )


def allocation(context: Context) -> dict[str, Any]:
    """`allocation` for the result, where bits were chosen."""
    kept = _read(context)
    return {} if kept is None else {"allocation": kept["report"]}
