"""A folder of a few test images: judging ten thousand takes most of a small run's time."""

from pathlib import Path

from PIL import Image

from engine.data.idx import read_idx
from engine.models.card import ASSETS

PARTS = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


def few_images(folder: Path, count: int = 100) -> Path:
    """The first so many test images of Fashion-MNIST as files, with their labels, in a new folder."""
    folder.mkdir()
    pixels, labels = (read_idx(ASSETS / "fashion-mnist" / part)[:count] for part in PARTS)
    for k, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{k}.png")
    rows = [f"{k}.png,{label}" for k, label in enumerate(labels)]
    (folder / "labels.csv").write_text("\n".join(["file,label", *rows, ""]))
    return folder
