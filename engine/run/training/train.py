"""Train bundled networks: `python -m engine.run.training.train --model NAME --data FOLDER [--out FOLDER]`.

FOLDER holds Fashion-MNIST as Zalando publishes it (four .gz files; Debian: dataset-fashion-mnist).
The same seed on the same machine and thread count gives the same file.
"""

import argparse
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from engine.analysis.answers.verification import verify
from engine.core.layout import channels_last
from engine.data.idx import read_idx, write_idx
from engine.models.architectures.angular_margin import AngularMargin
from engine.models.card import ASSETS
from engine.models.cards.bundled.embedding_fashion import HELD_OUT, TRAINED
from engine.models.cards.fashion import MEAN, STD
from engine.models.cards.sources import discover_cards

REAL_IMAGES = 1024  # training images shipped beside the networks, for the control `real`


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecipe:
    """What differs from network to network."""

    epochs: int
    max_lr: float = 0.2
    weight_decay: float = 5e-4
    adamw: bool = False  # instead of SGD with momentum; a transformer hardly learns by that
    bfloat16: bool = True  # faster for convolutions; for narrow linear layers it is slower
    classes: tuple[int, ...] = ()  # an embedding's: trained on these, judged on the others


RECIPES = {  # by the names of the cards
    "resnet20-fashion": TrainingRecipe(epochs=30),
    "mobilenet-fashion": TrainingRecipe(epochs=10, weight_decay=1e-4),
    # Without BatchNorm nothing rescales what a large step has done.
    "vgg-fashion": TrainingRecipe(epochs=10, max_lr=0.03),
    "repvgg-fashion": TrainingRecipe(epochs=6),
    "preact-fashion": TrainingRecipe(epochs=8),
    "binary-fashion": TrainingRecipe(epochs=6),
    "vit-fashion": TrainingRecipe(
        epochs=10, max_lr=2e-3, weight_decay=0.05, adamw=True, bfloat16=False
    ),
    "embedding-fashion": TrainingRecipe(epochs=3, classes=TRAINED),
}


def load(folder: Path, half: str) -> tuple[Tensor, Tensor]:
    """Normalised images [n, 1, 28, 28] and labels [n] of one half ("train" or "t10k")."""
    pixels = torch.from_numpy(read_idx(folder / f"{half}-images-idx3-ubyte.gz").copy())
    labels = torch.from_numpy(read_idx(folder / f"{half}-labels-idx1-ubyte.gz").copy()).long()
    return (pixels.unsqueeze(1) / 255.0 - MEAN) / STD, labels


def augment(x: Tensor, rng: torch.Generator) -> Tensor:
    """Random mirror image, and a random shift by up to 2 pixels."""
    n, _, height, width = x.shape
    flip = torch.rand(n, generator=rng) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(-1), x)
    padded = functional.pad(x, (2, 2, 2, 2), value=-MEAN / STD)
    dy, dx = torch.randint(0, 5, (2, n), generator=rng)
    rows = dy[:, None, None] + torch.arange(height)[None, :, None]
    cols = dx[:, None, None] + torch.arange(width)[None, None, :]
    return padded[torch.arange(n)[:, None, None], :, rows, cols].permute(0, 3, 1, 2)


