"""A finished run as the record that rules read. Imports torch."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.analysis.diagnosis.anatomy import dissect
from engine.analysis.diagnosis.branches import meetings
from engine.analysis.doctor.record import Fed, Images, Layer, Loss, Norm, RunRecord
from engine.analysis.inputs import normalisation
from engine.core.errors import UserError
from engine.core.events import LayerMeasured
from engine.core.trace import watch_inputs
from engine.quantization.grids.quantizers import FIT_IMAGES
from engine.quantization.transforms.equalisation import Pair, find_pairs
from engine.run.folders.folder import RunFolder
from engine.run.questions.compare import open_side
from engine.run.questions.doctor.inputs import grid_of, inputs_of
from engine.run.questions.doctor.losses import Losses
from engine.run.questions.why.opened import Opened, Tell
from engine.run.questions.why.origins import in_float
from engine.run.stages.quantization.quantize import chosen_method

WILD = 3.0  # times the median image's root mean square
MATCHED = 64  # images that the normalisation is judged by
TAKEN = ("real", "external")  # methods whose images are real, or may be


@torch.no_grad()
def record_of(folder: RunFolder, run: Opened, losses: Losses, tell: Tell) -> RunRecord:
    """Everything that rules read of the run; what it does not tell stays None."""
    method = chosen_method(run.context)
    recipe = folder.recipe
    steps = method.steps_of_the_whole() + sum(method.steps_of(block) for block in run.blocks)
    return RunRecord(
        run=folder.run_id,
        quantization=recipe.quantization,
        learns=steps > 0,
        settings=asdict(method.settings),
        layers=tuple(_layers(folder, run, losses, tell)),
        images=_images(folder, run),
        loss=losses.loss(),
        fed=_fed(run),
    )


def _layers(folder: RunFolder, run: Opened, losses: Losses, tell: Tell) -> Iterator[Layer]:
    measured = {e.path: e.values for _, e in folder.events() if isinstance(e, LayerMeasured)}
    anatomy = dissect(run.teacher, run.context.card.image_shape)
    seen = {one.path: one for one in anatomy.layers}
    writers = {pair.reader: pair for pair in _pairs(run)}
    read, order, deviations = inputs_of(run), list(run.plan), _deviations(run)
    met = meetings(run.teacher, run.context.for_device(run.images[:MATCHED]))
    for done, path in enumerate(order):
        tell(done, len(order), f"without the bits of {path}")
        values, bits = measured.get(path, {}), run.plan[path]
        with in_float(run, path):
            gain = float((losses.now - losses.of(run.student)).mean())
        quantized = bits.activation_bits is not None
        pair = writers.get(path)
        yield Layer(
            path=path,
            kind=seen[path].kind,
            weight_bits=bits.weight_bits,
            activation_bits=bits.activation_bits,
            sqnr_db=values.get("sqnr_local_db"),
            weights_db=values.get("sqnr_weights_db"),
            inputs_db=values.get("sqnr_activations_db") if quantized else None,
            edge="first" if path == order[0] else "last" if path == order[-1] else "",
            writer=pair.writer if pair else "",
            ratio=_ratio(run, pair) if pair else 1.0,
            norm=_norm(run, seen[path].batchnorm_behind, deviations),
            norm_before=_norm(run, seen[path].batchnorm_before, deviations),
            columns=_columns(_weight(run, path)),
            rows=_weight(run, path).abs().flatten(1).amax(1).double().numpy(force=True),
            input=read.get(grid_of(run, path)),
            meeting=met.get(path),
            float_gain=gain,
        )


def _weight(run: Opened, path: str) -> Tensor:
    weight = run.teacher.get_submodule(path).weight
    assert isinstance(weight, Tensor)
    return weight.detach()


def _columns(weight: Tensor) -> np.ndarray:
    columns: np.ndarray = weight.abs().transpose(0, 1).flatten(1).amax(1).double().numpy(force=True)
    return columns


def _pairs(run: Opened) -> list[Pair]:
    try:
        return find_pairs(run.teacher)
    except UserError:  # the data flow is hidden
        return []


def _norm(run: Opened, path: str, deviations: dict[str, np.ndarray]) -> Norm | None:
    module: Any = run.teacher.get_submodule(path) if path else None
    if module is None or module.running_var is None or path not in deviations:
        return None
    variance = module.running_var.double()
    gamma = torch.ones_like(variance) if module.weight is None else module.weight.double()
    return Norm(
        path=path, variance=variance.numpy(force=True),
        gamma=gamma.numpy(force=True), seen=deviations[path],
        eps=float(module.eps),
    )  # fmt: skip


def _deviations(run: Opened) -> dict[str, np.ndarray]:
    """The standard deviation of each channel that a BatchNorm reads in the teacher, by the norm's path."""
    sizes = run.images.square().flatten(1).mean(1)
    usual = run.images[sizes <= WILD**2 * sizes.median()]  # one that is wild would speak for all
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    paths = [path for path, module in run.teacher.named_modules() if isinstance(module, norms)]
    found: dict[str, np.ndarray] = {}

    def listen(path: str, x: Tensor) -> None:
        std = x.transpose(0, 1).flatten(1).std(1, correction=0)
        found[path] = std.double().numpy(force=True)

    with watch_inputs(run.teacher, paths, listen):
        run.teacher(run.context.for_device(usual[:FIT_IMAGES]))
    return found


