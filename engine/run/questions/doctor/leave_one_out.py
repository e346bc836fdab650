"""Leave one image out: which images set a layer's range, and its error without each. Imports torch."""

from typing import Any

import torch
from torch import Tensor

from engine.analysis.layers.errors import decibels
from engine.core.trace import watch_inputs
from engine.quantization.grids.quantizers import FIT_IMAGES, ActivationQuantizer
from engine.run.folders.folder import RunFolder
from engine.run.questions.doctor.inputs import fitted, readers_of
from engine.run.questions.why.opened import Opened, Tell, open_run, tell_nobody
from engine.run.questions.why.passes import without_grid
from engine.run.questions.why.through import pictures

NAMED = 3  # images a layer: those that reach furthest


@torch.no_grad()
def ranges(folder: RunFolder, tell: Tell = tell_nobody) -> dict[str, Any]:
    """{"run", "ranges", "pictures"}: see `ranges_of`; `pictures` has its images by their places.

    UserError in one line for a run that is not finished, or has no student.
    """
    run = open_run(folder, 1)
    tell(0, 1, "every layer's input, image by image")
    found = ranges_of(run)
    return {"run": folder.run_id, "ranges": found, "pictures": _pictures(run, found)}


def _pictures(run: Opened, found: list[dict[str, Any]]) -> dict[str, str]:
    """The images that are named, by their places, as addresses that need no request."""
    places = sorted({one["image"] for layer in found for one in layer["images"]})
    if not places or run.images[0].dim() != 3:
        return {}
    shown = pictures(run.images[places], *run.context.normalisation)
    return dict(zip(map(str, places), shown, strict=True))


@torch.no_grad()
def ranges_of(run: Opened) -> list[dict[str, Any]]:
    """For every grid of an input, by the first layer that reads it: its furthest images, left out one by one.

    [{"layer", "step", "images": [{"image", "reach", "step", "sqnr_db", "sqnr_without_db"}]}]: the step of the
    grid fitted to the first images as a run fits it, then for each of the furthest the step fitted without
    it, and the SQNR of the layer's output over the other images on either grid, on what the student reads.
    Places are among the images that the run was calibrated on. Grids that are not uniform are left out.
    """
    readers = readers_of(run)
    found: dict[str, dict[str, Any]] = {}
    heard: set[str] = set()

    def listen(grid: str, x: Tensor) -> None:
        if grid in heard:  # what is looked at here runs the grid itself
            return
        heard.add(grid)
        quantizer: Any = run.student.get_submodule(grid)
        if type(quantizer) is ActivationQuantizer:
            found[grid] = _of_layer(run, readers[grid], quantizer, x)

    with watch_inputs(run.student, readers, listen):
        run.student(run.context.for_device(run.images[:FIT_IMAGES]))
    return [found[grid] for grid in readers if grid in found]


def _of_layer(run: Opened, path: str, quantizer: Any, x: Tensor) -> dict[str, Any]:
    reach = x.abs().flatten(1).amax(1)
    whole = fitted(x, quantizer)
    wanted = run.teacher.get_submodule(path)(x)
    signal = _energy(wanted)
    noise = _noise(run, path, whole.of(x), wanted)
    images = []
    for place in reach.argsort(descending=True)[: min(NAMED, len(x) - 1)].tolist():
        others = [k for k in range(len(x)) if k != place]
        finer = fitted(x[others], quantizer)
        less = _noise(run, path, finer.of(x), wanted)
        of_others = float(signal[others].sum())
        images.append(
            {
                "image": place,
                "reach": float(reach[place]),
                "step": finer.scale,
                "sqnr_db": decibels(of_others, float(noise[others].sum())),
                "sqnr_without_db": decibels(of_others, float(less[others].sum())),
            }
        )
    return {"layer": path, "step": whole.scale, "images": images}


def _noise(run: Opened, path: str, read: Tensor, wanted: Tensor) -> Tensor:
    with without_grid(run.student.get_submodule(path)) as layer:
        return _energy(layer(read) - wanted)


def _energy(y: Tensor) -> Tensor:
    return y.double().square().flatten(1).sum(1)