def of_classes(x: Tensor, y: Tensor, classes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The images of these classes, and their places among the classes as labels."""
    place = torch.full((int(y.max()) + 1,), -1)
    place[list(classes)] = torch.arange(len(classes))
    kept = place[y] >= 0
    return x[kept], place[y[kept]]


def verification(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of pairs of images, in [0, 1], that an embedding judges wrongly."""
    model.eval()
    with torch.no_grad():
        embeddings = torch.cat([model(part) for part in x.split(500)])
    found = verify(y, embeddings, embeddings)
    assert found is not None, "too few images"
    error: float = found["error"]["fp32"]
    return error


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Top-1 in [0, 1]."""
    model.eval()
    with torch.no_grad():
        hits = sum(
            int((model(a).argmax(1) == b).sum())
            for a, b in zip(x.split(500), y.split(500), strict=True)
        )
    return hits / len(y)


def strided_depthwise_in_float32(model: nn.Module) -> None:
    """Take them out of autocast: their gradient in bfloat16 takes a CPU 9 to 16 times as long."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1 and layer.stride != (1, 1):
            layer.forward = partial(_forward_in_float32, layer)  # type: ignore[method-assign]


def _forward_in_float32(layer: nn.Conv2d, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return nn.Conv2d.forward(layer, x.float())


def _optimiser(learned: list[nn.Parameter], recipe: TrainingRecipe) -> torch.optim.Optimizer:
    decay = recipe.weight_decay
    if recipe.adamw:
        return torch.optim.AdamW(learned, weight_decay=decay)
    return torch.optim.SGD(learned, lr=0.1, momentum=0.9, weight_decay=decay, nesterov=True)


def train(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    recipe: TrainingRecipe,
    *,
    seed: int,
    batch: int = 128,
    criterion: nn.Module | None = None,
) -> None:
    """SGD with Nesterov momentum, or AdamW; one cycle of the learning rate; bfloat16 where it is safe.

    `criterion` makes the loss of the network's outputs and labels, and is trained with it; by default the
    cross entropy with smoothed labels.
    """
    rng = torch.Generator().manual_seed(seed)
    channels_last(model)
    strided_depthwise_in_float32(model)
    learned = [*model.parameters(), *(criterion.parameters() if criterion else ())]
    optimiser = _optimiser(learned, recipe)
    steps, criterion = len(x) // batch, criterion or nn.CrossEntropyLoss(label_smoothing=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.max_lr, total_steps=recipe.epochs * steps, pct_start=0.2
    )
    for epoch in range(recipe.epochs):
        start, total = time.time(), 0.0
        model.train()
        order = torch.randperm(len(x), generator=rng)
        for i in range(steps):
            index = order[i * batch : (i + 1) * batch]
            images = augment(x[index], rng).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
                logits = model(images)
            loss = criterion(logits.float(), y[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        sys.stderr.write(
            f"epoch {epoch + 1}/{recipe.epochs} loss {total / steps:.4f} {time.time() - start:.0f} s\n"
        )


def _trained(model: nn.Module, data: Path, recipe: TrainingRecipe, seed: int) -> str:
    """Train the network; what it can do then, in words."""
    x, y = load(data, "train")
    if recipe.classes:
        x, y = of_classes(x, y, recipe.classes)
        width = model(x[:1]).shape[1]
        train(model, x, y, recipe, seed=seed, criterion=AngularMargin(width, len(recipe.classes)))
        error = verification(model, *of_classes(*load(data, "t10k"), HELD_OUT))
        return f"error of verification on classes that it never saw: {error:.4f}"
    train(model, x, y, recipe, seed=seed)
    return f"top-1 on the 10,000 test images: {accuracy(model, *load(data, 't10k')):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=RECIPES, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="default: assets/MODEL")
    parser.add_argument("--images", type=Path, default=ASSETS / "fashion-mnist")
    parser.add_argument("--epochs", type=int, help="default: the network's recipe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    recipe = RECIPES[options.model]
    if options.epochs:
        recipe = replace(recipe, epochs=options.epochs)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    start, out = time.time(), options.out or ASSETS / options.model
    model = discover_cards()[options.model].build()
    told = _trained(model, options.data, recipe, options.seed)
    out.mkdir(parents=True, exist_ok=True)
    options.images.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, out / "weights.safetensors")
    for part in ("images-idx3", "labels-idx1"):
        values = read_idx(options.data / f"train-{part}-ubyte.gz")[:REAL_IMAGES]
        write_idx(options.images / f"train1024-{part}-ubyte.gz", values)
    minutes, busy = (time.time() - start) / 60, time.process_time() / 60
    sys.stderr.write(f"{told} after {minutes:.1f} minutes ({busy:.1f} of processor time)\n")


if __name__ == "__main__":
    main()
