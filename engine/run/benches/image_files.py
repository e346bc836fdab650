"""Images of a benchmark as files with their labels, which a run takes for its --data."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from engine.run.folders.folder import write_atomically


def write_images(
    folder: Path, images: Iterable[NDArray[Any]], labels: Sequence[int], group: str = ""
) -> list[str]:
    """Write each image [h, w] or [h, w, 3] as GROUP0000.png and on; the lines of their labels' table."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        name = f"{group}{k:04d}.png"
        Image.fromarray(image).save(folder / name)
        lines.append(f"{name},{label}")
    return lines


def write_table(folder: Path, lines: Sequence[str]) -> None:
    """The table that labels the images: written last, so that a folder with one is whole."""
    text = "\n".join(["file,label", *lines, ""])
    write_atomically(folder / "labels.csv", text.encode())
