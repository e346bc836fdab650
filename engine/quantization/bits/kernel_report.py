"""What was measured of the layers' time, and what the choice made of it, as plain data and in a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.quantization.bits.candidates import TiedLayers
from engine.quantization.bits.cost_table import Costs
from engine.quantization.bits.kernel_times import REPEATS, threads
from engine.quantization.plan import LayerBits

_SAME = "2 to 8 bits a weight take the same time"


def kernel_report(
    plan: Mapping[str, LayerBits], groups: Sequence[TiedLayers], costs: Costs
) -> dict[str, Any]:
    """{"kernels": ..} of a budget of latency, else nothing; times are milliseconds for one image.

    `layers`: path, float_ms, int8_ms, and `runs`: int8 where the plan quantizes the layer's input, else
    float; `choice`: whether it was chosen. `float_ms`, `int8_ms`: all inputs float, and all quantized that
    the plan before has so.
    """
    if costs.kind != "latency":
        return {}
    free = {path for group in groups if group.inputs for path in group.layers}
    rows = [
        {"path": path, "float_ms": costs.times[path].of_float, "int8_ms": costs.times[path].of_int8,
         "runs": "float" if one.activation_bits is None else "int8", "choice": path in free}
        for path, one in plan.items()
    ]  # fmt: skip
    found: dict[str, Any] = {
        "threads": threads(),
        "repeats": REPEATS,
        "float_ms": sum(row["float_ms"] for row in rows),
        "int8_ms": sum(row["int8_ms" if row["choice"] else "float_ms"] for row in rows),
        "layers": rows,
    }
    return {"kernels": found | {"sentence": sentence(found)}}


def sentence(kernels: Mapping[str, Any]) -> str:
    """What the choice could do for the time, and what it did."""
    rows = [row for row in kernels["layers"] if row["choice"]]
    if not rows:
        return f"No choice of bits changes the time here: no input is quantized, and {_SAME}."
    faster = [row for row in rows if row["int8_ms"] < row["float_ms"]]
    cores = f"{kernels['threads']} thread{'s' if kernels['threads'] > 1 else ''}"
    whole = (
        f"all as floats take {kernels['float_ms']:.3g} ms, all in 8 bits {kernels['int8_ms']:.3g} ms "
        f"(layers alone, ONNX Runtime, {cores})"
    )
    if not faster:
        return (
            f"No choice of bits saves time here: no layer is faster in 8 bits than as floats; {whole}. So "
            f"every input stays float, and {_SAME}."
        )
    eight = sum(row["runs"] == "int8" for row in rows)
    return (
        f"{len(faster)} of {len(rows)} layers are faster in 8 bits than as floats; {whole}. {eight} run in 8 "
        f"bits, {len(rows) - eight} as floats; {_SAME}."
    )
