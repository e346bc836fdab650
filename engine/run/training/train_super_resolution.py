"""Train what enlarges images: `python -m engine.run.training.train_super_resolution --data FOLDER`.

FOLDER holds Fashion-MNIST as for `train` beside this file. The network reads each image at half its size and
learns to give the image, by the mean absolute error (Lim et al., EDSR, CVPR Workshops 2017, section 3.2).
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from engine.analysis.layers.errors import image_psnrs
from engine.core.layout import channels_last
from engine.data.idx import read_idx
from engine.data.pixels.half_size import enlarged, halved
from engine.models.card import ASSETS
from engine.models.cards.fashion import MEAN, STD
from engine.models.cards.sources import discover_cards

NAME, EPOCHS, MAX_LR, BATCH = "sr-fashion", 5, 2e-3, 128


def load(folder: Path, half: str) -> tuple[Tensor, Tensor]:
    """Normalised images of half the size [n, 1, 14, 14] and the images [n, 1, 28, 28] of one half."""
    pixels = torch.from_numpy(read_idx(folder / f"{half}-images-idx3-ubyte.gz").copy())[:, None]
    return (halved(pixels) / 255 - MEAN) / STD, (pixels / 255 - MEAN) / STD


def psnrs(model: nn.Module, x: Tensor, truth: Tensor) -> dict[str, float]:
    """The mean PSNR to the truth in dB, of the network's images and of bicubic ones."""
    model.eval()
    side, pairs = (truth.shape[2], truth.shape[3]), zip(x.split(500), truth.split(500), strict=True)
    found: dict[str, list[Tensor]] = {"network": [], "bicubic": []}
    with torch.no_grad():
        for small, wanted in pairs:
            for name, got in (("network", model(small)), ("bicubic", enlarged(small, side))):
                found[name].append(image_psnrs(got * STD + MEAN, wanted * STD + MEAN))
    return {name: float(torch.cat(values).mean()) for name, values in found.items()}


def train(model: nn.Module, x: Tensor, truth: Tensor, *, epochs: int, seed: int) -> None:
    """Adam with one cycle of the learning rate, on images and mirrored images, in float32."""
    rng = torch.Generator().manual_seed(seed)
    channels_last(model)
    optimiser = torch.optim.Adam(model.parameters(), lr=MAX_LR)
    steps = len(x) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=MAX_LR, total_steps=epochs * steps, pct_start=0.2
    )
    for epoch in range(epochs):
        start, total = time.time(), 0.0
        model.train()
        order = torch.randperm(len(x), generator=rng)
        for index in order[: steps * BATCH].split(BATCH):
            flip = (torch.rand(BATCH, generator=rng) < 0.5)[:, None, None, None]
            small, wanted = (torch.where(flip, a.flip(-1), a) for a in (x[index], truth[index]))
            loss = functional.l1_loss(
                model(small.contiguous(memory_format=torch.channels_last)), wanted
            )
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
    parser.add_argument("--out", type=Path, default=ASSETS / NAME)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    start, model = time.time(), discover_cards()[NAME].build()
    train(model, *load(options.data, "train"), epochs=options.epochs, seed=options.seed)
    found = psnrs(model, *load(options.data, "t10k"))
    options.out.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, options.out / "weights.safetensors")
    sys.stderr.write(
        f"PSNR on the 10,000 test images: {found['network']:.2f} dB, bicubic {found['bicubic']:.2f} dB, "
        f"after {(time.time() - start) / 60:.1f} minutes ({time.process_time() / 60:.1f} of processor "
        "time)\n"
    )


if __name__ == "__main__":
    main()
