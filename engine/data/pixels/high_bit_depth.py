"""Grey pictures of more than 8 bits: how they become bytes, which only the whole of a set can tell.

Their files do not say how many bits are meant: 16 of them may hold 16 bits, or 12 of a camera, or a program's
plain 0 to 255.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MODES = {"I;16", "I;16L", "I;16B", "I;16N", "I"}
FULL = 257  # what a value is divided by where all of 16 bits are used: 65535 / 257 is 255
_MOST, _MOST_OF_BYTES, _MOST_OF_12_BITS = 2**16 - 1, 2**8 - 1, 2**12 - 1


def largest(image: Image.Image) -> int | None:
    """The largest value of a picture of more than 8 bits; None of any other."""
    return int(np.asarray(image).max()) if image.mode in MODES else None


def to_bytes(image: Image.Image, divisor: int) -> Image.Image:
    """The picture in 8 bits, scaled where Pillow's own conversion would clip; ValueError beyond 16 bits."""
    wide = np.asarray(image)
    if wide.max() > _MOST:
        raise ValueError(
            f"its values go up to {int(wide.max()):,}, those of 16 bits to {_MOST:,}; save it as 8 bits"
        )
    narrow: NDArray[np.uint8] = np.empty(wide.shape, np.uint8)
    # By lines: as doubles the whole would take eight times as much.
    for row, line in enumerate(wide):
        narrow[row] = np.clip(np.rint(line / divisor), 0, 255)
    return Image.fromarray(narrow)


def scale_of(peaks: Iterable[int | None], name: str) -> tuple[int, str]:
    """What the values of a set are divided by, and what the user should know of it ("": nothing).

    By the largest value of all of its pictures: a dark one among others has the scale of its neighbours.
    Where no picture goes beyond 8 bits, a full range would show nothing but black. 12 bits are not guessed:
    they may as well be a dark set of 16, so that scale stays and the user is told.
    """
    peak = max((peak for peak in peaks if peak is not None), default=0)
    if peak <= 0 or peak > _MOST_OF_12_BITS:
        return FULL, ""
    if peak <= _MOST_OF_BYTES:
        note = (
            f"The images of more than 8 bits in {name} have no value above {_MOST_OF_BYTES}, so they are "
            "taken as 8 bits."
        )
        return 1, note
    note = (
        f"The images of more than 8 bits in {name} have no value above {peak:,} of {_MOST:,}, at most a "
        "sixteenth of their range, so they are nearly black; if they are of 12 bits, save them as 8 bits."
    )
    return FULL, note


def check_scale(peaks: Iterable[int | None]) -> str | None:
    """Why pictures that are read one by one, at the full range, would be nearly black; None: they are not."""
    peak = max((peak for peak in peaks if peak is not None), default=0)
    return f"no value above {peak:,} of {_MOST:,}" if 0 < peak <= _MOST_OF_12_BITS else None
