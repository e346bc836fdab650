"""What fewer bits do to a network, measured at every stop of the start page's slider.

Each stop is a whole run, as anybody would start it: images and steps of `quick`, activations of 4 bits;
once with every weight rounded to its nearest level, once with the project's own quantizer.
"""

import json
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.core import device as devices
from engine.core.errors import UserError
from engine.core.percent import percent
from engine.run import new_recipe
from engine.run.benches.start.shipped import (
    ACTIVATION_BITS,
    BITS,
    NETWORKS,
    ROUNDINGS,
    WALL_COLUMNS,
    WALL_IMAGES,
)
from engine.run.context import Context, make_context
from engine.run.folders.control import Control
from engine.run.folders.folder import RunFolder, write_atomically
from engine.run.folders.tail import follow
from engine.run.stages.quantization.quantize import load_student
from engine.run.stages.synthesis.pictures import montage
from engine.run.workers.launch import start

CHUNK = 100  # images that pass a network together


def bits_slider(
    runs: Path, out: Path, tell: Callable[[str], None], networks: Sequence[str] = tuple(NETWORKS)
) -> dict[str, Any]:
    """Top-1 with its band, size, SQNR of each layer and the wall of answers, at each stop.

    The file `out` is written anew after every network, with the wall's images beside it (`out` with the
    suffix .webp); begun again, what was finished is found among the runs.
    """
    result: dict[str, Any] = {
        "command": "python -m engine bench bits-slider",
        "activation_bits": ACTIVATION_BITS,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "networks": [],
    }
    for name in networks:
        found, wall = _network(name, runs, tell)
        result["networks"].append(found)
        result["date"] = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        result["wall"] = wall[1]
        write_atomically(out.with_suffix(".webp"), wall[0])
        write_atomically(out, (json.dumps(result) + "\n").encode())
    return result


def _network(
    name: str, runs: Path, tell: Callable[[str], None]
) -> tuple[dict[str, Any], tuple[bytes, dict[str, float]]]:
    """All that is said of one network; and the wall's images as one picture, with their layout."""
    found: dict[str, Any] = {"name": name, "roundings": {one: [] for one in ROUNDINGS}}
    result: dict[str, Any] = {}
    for bits in BITS:
        for rounding in ROUNDINGS:
            folder, result = _finished(name, rounding, bits, runs)
            context = _context(folder)
            x, labels = _wall(context)
            answers = _answers(load_student(context), x)
            found["roundings"][rounding].append(stop(result, answers))
            tell(f"{name}, {rounding}, {bits} bits: {percent(result['quantized_top1'], 2)}")
    found |= {
        "title": context.card.title,
        "classes": list(context.card.classes),
        "float_top1": result["fp32_top1"],
        "float_band": result["top1_band"]["fp32"],
        "float_bytes": result["size_bytes"]["fp32"],
        "test_images": result["test_images"],
        "test_set": result["test_set"],
        "labels": labels,
        "teacher": _answers(context.teacher, x),
    }
    mean, std = context.normalisation
    return found, montage(x, mean, std, most=WALL_IMAGES, columns=WALL_COLUMNS)


def stop(result: dict[str, Any], answers: list[int]) -> dict[str, Any]:
    """What the slider tells at one stop, of a run's result and the student's answers to the wall.

    `weakest`: the layer of the lowest SQNR, were it alone quantized, among those of the fewest bits.
    """
    layers = result["layers"]
    fewest = [one for one in layers if one["weight_bits"] == min(o["weight_bits"] for o in layers)]
    weakest = min(fewest, key=lambda one: one["sqnr_local_db"])
    return {
        "bits": result["weight_bits"],
        "top1": result["quantized_top1"],
        "band": result["top1_band"]["quantized"],
        "drop": result["top1_drop"],
        "agreement": result["agreement"],
        "bytes": result["size_bytes"]["quantized"],
        "weakest": {"path": weakest["path"], "sqnr_db": weakest["sqnr_local_db"]},
        "answers": answers,
    }


def _finished(name: str, rounding: str, bits: int, runs: Path) -> tuple[RunFolder, dict[str, Any]]:
    """The run of one stop and its result, made now unless it is there."""
    method, synthesis = ROUNDINGS[rounding], NETWORKS[name]
    recipe = new_recipe(
        preset="quick", runs=runs, model=name, synthesis=synthesis, quantization=method,
        weight_bits=bits, activation_bits=ACTIVATION_BITS, seed=0,
    )  # fmt: skip
    folder = start(recipe, runs)
    for _ in follow(folder):
        pass
    result = folder.result()
    if result is None:
        raise UserError(
            f"run {folder.run_id} did not finish; its worker.log in {folder.path} says why"
        )
    return folder, result


def _context(folder: RunFolder) -> Context:
    control = Control(folder.path, lambda _state: None)
    return make_context(folder.recipe, folder, control, devices.choose())


def _wall(context: Context) -> tuple[Tensor, list[int]]:
    """The first test images, none chosen, and their labels."""
    test = context.test
    if test is None or test.labels is None:
        raise UserError(
            f"network {context.recipe.model!r} has no labelled test images to judge by; choose one that has"
        )
    return test.first(WALL_IMAGES), test.labels[:WALL_IMAGES].tolist()


@torch.no_grad()
def _answers(model: nn.Module, x: Tensor) -> list[int]:
    """The class that the network takes each image for."""
    found = [model(part).argmax(1).cpu() for part in x.split(CHUNK)]
    return [int(answer) for answer in torch.cat(found)]
