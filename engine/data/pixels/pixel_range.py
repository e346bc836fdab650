"""What the lightest and darkest values of pictures tell of a set that was saved wrongly."""

from collections.abc import Sequence
from typing import NamedTuple

BLACK = 15  # of 255: what no image of a set goes beyond, a sixteenth of the range, is hardly seen


class Shades(NamedTuple):
    """The darkest and lightest value of a picture in 8 bits, and the largest of one that had more."""

    low: int
    high: int
    wide: int | None = None


def note_on(seen: Sequence[Shades], name: str) -> str:
    """A sentence where no picture shows anything, or all are nearly black; else empty."""
    narrow = [one for one in seen if one.wide is None]
    if not narrow or len(narrow) < len(seen):  # what is said of more bits is said there
        return ""
    if all(one.low == one.high for one in narrow):
        return f"Every image of {name} is of one shade alone: nothing is to be seen in any; save them anew."
    high = max(one.high for one in narrow)
    if high <= BLACK:
        return (
            f"No image of {name} has a value above {high} of 255, so they are nearly black; if they were "
            "floats from 0 to 1, save them times 255."
        )
    return ""
