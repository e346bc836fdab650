"""Few bits instead of floats. `ls engine/quantization/methods` lists the methods."""

from engine.core.method import discover
from engine.quantization.base import QuantizationMethod


def discover_methods() -> dict[str, type[QuantizationMethod]]:
    """Every quantization method by its name."""
    from engine.quantization import methods

    return discover(methods, QuantizationMethod)  # type: ignore[type-abstract]
