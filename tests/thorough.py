"""Further values of a test's parameter, which `test --thorough` runs too: they repeat what others show."""

from typing import Any

import pytest


def thorough(*values: Any) -> list[Any]:
    """The values as parameters that are left out of the ordinary round; a tuple is one of several names."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.thorough)
        for value in values
    ]
