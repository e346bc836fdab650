"""The proof of a file: a runtime's answers to the test images, held against the student's."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.core.device import cores
from engine.core.trace import watch_inputs, watch_outputs
from engine.export.base import Written
from engine.export.graph.runtime import Session, medians_ms, version
from engine.export.graph.write import write_graph
from engine.export.network import InputGrid, Network
from engine.run.context import Context
from engine.run.exports.plain import float_network
from engine.run.exports.ties import Tie, first_tie
from engine.run.stages.synthesis.held_out_images import load_others, set_name
from engine.run.stages.synthesis.synthesise import load_images

BATCH, LARGE_BATCH, LARGE = 250, 25, 100  # images at a time; fewer from so many pixels on
INSIDE = 64  # images whose values inside are compared
REPEATS = 31
MOST_EXPLAINED = 100  # differing images that are looked into; all are listed
Array = NDArray[Any]
Tell = Callable[[int, int, str], None]


@torch.no_grad()
def prove(
    context: Context, student: nn.Module, network: Network, written: Written, tell: Tell
) -> dict[str, Any]:
    """What the file computes beside what the student computes, as plain data.

    `agreement`: the share of images that both give the same class (None without classes); `differing`: the
    others, with the margin of each one's answer (its score less the other's answer's score) and the tie
    that explains it, if one does; `ends`: at each block's end the largest difference, the same as a share
    of the largest value there, and the share of values that are off by more than a thousandth of that;
    `latency_ms`: for one image.
    """
    session = Session(written.path, _threads())
    classes = context.output.has_classes and len(context.output.shape) == 1
    found = _Found(classes)
    done, total = 0, len(context.test) if context.test is not None else 0
    for batch in _batches(context):
        tell(done, total or len(batch), "images through the file")
        ours = student(context.for_device(batch)).cpu().numpy()
        found.add(batch, ours, session(batch.numpy())[0])
        done += len(batch)
    first = next(_batches(context))[:INSIDE]
    return {
        "images": found.images,
        "set": context.test.name if context.test is not None else set_name(context),
        "agreement": found.agreement(),
        "largest_logit_difference": found.largest,
        "largest_logit": found.largest_value,
        "differing": list(
            found.listed(lambda x, row: _tie(context, student, network.inputs, written, x, row))
        ),
        "ends": _ends(context, student, written, first),
        "latency_ms": latency(context, written),
        "runtime": version(),
        "checked": "onnx.checker, full",  # the writer checks, and refuses what does not pass
    }


class _Found:
    """Answers side by side, taken in batch by batch."""

    def __init__(self, classes: bool) -> None:  # noqa: FBT001
        self.images = self.same = 0
        self.largest = self.largest_value = 0.0
        self._classes = classes
        self._differing: list[tuple[int, Tensor, int, Array, Array]] = []

    def add(self, batch: Tensor, ours: Array, theirs: Array) -> None:
        if len(batch):
            self.largest = max(self.largest, float(np.abs(ours - theirs).max()))
            self.largest_value = max(self.largest_value, float(np.abs(ours).max()))
        if self._classes:
            same = ours.argmax(1) == theirs.argmax(1)
            self.same += int(same.sum())
            for k in np.flatnonzero(~same).tolist():
                row = (self.images + k, batch, k, ours[k], theirs[k])
                self._differing.append(row)
        self.images += len(batch)

    def agreement(self) -> float | None:
        return self.same / self.images if self._classes and self.images else None

    def listed(self, tie: Callable[[Tensor, int], Tie | None]) -> Iterator[dict[str, Any]]:
        """Each differing image: its place in the set, both answers, both margins, and why."""
        for k, (place, batch, row, ours, theirs) in enumerate(self._differing):
            mine, its = int(ours.argmax()), int(theirs.argmax())
            why = tie(batch, row) if k < MOST_EXPLAINED else None
            yield {
                "image": place,
                "student": {"class": mine, "margin": float(ours[mine] - ours[its])},
                "file": {"class": its, "margin": float(theirs[its] - theirs[mine])},
                "tie": None if why is None else why._asdict(),
            }


def _batches(context: Context) -> Iterator[Tensor]:
    """The images that the run was judged on: test images, else others made like those calibrated on."""
    size = context.at_once(BATCH if context.card.image_shape[1] < LARGE else LARGE_BATCH)
    if context.test is not None:
        yield from context.test.batches(size)
        return
    others = load_others(context)
    yield from (load_images(context) if others is None else others).split(size)


def _ends(
    context: Context, student: nn.Module, written: Written, images: Tensor
) -> list[dict[str, Any]]:
    names: dict[str, str] = dict(written.facts["ends"])
    values = Session(written.path, _threads(), also=list(names.values()))(images.numpy())[1:]
    seen: dict[str, Array] = {}
    with watch_outputs(student, names, lambda path, y: seen.update({path: y.cpu().numpy().copy()})):
        student(context.for_device(images))
    rows = []
    for path, theirs in zip(names, values, strict=True):
        largest = float(np.abs(seen[path] - theirs).max())
        span = float(np.abs(seen[path]).max())
        rows.append({"path": path, "largest_difference": largest,
                     "share_of_largest_value": largest / span if span else 0.0,
                     "values_off": float((np.abs(seen[path] - theirs) > 1e-3 * span).mean())})  # fmt: skip
    return rows


def _tie(
    context: Context,
    student: nn.Module,
    inputs: Mapping[str, InputGrid],
    written: Written,
    batch: Tensor,
    row: int,
) -> Tie | None:
    """Why the file answers otherwise to an image: the first input grid at which the two round differently.

    The image goes through in its batch: alone, its sums would be taken in another order again.
    """
    names: dict[str, str] = dict(written.facts["grids"])
    even = {path: grid for path, grid in inputs.items() if path in names and grid.scale is not None}
    values = Session(written.path, _threads(), also=[names[path] for path in even])(batch.numpy())[
        1:
    ]
    seen: dict[str, Array] = {}
    with ExitStack() as stack:
        for path in even:
            quantizer = student.get_submodule(f"{path}.input_quantizer")
            listen = partial(_keep_row, seen, path, row)
            stack.enter_context(watch_inputs(quantizer, [""], listen))
        student(context.for_device(batch))
    rows = {path: value[row] for path, value in zip(even, values, strict=True)}
    return first_tie(even, seen, rows)


def _keep_row(seen: dict[str, Array], path: str, row: int, _path: str, x: Tensor) -> None:
    seen[path] = x[row].cpu().numpy().copy()


def latency(context: Context, written: Written) -> dict[str, Any]:
    """Milliseconds for one image, medians of interleaved runs: of the float network, and of the file."""
    threads = _threads()
    image = next(_batches(context))[:1].numpy()
    plain = write_graph(float_network(context), "float").model.SerializeToString()
    sessions = [Session(plain, threads), Session(written.path, threads)]
    of_float, quantized = medians_ms(sessions, image, REPEATS)
    return {"float": round(of_float, 3), "quantized": round(quantized, 3), "threads": threads,
            "float_bytes": len(plain)}  # fmt: skip


def _threads() -> int:
    return min(torch.get_num_threads(), cores())
