"""Names of files: which are of images, and how one is printed."""

import os
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")


def looks_like_image(name: str) -> bool:
    """Whether a name ends as image files do."""
    return name.strip().lower().endswith(SUFFIXES)


def printable(path: Path | str) -> str:
    """A path for a message; what is no text in it shows as � (such a name cannot be printed)."""
    return os.fsencode(path).decode(errors="replace")
