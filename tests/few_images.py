"""A folder of a few test images: judging ten thousand takes most of a small run's time."""

from pathlib import Path

from engine.data.idx import read_idx
from engine.models.card import ASSETS
from engine.run.benches.image_files import write_images, write_table

PARTS = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


def few_images(folder: Path, count: int = 100) -> Path:
    """The first so many test images of Fashion-MNIST as files, with their labels, in a new folder."""
    pixels, labels = (read_idx(ASSETS / "fashion-mnist" / part)[:count] for part in PARTS)
    write_table(folder, write_images(folder, pixels, labels.tolist()))
    return folder
