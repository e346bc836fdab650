"""What the first planes of nested codes give: read from a file, and judged. Imports torch."""

import copy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.analysis.answers.accuracy import agreement, top1
from engine.analysis.layers.errors import sqnr_db
from engine.export.planes import PLANES, read_planes, write_planes
from engine.run.exports.plain import nested_layers
from engine.run.questions.why.opened import Opened, Tell

IMAGES = 1000  # to judge with, at most
CHECKED = 100  # of them, on which the file's network is held against the student, bit for bit


@torch.no_grad()
def planes_read(run: Opened, tell: Tell) -> list[dict[str, Any]]:
    """A row for each number of planes, 1 to 8; none where the weights have no nested codes.

    bits; bytes (read of the file of planes: codes, clips and factors, names and shapes); sqnr_db of the
    outputs against the float network's; agreement with it and top1, None where outputs are no classes.
    Layers that the run keeps at 8 bits beside fewer stay so. RuntimeError where planes do not give, bit for
    bit, what the student's own codes give at so many bits.
    """
    layers = nested_layers(run.student)
    if layers is None:
        return []
    wanted = run.outputs(run.teacher, run.test)
    of_file = _plain(run.student, [*layers])
    rows = []
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "planes"
        write_planes(file, layers)
        for bits in range(1, PLANES + 1):
            tell(bits - 1, PLANES, f"the network of {bits} planes")
            found = read_planes(file, bits)
            for path, values in found.values.items():
                of_file.get_submodule(path)._parameters["weight"] = _weight(run, values)
            given = run.outputs(of_file, run.test)
            own = {path: PLANES if one.whole else bits for path, one in layers.items()}
            if not torch.equal(given[:CHECKED], run.outputs(_at(run, own), run.test[:CHECKED])):
                raise RuntimeError(f"{bits} planes do not give what the codes give at {bits} bits")
            rows.append({"bits": bits, "bytes": found.bytes_read, **_worth(run, wanted, given)})
    return rows


def _weight(run: Opened, values: "np.ndarray[Any, Any]") -> nn.Parameter:
    made = torch.from_numpy(values.copy()).to(run.context.device)
    return nn.Parameter(made, requires_grad=False)


def _plain(student: nn.Module, paths: list[str]) -> nn.Module:
    """A copy whose layers have the weight that they are given, and no codes of their own."""
    made = copy.deepcopy(student)
    for path in paths:
        layer: Any = made.get_submodule(path)
        layer.weight_quantizer = None
    return made


def _at(run: Opened, bits: dict[str, int]) -> nn.Module:
    """A copy of the student that reads so many bits of its own codes."""
    made = copy.deepcopy(run.student)
    for path, width in bits.items():
        layer: Any = made.get_submodule(path)
        layer.weight_quantizer.read(width)
    return made


def _worth(run: Opened, wanted: Tensor, given: Tensor) -> dict[str, float | None]:
    scores = run.context.output.compares_scores
    return {
        "sqnr_db": sqnr_db(wanted, given),
        "agreement": agreement(wanted, given) if scores else None,
        "top1": None if run.labels is None or not scores else top1(given, run.labels),
    }
