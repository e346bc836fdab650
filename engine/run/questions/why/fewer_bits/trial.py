"""A choice of bits measured for real, with everything quantized at once. Imports torch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine.analysis.answers.accuracy import agreement, logit_kl, wilson
from engine.core.errors import UserError
from engine.quantization.bits.partial_student import PartialStudent
from engine.quantization.plan import LayerBits
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.fewer_bits.tables import IMAGES as FITTED
from engine.run.questions.why.opened import Opened, Tell, open_run, tell_nobody
from engine.run.recipes.layer_bits import SETTING, with_bits
from engine.run.stages.quantization.quantize import chosen_method

ROUNDING = "nearest"  # of what is measured here
IMAGES = 200  # that it is judged on, as the front's points are


@torch.no_grad()
def trial(
    folder: RunFolder, bits: Mapping[str, Mapping[str, int]], tell: Tell = tell_nobody
) -> dict[str, Any]:
    """{"run", "images", "bits", "kl", "agreement", "agreement_band", "rounding", "own"} at these bits.

    bits: {"weight_bits": {PATH: BITS}, "activation_bits": {PATH: BITS}} as in a recipe; layers that are not
    named keep the run's bits. Rounded to the nearest, by the run's own range rules, on grids fitted to the
    float network's inputs, as the tables of `bits` are, whatever the run's own rounding: `own` has the "kl",
    "agreement" and "agreement_band" of the run's bits by the same grids, to compare with. UserError for bits
    that the network cannot have, and for one without scores of classes.
    """
    run = open_run(folder, IMAGES)
    if not run.context.output.compares_scores:
        raise UserError(
            f"run {folder.run_id!r} is of a network without scores of classes (its output is of the kind "
            f"{run.context.output.kind}), so that no loss can be measured; see each layer's SQNR in `bits`"
        )
    plan = with_bits(run.plan, {SETTING: bits})
    tell(0, 3, "grids at these bits")
    x = run.context.for_device(run.images[:FITTED])
    partial = PartialStudent(run.teacher, run.blocks, plan, x, chosen_method(run.context).makers())
    wanted = run.outputs(run.teacher, run.test)
    tell(1, 3, "images through the network at these bits")
    found = _measured(run, partial, plan, wanted)
    tell(2, 3, "images through the network at the run's own bits")
    same = plan == run.plan
    return {
        "run": folder.run_id,
        "images": len(run.test),
        "bits": {kind: dict(named) for kind, named in bits.items()},
        **found,
        "rounding": ROUNDING,
        "own": found if same else _measured(run, partial, run.plan, wanted),
    }


def _measured(
    run: Opened, partial: PartialStudent, plan: Mapping[str, LayerBits], wanted: Tensor
) -> dict[str, Any]:
    """{"kl", "agreement", "agreement_band"} with everything at the plan's bits, against the float outputs."""
    weights = {path: one.weight_bits for path, one in plan.items()}
    inputs = {
        partial.owner[path]: one.activation_bits
        for path, one in plan.items()
        if one.activation_bits is not None
    }
    with partial.switched(weights, inputs):
        given = run.outputs(partial.model, run.test)
    same = agreement(wanted, given)
    return {
        "kl": logit_kl(wanted, given),
        "agreement": same,
        "agreement_band": list(wilson(round(same * len(given)), len(given))),
    }
