"""The codes as data: a safetensors file with packed codes, scales and zero points, and its loader."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.export import read_codes
from engine.export.base import Expected, Finished, Format, FormatCard, Written
from engine.export.kept import even_weights
from engine.export.network import Network, WeightGrid
from engine.export.packing import pack


class Codes(Format):
    """Each layer's codes in its own bits, without gaps; all else of the network as it is."""

    card = FormatCard(
        name="codes",
        title="Codes (safetensors)",
        use="The integers themselves, for a kernel or a compiler of your own; a loader of twenty lines "
        "that needs numpy and safetensors alone lies beside them.",
    )

    def write(self, run: Finished, out: Path) -> list[Written]:
        from safetensors.numpy import save

        network = run.network()
        path, loader = out / f"{run.run}.codes.safetensors", out / "read_codes.py"
        tensors = _tensors(network)
        # Through the usual way to write: what safetensors writes itself, nobody else may read.
        path.write_bytes(save(tensors, {"quantized": json.dumps(_about(run, network))}))
        shutil.copyfile(read_codes.__file__, loader)
        payload = sum(array.nbytes for array in tensors.values())
        facts = {"payload_bytes": payload, "header_bytes": path.stat().st_size - payload}
        notes = [f"Of its bytes {facts['header_bytes']:,} are names and shapes."]
        if any(grid.levels is not None for grid in network.weights.values()):
            notes.append("Codes of learned levels count into the table `levels` of their layer.")
        if network.composed:
            notes.append(
                f"The weights of {len(network.composed)} layers are made of several codes each; they are "
                "here as 32-bit floats, so the file is larger than the run's size says."
            )
        return [
            Written(kind="codes", path=path, notes=tuple(notes), facts=facts),
            Written(kind="loader", path=loader),
        ]

    def expected(self, run: Finished) -> Expected:
        told = run.result["size_bytes"]
        even = even_weights(run.folder, run.result["layers"]) is not None
        # Weights that are made of several codes each are in the file as floats.
        most = told["quantized"] if even else max(told.values())
        return Expected(least=told["quantized"], most=most, besides="names and shapes")


def _tensors(network: Network) -> dict[str, NDArray[Any]]:
    """What the file holds: codes and grids by layer, and every float tensor that is no layer's weight."""
    held = {f"{path}.weight" for path in network.weights}
    tensors = {
        name: array
        for name, array in network.state.items()
        if name not in held and array.dtype.kind == "f"
    }
    for path, grid in network.weights.items():
        tensors[f"{path}.codes"] = pack(grid.codes, grid.bits)
        sides = {"scale": grid.scale, "zero_point": grid.zero_point, "levels": grid.levels}
        tensors |= {f"{path}.{name}": side for name, side in sides.items() if side is not None}
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}


def _about(run: Finished, network: Network) -> dict[str, Any]:
    """Bits and shapes of weights, and the grids of inputs: what no tensor says."""

    def weight(grid: WeightGrid) -> dict[str, Any]:
        return {"bits": grid.bits, "shape": list(grid.codes.shape)}

    return {
        "run": run.run,
        "image_shape": list(network.image_shape),
        "weights": {path: weight(grid) for path, grid in network.weights.items()},
        "inputs": {path: dataclasses.asdict(grid) for path, grid in network.inputs.items()},
        **(network.facts or {}),
    }
