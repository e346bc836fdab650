"""Both networks on the same images, layer by layer: what each layer reads, its input's grid told apart."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.trace import watch_inputs
from engine.run.questions.why.opened import Opened

VALUES = 2**20  # pixels of images that pass together: all layers' inputs are held at once


class Read(NamedTuple):
    """What a layer reads in one call, [n, ...] each."""

    teacher: Tensor
    student: Tensor  # before the grid of its input
    quantized: Tensor  # behind it


def at_once(x: Tensor, most: int = 32) -> int:
    """How many images go through both networks together while all layers' inputs are held."""
    return max(1, min(most, VALUES // max(1, 4 * x[0].numel())))


@torch.no_grad()
def reads(run: Opened, x: Tensor, paths: Sequence[str]) -> dict[str, list[Read]]:
    """Of each layer, what it reads in each of its calls; UserError where the two call it differently often.

    An input that a block quantizes for several readers is told apart where a reader reads it directly.
    """
    teacher: dict[str, list[Tensor]] = defaultdict(list)
    with watch_inputs(run.teacher, paths, lambda path, seen: teacher[path].append(seen.clone())):
        run.teacher(x)
    before, received = _student_reads(run, x, paths)
    found: dict[str, list[Read]] = {}
    for path in paths:
        layer: Any = run.student.get_submodule(path)
        own = layer.input_quantizer
        if len(teacher[path]) != len(received[path]):
            raise UserError(
                f"layer {path!r} runs {len(teacher[path])} times in the float network and "
                f"{len(received[path])} times in the student; make the network's forward take the same way"
            )
        found[path] = [
            Read(wanted, raw, got if own is None else own(got))
            for wanted, raw, got in zip(teacher[path], before[path], received[path], strict=True)
        ]
    return found


def _student_reads(
    run: Opened, x: Tensor, paths: Sequence[str]
) -> tuple[dict[str, list[Tensor]], dict[str, list[Tensor]]]:
    """What the student's layers read before any grid, and what they are handed."""
    shares = {path: shared_grid(run, path) for path in paths}
    grids = sorted({grid for grid in shares.values() if grid})
    raw: dict[str, Tensor] = {}
    before: dict[str, list[Tensor]] = defaultdict(list)
    received: dict[str, list[Tensor]] = defaultdict(list)

    def listen(path: str, seen: Tensor) -> None:
        if path in grids:
            raw[path] = seen.clone()
            return
        whole = raw.get(shares[path])
        direct = whole is not None and whole.shape == seen.shape
        before[path].append(whole if direct and whole is not None else seen.clone())
        received[path].append(seen.clone())

    with watch_inputs(run.student, [*grids, *paths], listen):
        run.student(x)
    return before, received


def shared_grid(run: Opened, path: str) -> str:
    """The path of the grid that a block has for what the layer reads; "" where it has its own, or none."""
    if not run.plan[path].by_block:
        return ""
    block = next(block for block in run.blocks if path in block.layers)
    module = run.student.get_submodule(block.paths[0])
    there = getattr(module, "input_quantizer", None) is not None
    return f"{block.paths[0]}.input_quantizer" if there else ""


@contextmanager
def without_grid(layer: Any) -> Iterator[nn.Module]:
    """Inside, the student's layer takes its input as it comes."""
    own = layer.input_quantizer
    layer.input_quantizer = None
    try:
        yield layer
    finally:
        layer.input_quantizer = own
