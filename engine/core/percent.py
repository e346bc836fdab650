"""How a share is told wherever it is read: a number, a space that no line breaks at, the sign."""

SIGN = "\u00a0%"


def percent(share: float, digits: int = 1) -> str:
    """0.941 as "94.1 %"."""
    return f"{100 * share:.{digits}f}{SIGN}"
