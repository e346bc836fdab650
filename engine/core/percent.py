"""How a share is told wherever it is read: a number, a space that no line breaks at, the sign."""

import re

SIGN = "\u00a0%"
_BROKEN = re.compile(r"(?<=\d) %(?!\w)")


def percent(share: float, digits: int = 1) -> str:
    """0.941 as "94.1 %"."""
    return f"{100 * share:.{digits}f}{SIGN}"


def percents(*shares: float, most: int = 2) -> list[str]:
    """Several beside each other: as many digits, from one to `most`, as say each of them exactly.

    A difference that is told in points is then one that is seen: no 92.5 % beside 92.5 %.
    """
    digits = next(
        (few for few in range(1, most) if all(_is_exact(share, few) for share in shares)), most
    )
    return [percent(share, digits) for share in shares]


def _is_exact(share: float, digits: int) -> bool:
    return abs(100 * share - round(100 * share, digits)) < 1e-9


def unbroken(text: str) -> str:
    """The text, written by hand, with no line that breaks between a number and its sign."""
    return _BROKEN.sub(SIGN, text)


BAND = percent(0.95, 0)  # how often a band holds what it is a band of