def _ratio(run: Opened, pair: Pair) -> float:
    """The spread of r1 / r2 over living channels: what equalisation would take out (its factors squared)."""
    written = _weight(run, pair.writer).abs().flatten(1).amax(1).double()
    norm: Any = run.teacher.get_submodule(pair.norm) if pair.norm else None
    if norm is not None:
        written = written * norm.weight.abs() / (norm.running_var + norm.eps).sqrt()
    read, weight = torch.zeros_like(written), _weight(run, pair.reader)
    groups = int(getattr(run.teacher.get_submodule(pair.reader), "groups", 1))
    parts = [part.abs().transpose(0, 1).flatten(1).amax(1) for part in weight.chunk(groups)]
    read[:] = torch.cat(parts)
    alive = (written > 1e-3 * written.max()) & (read > 1e-3 * read.max())
    if not bool(alive.any()):
        return 1.0
    ratios = (written / read)[alive]
    return float(ratios.max() / ratios.min())


def _images(folder: RunFolder, run: Opened) -> Images:
    recipe = folder.recipe
    statistics = open_side(folder).statistics or {}
    steps = int(recipe.synthesis_settings.get("steps") or 0)
    return Images(
        count=len(run.images),
        synthesis=recipe.synthesis,
        made=recipe.synthesis not in TAKEN,
        optimised=steps > 0,
        steps=steps,
        sizes=run.images.square().flatten(1).mean(1).sqrt().double().numpy(force=True),
        alike=_mean(statistics, "feature_cosines"),
        distance=_mean(statistics, "bn_distance"),
        classes_seen=_mean(statistics, "classes_seen"),
        classes=run.context.classes,
    )


def _mean(statistics: dict[str, np.ndarray], name: str) -> float | None:
    values = np.asarray(statistics.get(name, ()), np.float64)
    return float(values.mean()) if values.size else None


def _fed(run: Opened) -> Fed | None:
    """How real images reach the first BatchNorm; None where there are none, or no such layer."""
    context = run.context
    x = run.test if context.test is not None else run.images
    stem = normalisation.stem_of(context.teacher, context.card.image_shape)
    real = context.test is not None or context.recipe.synthesis == "real"
    if not stem or not real:
        return None
    x = context.for_device(x[:MATCHED])
    declared = context.normalisation
    seen = normalisation.match(context.teacher, stem, x)
    name, usual, again = normalisation.best_common(context.teacher, stem, x, declared)
    own = (tuple(context.card.mean), tuple(context.card.std))
    if own != declared:
        mine = normalisation.match(
            context.teacher, stem, normalisation.renormalised(x, declared, own)
        )
        if mine.distance <= again.distance:
            name, usual, again = "the network's own", own, mine
    return Fed(
        stem=stem, mean=tuple(declared[0]), std=tuple(declared[1]), std_ratio=seen.std_ratio,
        mean_shift=seen.mean_shift, distance=seen.distance, near=seen.is_near, images=seen.images,
        better=name if again.is_near else "", better_mean=tuple(usual[0]), better_std=tuple(usual[1]),
        better_distance=again.distance,
    )  # fmt: skip


def failed_record(folder: RunFolder, message: str, layer: str) -> RunRecord:
    """Of a run that broke on values that are no numbers: nothing else can be told of it."""
    recipe, nothing = folder.recipe, np.zeros(0)
    images = Images(count=recipe.images, synthesis=recipe.synthesis, made=False, optimised=False, steps=0,
                    sizes=nothing, classes=0)  # fmt: skip
    return RunRecord(
        run=folder.run_id, quantization=recipe.quantization, learns=False, settings={}, layers=(),
        images=images, loss=Loss(value=float("inf"), unit="KL", images=0),
        not_finite=(layer,) if layer else (), failed=message,
    )  # fmt: skip
