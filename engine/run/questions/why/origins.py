"""Which earlier layer a layer's error comes from, measured: each is left in float once. Imports torch."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from engine.core.trace import watch_outputs
from engine.run.questions.costs.analyse import without
from engine.run.questions.why.opened import Opened, Tell, tell_nobody
from engine.run.questions.why.passes import at_once, shared_grid

FEW = 16  # images: each layer costs another pass of all of them


@torch.no_grad()
def origins(run: Opened, x: Tensor, tell: Tell = tell_nobody) -> dict[str, tuple[str, float]]:
    """Of each layer: (the other layer that takes most of its error away in float, the share that it takes).

    The error is ⟨e, e⟩ of the layer's output against the teacher's; ("", 0) where no other layer in float
    makes it less. A grid that a block has for several readers is off with each of them.
    """
    paths = list(run.plan)
    chunks = [run.context.for_device(part) for part in x.split(at_once(x))]
    wanted = [_outputs(run.teacher, chunk, paths) for chunk in chunks]

    def errors() -> dict[str, float]:
        total = dict.fromkeys(paths, 0.0)
        for chunk, right in zip(chunks, wanted, strict=True):
            for path, given in _outputs(run.student, chunk, paths).items():
                pairs = zip(given, right[path], strict=True)
                total[path] += sum(float((a.double() - b).square().sum()) for a, b in pairs)
        return total

    whole = errors()
    best = dict.fromkeys(paths, ("", 0.0))
    for done, left_out in enumerate(paths):
        tell(done, len(paths), f"without the bits of {left_out}")
        with in_float(run, left_out):
            without_it = errors()
        for path in paths:
            gain = 1 - without_it[path] / whole[path] if whole[path] else 0.0
            if path != left_out and gain > best[path][1]:
                best[path] = left_out, gain
    return best


def in_float(run: Opened, path: str) -> AbstractContextManager[None]:
    """Inside, the student's layer has its float weights and reads its input without a grid."""
    grid = shared_grid(run, path)
    owner = grid.removesuffix(".input_quantizer") if grid else path
    has_grid = getattr(run.student.get_submodule(owner), "input_quantizer", None) is not None
    inputs = [(owner, "input_quantizer")] if has_grid else []
    return without(run.student, [(path, "weight_quantizer"), *inputs])


def _outputs(model: nn.Module, x: Tensor, paths: Sequence[str]) -> dict[str, list[Tensor]]:
    found: dict[str, list[Tensor]] = defaultdict(list)
    with watch_outputs(model, paths, lambda path, y: found[path].append(y.clone())):
        model(x)
    return found
