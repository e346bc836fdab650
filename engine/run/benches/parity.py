"""The published figures' own setting, run again: CIFAR-10, a pretrained ResNet, W4A4 and W2A4, three seeds.

GENIE's released code, in this setting (128 images of 500 steps, 400 reconstruction steps a block, its own
rule for the first and last layers, rounding regulariser 1.0), gave ResNet-20 91.35 % at W4A4 and 81.02 % at
W2A4, one seed, on 1017 test images of which the first 1000 are used here.
"""

import json
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.torch import save
from torch import nn

from engine.core.errors import UserError
from engine.models.architectures.resnet import SmallResNet
from engine.models.checkpoints.read import read_checkpoint
from engine.run import new_recipe
from engine.run.benches.image_files import write_images, write_table
from engine.run.folders.folder import write_atomically
from engine.run.folders.tail import follow
from engine.run.workers.launch import start

PUBLISHED = {"W4A4": 0.9135, "W2A4": 0.8102}
IMAGES = "test-0000-0999.png"  # one row of the picture is one image
SIDE = 32
CHECKPOINTS = {20: "resnet20-12fca82f.th", 56: "resnet56-4bfd9763.th"}
STEPS = 400  # of reconstruction, for each block
METHODS: dict[str, dict[str, Any]] = {
    "nearest": {},
    "genie-m": {"steps": STEPS, "rounding_weight": 1.0},
    "quantoscope": {"steps": STEPS},
}
SEEDS = (0, 1, 2)


def resnet20() -> nn.Module:
    """The network of the published checkpoint."""
    return SmallResNet(20, 3, 10, "A")


def resnet56() -> nn.Module:
    """Its deeper sibling."""
    return SmallResNet(56, 3, 10, "A")


def parity(data: Path, runs: Path, depth: int = 20) -> dict[str, Any]:
    """Top-1 of each method at each bit setting, seed by seed, beside the published figures.

    `data` holds the checkpoint, the first 1000 test images as one picture and labels.json.
    """
    network = cifar_network(data, runs / "parity", depth)
    folder = runs / "parity" / f"resnet{depth}"
    found: dict[str, Any] = {"published (ResNet-20)": PUBLISHED}
    for method, settings in METHODS.items():
        for bits in (4, 2):
            results = list(results_of(network, method, settings, bits, folder))
            tops = [result["quantized_top1"] for result in results]
            found |= {"float": results[0]["fp32_top1"], "test_images": results[0]["test_images"]}
            found[f"{method} W{bits}A4"] = {
                "top1": tops,
                "mean": round(statistics.mean(tops), 4),
                "seconds": [result["seconds"]["quantization"] for result in results],
            }
    return found


def cifar_network(data: Path, scratch: Path, depth: int) -> dict[str, Any]:
    """What a recipe says of the published ResNet of that depth, and of the images to judge it with."""
    return {
        "model": f"{Path(__file__).resolve()}:resnet{depth}",
        "weights": str(_weights(data, scratch / f"resnet{depth}", CHECKPOINTS[depth])),
        "data": str(_images(data, scratch / "cifar10-test-1000")),
        "model_settings": {"image_shape": [3, SIDE, SIDE]},
    }


def results_of(
    network: dict[str, Any], method: str, settings: dict[str, Any], bits: int, runs: Path,
    seeds: Iterable[int] = SEEDS,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The results of all seeds, on 128 images of 500 steps; those made for one method serve all."""
    for seed in seeds:
        recipe = new_recipe(
            **network, runs=runs, preset="standard", synthesis="genie", images=128, seed=seed,
            synthesis_settings={"steps": 500}, quantization=method,
            quantization_settings=dict(settings), weight_bits=bits, activation_bits=4,
        )  # fmt: skip
        run = start(recipe, runs)
        for _ in follow(run):
            pass
        result = run.result()
        if result is None:
            raise UserError(
                f"run {run.run_id} did not finish; its worker.log in {run.path} says why"
            )
        yield result


def _weights(data: Path, folder: Path, name: str) -> Path:
    """The published checkpoint with this project's name for the classifier."""
    if not (data / name).is_file():
        raise UserError(f"--data {data} holds no {name}; give the folder with the checkpoint")
    tensors = read_checkpoint(data / name).tensors
    renamed = {key.replace("linear.", "fc."): value.contiguous() for key, value in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "weights.safetensors"
    write_atomically(file, save(renamed))
    return file


def _images(data: Path, folder: Path) -> Path:
    """The test images as files, with their labels."""
    return image_folder(data, {"": [IMAGES]}, folder)


def image_folder(data: Path, pictures: Mapping[str, Sequence[str]], folder: Path) -> Path:
    """Every row of these pictures of `data` as an image file, named by its group, with their labels."""
    lines: list[str] = []
    for group, names in pictures.items():
        pixels, labels = _read(data, names)
        lines += write_images(folder, pixels, labels, group)
    write_table(folder, lines)
    return folder


def _read(data: Path, names: Sequence[str]) -> tuple[np.ndarray, list[int]]:
    for name in (*names, "labels.json"):
        if not (data / name).is_file():
            raise UserError(
                f"--data {data} holds no {name}; give the folder with CIFAR-10's images"
            )
    known = json.loads((data / "labels.json").read_text())
    labels = [label for name in names for label in known[name]]
    parts = []
    for name in names:
        with Image.open(data / name) as picture:
            parts.append(np.asarray(picture.convert("RGB")).reshape(-1, SIDE, SIDE, 3))
    return np.concatenate(parts), labels
