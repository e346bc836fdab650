"""A recipe, executed: synthesise, quantize, judge, as one stream of events."""

import platform
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from engine.core import device as devices
from engine.core.events import Event, LayerMeasured, Noted, RunStarted, StageFinished, Stepped
from engine.core.outside import slow_code
from engine.run.context import Context, layer_facts, make_context
from engine.run.folders.control import Control
from engine.run.folders.folder import RunFolder
from engine.run.folders.version import engine_version
from engine.run.machine.memory_limit import Room
from engine.run.machine.resources import peak_memory_mb
from engine.run.recipes.left_out_images import kept_indices
from engine.run.recipes.recipe import Recipe
from engine.run.stages.judging.judge import Verdict, judge
from engine.run.stages.judging.label_check import check_labels, require_labels_inside
from engine.run.stages.judging.sizes import sizes
from engine.run.stages.memory.check import make_room
from engine.run.stages.quantization.bits import allocation
from engine.run.stages.quantization.quantize import chosen_method, load_student, quantize
from engine.run.stages.synthesis.reuse import find_images, take_over
from engine.run.stages.synthesis.synthesise import load_images, synthesise


def execute(
    recipe: Recipe,
    folder: RunFolder,
    control: Control,
    device: torch.device,
    room: Room,
) -> Iterator[Event]:
    """Run the recipe in its folder, from where it stands; yields what happens, writes the result last."""
    resumed = any(isinstance(event, RunStarted) for _, event in folder.events())
    with slow_code.reported(lambda words: folder.append(Noted(message=words))):
        context = make_context(recipe, folder, control, device)
    chosen_method(context)  # settings that cannot go together are told now, not after the synthesis
    require_labels_inside(context.test, context.classes)
    yield RunStarted(
        device=devices.describe(device),
        threads=torch.get_num_threads(),
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "engine": engine_version(),
        },
        bn_layers=context.stored.paths,
        blocks=[{"name": b.name, "layers": list(b.layers)} for b in context.blocks],
        layers=list(layer_facts(context)),
        resumed=resumed,
    )
    yield from (Noted(message=note) for note in context.notes)
    yield from check_labels(context)
    source = find_images(recipe, folder)
    yield from make_room(context, room, images_there=source is not None)
    yield from synthesise(context) if source is None else take_over(source, folder)
    images = load_images(context)
    yield from quantize(context, images[kept_indices(recipe.quantization_settings, len(images))])
    verdict = Verdict({})
    student = load_student(context)
    yield from judge(context, student, verdict)
    folder.finish(_result(context, student, verdict.values))


def _result(context: Context, student: nn.Module, verdict: dict[str, Any]) -> dict[str, Any]:
    """What the command line prints; layers and seconds are read back from the run's own events."""
    recipe = context.recipe
    layers: dict[str, dict[str, Any]] = {}
    seconds = dict.fromkeys(("synthesis", "quantization", "evaluation"), 0.0)
    reused: dict[str, dict[str, Any]] = {}
    gaps: list[float] = []
    last_gap = None
    for _, event in context.folder.events():
        if isinstance(event, LayerMeasured):
            bits = context.plan[event.path]
            layers[event.path] = {
                "path": event.path,
                "weight_bits": bits.weight_bits,
                "activation_bits": bits.activation_bits,
                **_measured(event.values),
            }
        elif isinstance(event, StageFinished):
            seconds[event.stage] += round(event.seconds, 2)
            if event.reused_from:
                spent = reused.get(event.stage, {}).get("seconds", 0.0) + event.values["reused_s"]
                reused[event.stage] = {"run": event.reused_from, "seconds": round(spent, 2)}
            last_gap = event.values.get("bn_gap", last_gap)
        elif isinstance(event, Stepped) and event.bn_gap and not gaps:
            gaps = event.bn_gap
    weighed = sizes(context, student)
    return {
        "run": context.folder.run_id,
        "model": recipe.model,
        "synthesis": recipe.synthesis,
        "quantization": recipe.quantization,
        "weight_bits": recipe.weight_bits,
        "activation_bits": recipe.activation_bits,
        "seed": recipe.seed,
        "preset": recipe.preset,
        "images": recipe.images,
        "edge_rule": recipe.edge_rule,
        **verdict,
        "bn_gap": {"first": sum(gaps) / len(gaps) if gaps else None, "last": last_gap},
        "layers": [layers[path] | weighed.layers[path] for path in context.plan],
        **weighed.network,
        **allocation(context),
        "seconds": seconds,
        "reused": reused,  # stages that another run had done, and what they cost it
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "device": devices.describe(context.device),
        "engine": engine_version(),
    }


def _measured(values: dict[str, float]) -> dict[str, float]:
    """All that was measured of a layer, bits aside: decibels to a thousandth, the others in six digits."""
    return {
        name: round(value, 3) if name.endswith("_db") else float(f"{value:.6g}")
        for name, value in values.items()
        if name not in ("weight_bits", "activation_bits")
    }
