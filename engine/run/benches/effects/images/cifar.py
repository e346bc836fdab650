"""A real network to measure on, from a folder of the user's: the published ResNet-20 on CIFAR-10.

The published ResNet-56 tells what it takes the images for. The same files as those of
engine/run/benches/parity.py: the checkpoints, pictures in which one row is one image, and labels.json,
which names the pictures and gives the labels of their rows.
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.models.architectures.resnet import SmallResNet
from engine.models.checkpoints.read import read_checkpoint
from engine.run.benches.effects.images.measures import Subject

CHECKPOINT, OTHER = "resnet20-12fca82f.th", "resnet56-4bfd9763.th"
TEST, TRAIN = "test-0000-0999.png", "train-0000-0999.png"
MEAN, STD = (
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
)  # those that the checkpoint was trained with
SIDE, CLASSES = 32, 10


def cifar_subject(data: Path) -> Subject:
    """The networks, 1000 training images for methods and controls, 1000 test images held out.

    UserError where the folder lacks one of the files.
    """
    for name in (CHECKPOINT, OTHER, TEST, TRAIN, "labels.json"):
        if not (data / name).is_file():
            raise UserError(f"--data {data} holds no {name}; give the folder with CIFAR-10's files")
    return Subject(
        teacher=_network(data / CHECKPOINT, 20), image_shape=(3, SIDE, SIDE), mean=MEAN, std=STD,
        classes=CLASSES, real=_images(data, TRAIN), held=_images(data, TEST),
        other=_network(data / OTHER, 56),
    )  # fmt: skip


def _network(file: Path, depth: int) -> nn.Module:
    network = SmallResNet(depth, 3, CLASSES, "A")
    tensors = read_checkpoint(file).tensors
    network.load_state_dict({key.replace("linear.", "fc."): v for key, v in tensors.items()})
    return network.eval().requires_grad_(False)


def _images(data: Path, name: str) -> tuple[Tensor, Tensor]:
    labels = torch.tensor(json.loads((data / "labels.json").read_text())[name], dtype=torch.int64)
    with Image.open(data / name) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(len(labels), SIDE, SIDE, 3)
    x = torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return (x - mean) / std, labels
