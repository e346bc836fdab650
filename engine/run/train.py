"""Train the bundled networks: `python -m engine.run.train --data FOLDER [--out FILE]`.

FOLDER holds Fashion-MNIST as Zalando publishes it (four .gz files; Debian: dataset-fashion-mnist).
The same seed on the same machine and thread count gives the same file.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from engine.core.device import channels_last
from engine.data.idx import read_idx, write_idx
from engine.models.cards.resnet20_fashion import CARD

MEAN, STD = CARD.mean[0], CARD.std[0]
REAL_IMAGES = 1024  # training images shipped beside the network, for the control `real`


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


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Top-1 in [0, 1]."""
    model.eval()
    with torch.no_grad():
        hits = sum(
            int((model(a).argmax(1) == b).sum())
            for a, b in zip(x.split(500), y.split(500), strict=True)
        )
    return hits / len(y)


def train(
    model: nn.Module, x: Tensor, y: Tensor, *, epochs: int, seed: int, batch: int = 128
) -> None:
    """SGD with Nesterov momentum and one cycle of the learning rate; bfloat16 where it is safe."""
    rng = torch.Generator().manual_seed(seed)
    channels_last(model)
    optimiser = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    steps = len(x) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=0.2, total_steps=epochs * steps, pct_start=0.2
    )
    for epoch in range(epochs):
        start, total = time.time(), 0.0
        model.train()
        order = torch.randperm(len(x), generator=rng)
        for i in range(steps):
            index = order[i * batch : (i + 1) * batch]
            images = augment(x[index], rng).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(images)
            loss = functional.cross_entropy(logits.float(), y[index], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        sys.stderr.write(
            f"epoch {epoch + 1}/{epochs} loss {total / steps:.4f} {time.time() - start:.0f} s\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("assets/resnet20-fashion"))
    parser.add_argument("--images", type=Path, default=Path("assets/fashion-mnist"))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = CARD.build()
    train(model, *load(options.data, "train"), epochs=options.epochs, seed=options.seed)
    top1 = accuracy(model, *load(options.data, "t10k"))
    options.out.mkdir(parents=True, exist_ok=True)
    options.images.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, options.out / "weights.safetensors")
    for part in ("images-idx3", "labels-idx1"):
        values = read_idx(options.data / f"train-{part}-ubyte.gz")[:REAL_IMAGES]
        write_idx(options.images / f"train1024-{part}-ubyte.gz", values)
    sys.stderr.write(f"top-1 on the 10,000 test images: {top1:.4f}\n")


if __name__ == "__main__":
    main()
