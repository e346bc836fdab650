"""Images out of nothing but a network's statistics. `ls engine/synthesis/methods` lists the methods."""

from engine.core.method import discover
from engine.synthesis.base import SynthesisMethod


def discover_methods() -> dict[str, type[SynthesisMethod]]:
    """Every synthesis method by its name."""
    from engine.synthesis import methods

    return discover(methods, SynthesisMethod)  # type: ignore[type-abstract]
