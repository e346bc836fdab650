"""What other bits would do to a finished run's network: tables, cliffs and the front. Imports torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from engine.analysis.answers.accuracy import agreement, logit_kl
from engine.analysis.layers.bit_tables import FLOAT, WIDTHS, alike, cliff, follow
from engine.core.errors import UserError
from engine.quantization.bits.candidates import find_tied_layers
from engine.quantization.bits.cost_table import Costs, make_table
from engine.quantization.bits.solvers import pareto_front
from engine.quantization.plan import LayerBits, plan_bits
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.fewer_bits.tables import Measured, measured_tables
from engine.run.questions.why.opened import Opened, Tell, open_run, tell_nobody

POINTS = 12  # of the front
TRIED = 5  # of those, measured with everything quantized at once
IMAGES = 200  # that these are judged on


def bits(folder: RunFolder, tell: Tell = tell_nobody) -> dict[str, Any]:
    """Every layer's SQNR at 2 to 8 bits, its cliff, and the front of size against predicted divergence.

    {"run", "layers": [{"path", "sqnr_db": {"2", .., "8"}, "cliff"}], "front": [{"size_bytes",
    "predicted_kl", "weight_bits", "activation_bits", "measured": {"kl", "agreement"} or None}], "tables",
    "planned": {"weight_bits", "activation_bits"}, "held": {the same, of what the edge rule holds},
    "shared_inputs": [[PATH, ..], ..], "notes"}. All with nearest rounding, by the run's own range
    rules, on grids fitted to the float network's inputs: where earlier layers err much, a run fits others and
    measures less. `tables`: see `engine.analysis.layers.bit_tables`, whose `follow` answers any other choice.
    On the front first and last layers stay where the edge rule holds them, and inputs where the run has them.
    """
    run = open_run(folder, IMAGES)
    check_widths(run.plan)
    measured = measured_tables(run, tell)
    tables, plan = measured.tables, run.plan
    sqnr = alike(tables, [plan[path].activation_bits is not None for path in plan])
    result = folder.result() or {}
    notes = [result["other_engine"]] if "other_engine" in result else []
    if tables.kl_weights is None:
        notes.append(
            "This network gives no scores of classes, so that no divergence can be predicted and there is no "
            "front; see each layer's SQNR."
        )
    return {
        "run": folder.run_id,
        "layers": [
            {"path": path, "sqnr_db": sqnr[path], "cliff": cliff(sqnr[path])} for path in plan
        ],
        "front": _front(run, measured, tell),
        "tables": tables.plain(),
        "planned": {
            "weight_bits": {path: one.weight_bits for path, one in plan.items()},
            "activation_bits": {path: one.activation_bits for path, one in plan.items()},
        },
        "held": held(run),
        "shared_inputs": shared_inputs(plan),
        "notes": notes,
    }


def check_widths(plan: Mapping[str, LayerBits]) -> None:
    """UserError where a layer has bits that no table has: not every range rule has levels for 1 bit."""
    few = [path for path, one in plan.items() if one.weight_bits < WIDTHS[0]]
    if few:
        raise UserError(
            f"{len(few)} layers of this run have {plan[few[0]].weight_bits} bit a weight, {few[0]} first; "
            f"other bits are measured from {WIDTHS[0]} on: ask a run of {WIDTHS[0]} or more"
        )
    signs = [path for path, one in plan.items() if one.activation_bits == 1]
    if signs:
        raise UserError(
            f"the inputs of {len(signs)} layers of this run have 1 bit, {signs[0]} first; other bits are "
            f"measured from {WIDTHS[0]} on: ask a run of {WIDTHS[0]} or more"
        )


def held(run: Opened) -> dict[str, dict[str, int | None]]:
    """What the recipe's edge rule holds, by kind and path: its own bits do not reach there.

    None: the image, which stays as it is.
    """
    low, high = (
        plan_bits(
            run.blocks, weight_bits=w, activation_bits=w, edge_rule=run.context.recipe.edge_rule
        )
        for w in (WIDTHS[0], WIDTHS[1])
    )
    return {
        "weight_bits": {
            path: one.weight_bits
            for path, one in low.items()
            if one.weight_bits == high[path].weight_bits
        },
        "activation_bits": {
            path: one.activation_bits
            for path, one in low.items()
            if one.activation_bits == high[path].activation_bits
        },
    }


def shared_inputs(plan: Mapping[str, LayerBits]) -> list[list[str]]:
    """The layers that read one input, which one grid quantizes for all of them; those alone are left out."""
    found: dict[str, list[str]] = {}
    for path, one in plan.items():
        if one.by_block and one.activation_bits is not None:
            found.setdefault(one.block, []).append(path)
    return [paths for paths in found.values() if len(paths) > 1]


def _front(run: Opened, measured: Measured, tell: Tell) -> list[dict[str, Any]]:
    tables, plan = measured.tables, run.plan
    kl = tables.kl_weights
    groups = find_tied_layers(plan, {path: path for path in plan}, WIDTHS, inputs=False)
    if kl is None or not groups:
        return []
    place = {path: k for k, path in enumerate(tables.paths)}
    costs = Costs(
        kind="bytes", weights=dict(zip(tables.paths, tables.weights, strict=True)), macs={}
    )
    table = make_table(groups, costs, lambda path, _, width: kl[place[path]][WIDTHS.index(width)])
    front = pareto_front(table)
    kept = sorted({int(k) for k in np.linspace(0, len(front) - 1, POINTS).round()})
    tried = {kept[int(k)] for k in np.linspace(0, len(kept) - 1, TRIED).round()}
    found = []
    for done, k in enumerate(kept):
        tell(done, len(kept), "points of the front")
        width = {path: one.weight_bits for path, one in plan.items()}
        for group, row, pick in zip(groups, table, front.allocation(k).picks, strict=True):
            width |= dict(zip(group.layers, row[pick].bits.weights, strict=True))
        found.append(_point(run, measured, width, tried=k in tried))
    return found


def _point(
    run: Opened, measured: Measured, width: dict[str, int], *, tried: bool
) -> dict[str, Any]:
    reads = {path: one.activation_bits for path, one in run.plan.items()}
    follows = follow(measured.tables, list(width.values()), [b or FLOAT for b in reads.values()])
    return {
        "size_bytes": follows.size_bytes,
        "predicted_kl": follows.predicted_kl,
        "weight_bits": width,
        "activation_bits": reads,
        "measured": together(run, measured, width) if tried else None,
    }


@torch.no_grad()
def together(run: Opened, measured: Measured, width: dict[str, int]) -> dict[str, float]:
    """{"kl", "agreement"} with these bits and the run's inputs at once, on the images it was judged on."""
    wanted = run.outputs(run.teacher, run.test)
    with measured.partial.switched(width, measured.inputs):
        given = run.outputs(measured.partial.model, run.test)
    return {"kl": logit_kl(wanted, given), "agreement": agreement(wanted, given)}
