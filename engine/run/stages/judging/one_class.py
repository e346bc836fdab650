"""Whether an agreement says little, for the float network gives one class alone. Imports no torch."""

from collections.abc import Mapping
from typing import Any

HIGH = 0.9  # our own line: a student that flips more than a tenth plainly differs


def says_little(result: Mapping[str, Any]) -> bool:
    """Whether the teacher gives one class alone, and the student nearly always the same one.

    Then nothing tells a student that is right from one that is stuck. Where it flips many, that is clear.
    """
    agreement = result.get("agreement")
    return result.get("answers") == 1 and agreement is not None and agreement >= HIGH
