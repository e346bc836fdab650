"""The tables behind a choice of bits: every layer at every width, and what each does alone. Imports torch."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.analysis.layers.bit_tables import WIDTHS, BitTables
from engine.core.trace import watch_inputs
from engine.models.graph.macs import count_macs
from engine.quantization.bits.partial_student import PartialStudent
from engine.run.questions.why.opened import Opened, Tell, tell_nobody
from engine.run.stages.judging.sizes import stored_layers
from engine.run.stages.quantization.quantize import chosen_method

IMAGES = 32  # that a run measures its layers on, and fits its grids to


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The tables, and the student that they were measured with."""

    tables: BitTables
    partial: PartialStudent
    inputs: dict[str, int]  # bits of each input that the run quantizes, by what owns it


@torch.no_grad()
def measured_tables(run: Opened, tell: Tell = tell_nobody) -> Measured:
    """Every layer's error at every pair of widths, and the divergence by its weights or its input alone.

    Grids are fitted to the teacher's inputs; a run fits them behind the errors of earlier blocks.
    """
    context, paths = run.context, list(run.plan)
    x = context.for_device(run.images[:IMAGES])
    makers = chosen_method(context).makers()
    partial = PartialStudent(run.teacher, run.blocks, run.plan, x, makers)
    signal, noise = [], []
    for done, path in enumerate(paths):
        tell(done, len(paths), f"errors of {path} at 2 to 8 bits")
        energy, rows = _errors(run, partial, path, x)
        signal.append(energy)
        noise.append(rows)
    stored = stored_layers(context, run.student)
    by_weights, by_inputs = _divergences(run, partial, tell)
    macs = count_macs(run.teacher, paths, x[:1])
    tables = BitTables(
        paths=paths, signal=signal, noise=noise,
        weights=[one.weights for one in stored],
        rest_bytes=[one.rest_bytes for one in stored],
        macs=[macs[path] for path in paths],
        kl_weights=by_weights, kl_inputs=by_inputs,
    )  # fmt: skip
    inputs: dict[str, int] = {}
    for path, bits in run.plan.items():
        if bits.activation_bits is not None:
            who = partial.owner[path]
            inputs[who] = max(bits.activation_bits, inputs.get(who, 0))
    return Measured(tables=tables, partial=partial, inputs=inputs)


def _errors(
    run: Opened, partial: PartialStudent, path: str, x: Tensor
) -> tuple[float, list[list[float]]]:
    """(⟨y, y⟩, [7][8] of ⟨e, e⟩) of a layer alone on what the teacher's reads, all its calls together."""
    calls: dict[str, list[Tensor]] = defaultdict(list)
    with watch_inputs(run.teacher, [path], lambda where, seen: calls[where].append(seen.clone())):
        run.teacher(x)
    teacher, layer = run.teacher.get_submodule(path), partial.model.get_submodule(path)
    wanted = [teacher(seen) for seen in calls[path]]
    signal = sum(float(y.double().square().sum()) for y in wanted)
    read: list[list[Tensor]] = []
    for bits in WIDTHS:
        grid = partial.fitted(partial.owner[path], "input", bits)
        read.append([grid(seen) for seen in calls[path]])
    read.append(calls[path])
    rows = []
    for bits in WIDTHS:
        with partial.switched({path: bits}):
            rows.append([_energy(layer, each, wanted) for each in read])
    return signal, rows


def _energy(layer: Any, read: list[Tensor], wanted: list[Tensor]) -> float:
    pairs = zip(read, wanted, strict=True)
    return sum(float((layer(x).double() - y).square().sum()) for x, y in pairs)


def _divergences(
    run: Opened, partial: PartialStudent, tell: Tell
) -> tuple[list[list[float]] | None, list[list[float]] | None]:
    """[L][7] and [L][8]; None for a network whose outputs are no scores of classes."""
    if not run.context.output.compares_scores:
        return None, None
    by_weights, by_inputs, seen = [], [], set()
    for done, (path, bits) in enumerate(run.plan.items()):
        tell(done, len(run.plan), f"what {path} alone does to the predictions")
        by_weights.append([partial.divergence({path: width}) for width in WIDTHS])
        owner = partial.owner[path]
        counted = owner in seen or bits.activation_bits is None
        seen.add(owner)
        alone = [0.0 if counted else partial.divergence({}, {owner: width}) for width in WIDTHS]
        by_inputs.append([*alone, 0.0])
    return by_weights, by_inputs
