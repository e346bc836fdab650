"""What a finished run's network costs beside the float one, in four kinds that are kept apart.

Counted bytes, counted bit operations, estimated energy, measured time: fewer bits are fewer bytes always, and
less time only where a device has kernels for them. Imports torch.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.analysis.costs.energy import SOURCE, Energy, Work, energy
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.askable import refuse_unfinished
from engine.run.questions.why.opened import Tell, tell_nobody

IMAGE_BITS = 8  # of an input that is not quantized: an image's pixels


def resources(folder: RunFolder, tell: Tell = tell_nobody) -> dict[str, Any]:
    """What `python -m engine resources RUN --json` prints; float32 beside quantized.

    `bytes` and `bit_operations`: {"fp32", "quantized", "how"}; `energy_uj`: {"fp32", "quantized"} of
    {"arithmetic", "weights_cached", "weights_dram"} (the last two [least, most]), "source" and "how"; one
    image, microjoules. `latency_ms`: {"float", "quantized", "threads", "how"}, of one image in ONNX Runtime
    on this machine, or None with the reason in `latency_note`. UserError where the run is unfinished.
    """
    result = folder.result()
    if result is None:
        refuse_unfinished(folder)
    assert result is not None
    stored, moved = result["size_bytes"], result["bit_operations"]
    layers = [_work(layer) for layer in result["layers"] if layer.get("bit_operations")]
    plain = [Work(macs=layer.macs) for layer in layers]
    tell(0, 1, "one image through both networks, many times")
    latency, note = _latency(folder)
    return {
        "run": folder.run_id,
        "bytes": {**stored, "how": "counted: codes, grids, and what stays float"},
        "bit_operations": {
            **moved, "how": "counted: products of an image × bits of weight × bits of input",
        },
        "energy_uj": {
            "fp32": _listed(energy(plain, stored["fp32"])),
            "quantized": _listed(energy(layers, stored["quantized"])),
            "source": SOURCE,
            "how": "estimated: products and sums by the table, weights read once; other widths than 8 and "
            "32 bits scaled by the product of the bits",
        },
        "latency_ms": latency,
        "latency_note": note,
        "sentence": sentence(stored, moved, latency),
    }  # fmt: skip


def sentence(
    stored: Mapping[str, int], moved: Mapping[str, int], latency: Mapping[str, Any] | None
) -> str:
    """What was saved, and what was not."""
    said = (
        f"{stored['fp32'] / stored['quantized']:.1f} times fewer bytes and "
        f"{moved['fp32'] / moved['quantized']:.0f} times fewer bit operations"
    )
    if latency is None:
        return f"{said}; how long it takes is not measured."
    ratio = latency["quantized"] / latency["float"]
    if ratio > 1:
        return (
            f"{said}, and yet {ratio:.1f} times as long where it was measured: bits save time only where a "
            "device has kernels for them."
        )
    return f"{said}; where it was measured it takes {ratio:.2f} of the float network's time."


def _work(layer: Mapping[str, Any]) -> Work:
    """Of a result's row; its products are counted back from its bit operations."""
    weight, activation = int(layer["weight_bits"]), int(layer["activation_bits"] or IMAGE_BITS)
    macs = round(layer["bit_operations"] / (weight * activation))
    return Work(macs=macs, weight_bits=weight, activation_bits=activation)


def _listed(found: Energy) -> dict[str, Any]:
    return {
        "arithmetic": found.arithmetic,
        "weights_cached": list(found.weights_cached),
        "weights_dram": list(found.weights_dram),
    }


def _latency(folder: RunFolder) -> tuple[dict[str, Any] | None, str]:
    """Measured now, with a file that is thrown away; else why it cannot be."""
    from engine.export.formats.onnx import Onnx
    from engine.run.exports.export import finished
    from engine.run.exports.proof import latency

    try:
        run, student = finished(folder)
        with tempfile.TemporaryDirectory() as place:
            (written,) = Onnx().write(run, Path(place))
            context, _ = student.loaded
            found = latency(context, written)
    except UserError as error:
        return None, f"Not measured: {error}"
    kept = {name: found[name] for name in ("float", "quantized", "threads")}
    return kept | {"how": "measured: ONNX Runtime, one image, median of interleaved runs"}, ""
