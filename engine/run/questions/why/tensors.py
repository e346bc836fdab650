"""Look inside one layer of a finished run: what it reads, its weights, its feature maps. Imports torch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from engine.analysis.layers.errors import decibels, sqnr_db
from engine.analysis.layers.inside_words import SHIFT, sentences
from engine.analysis.layers.tensors import (
    SAMPLE,
    beyond,
    channels_first,
    pairs,
    shares,
    shift_share,
)
from engine.core.errors import UserError
from engine.core.sampling.randomness import stream
from engine.core.sampling.samples import sampled
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.feature_maps import KEPT, feature_maps
from engine.run.questions.why.opened import Opened, Tell, open_run, tell_nobody
from engine.run.questions.why.passes import Read, at_once, reads, shared_grid, without_grid

IMAGES = 64  # of each kind; fewer of large ones:
PIXELS = 2**21  # of all images of a kind: what a layer reads of them is held at once
BINS, CELLS = 96, 64  # of a histogram; of the square of float against quantized
CHANNELS = 32  # of the output, those with the largest error: feature maps and weights one by one
SHOWN_WEIGHTS = 384  # of a channel


class Source(NamedTuple):
    """Images of one kind, and what the layer reads of them."""

    name: str  # test, calibration or noise
    title: str
    read: Tensor  # before the grid of the input, in the grid's units
    rounded: Tensor
    own: Tensor  # as the layer reads them, [n, ...]
    levels: Tensor | None  # of the grid, in its units; None where the layer reads floats


@torch.no_grad()
def tensors(folder: RunFolder, layer: str, tell: Tell = tell_nobody) -> dict[str, Any]:
    """What `python -m engine tensors RUN --layer PATH --json` prints.

    {"run", "layer", "images", "image_set", "input", "weights", "output", "maps", "notes", "sentences",
    "sentence"}. `sentences`: what stands out, by view (input, maps, weights, pairs); `sentence`: the input's.
    `input`: levels of the grid (None where the layer reads floats), for each kind of images the shares of
    its values on one axis, the share that is clipped, the SQNR of rounding, and the reach of each channel.
    `weights`: each channel's range and its grid's, and the CHANNELS channels whose output has the largest
    error one by one; None where no weight has a code of its own. `output`, as `weights` and `input` have
    it too: float against quantized as `pairs`. `maps`: feature maps of both networks and their difference,
    in base64 ([images, channels, 3, h, w], uint8); None where the output is no plane. UserError in one line
    for a layer that was not quantized.
    """
    run = open_run(folder, IMAGES)
    if layer not in run.plan:
        raise UserError(
            f"run {folder.run_id!r} has no quantized layer {layer!r}; choose one of {', '.join(run.plan)}"
        )
    kinds = _kinds(run)
    found = {}
    for done, (name, x) in enumerate(kinds.items()):
        tell(done, len(kinds), f"the {name} images through both networks")
        found[name] = _calls(run, layer, x)
    first = next(iter(found))
    axis = -1 if isinstance(run.teacher.get_submodule(layer), nn.Linear) else 1
    wanted, given = _outputs(run, layer, found[first])
    errors = (given - wanted).square().transpose(0, axis).flatten(1).sum(1)
    shift = shift_share(wanted, given, axis)
    channels = errors.argsort(descending=True)[:CHANNELS].tolist()
    sources = [_source(run, layer, name, found[name]) for name in found]
    told = {
        "run": folder.run_id, "layer": layer, "images": len(kinds[first]), "image_set": run.test_set,
        "input": _input(run, layer, sources, axis),
        "weights": _weights(run, layer, channels),
        "output": {
            "sqnr_db": sqnr_db(wanted, given), "pairs": _pairs(wanted, given), "channels": len(errors),
            "worst_channel_share": float(errors.max() / errors.sum().clamp_min(1e-30)),
            "shift_share": shift, "is_shift": shift >= SHIFT,
        },
        "maps": feature_maps(run, kinds[first], wanted, given, channels=channels, axis=axis),
        "notes": _notes(run, layer),
    }  # fmt: skip
    said = sentences(told)
    return told | {"sentences": said, "sentence": said["input"]}


def _kinds(run: Opened) -> dict[str, Tensor]:
    """Images to look at, by kind: those that the run was judged on, calibrated on, and noise."""
    few = max(KEPT, min(IMAGES, PIXELS // run.images[0].numel()))
    made, test = run.images[:few], run.test[:few]
    rng = stream(run.context.recipe.seed, "tensors")
    kinds = {"test": test, "calibration": made, "noise": torch.randn(made.shape, generator=rng)}
    if torch.equal(test, made):
        del kinds["test"]
    return kinds


def _calls(run: Opened, layer: str, x: Tensor) -> list[Read]:
    """What the layer reads of the images in each of its calls."""
    parts = [
        reads(run, run.context.for_device(part), [layer])[layer] for part in x.split(at_once(x))
    ]
    return [
        Read(*(torch.cat([part[k] for part in call]).cpu() for k in range(3)))
        for call in zip(*parts, strict=True)
    ]


def _outputs(run: Opened, layer: str, calls: Sequence[Read]) -> tuple[Tensor, Tensor]:
    """What the layer gives in its first call, in the float network and in the student: [n, ...] each."""
    teacher = run.teacher.get_submodule(layer)
    with without_grid(run.student.get_submodule(layer)) as student:
        wanted, given = [], []
        for seen, _, rounded in zip(*(part.split(IMAGES // 2) for part in calls[0]), strict=True):
            wanted.append(teacher(seen.to(run.context.device)).cpu())
            given.append(student(rounded.to(run.context.device)).cpu())
    return torch.cat(wanted), torch.cat(given)


def _grid(run: Opened, layer: str) -> Any:
    """The quantizer of what the layer reads, its own or its block's; None where it reads floats."""
    shared = shared_grid(run, layer)
    owner: Any = run.student.get_submodule(shared.rpartition(".")[0] if shared else layer)
    return owner.input_quantizer


def _source(run: Opened, layer: str, name: str, calls: Sequence[Read]) -> Source:
    grid, own = _grid(run, layer), torch.cat([call.student for call in calls])
    if grid is None:
        read, rounded, levels = own, own, None
    else:
        device = run.context.device
        read, rounded, found = (part.cpu() for part in grid.comparable(own.to(device)))
        levels = found[0].double()
    titles = {"test": run.test_set, "calibration": "calibrated on", "noise": "noise"}
    return Source(name, titles[name], read, rounded, own, levels)


def _input(run: Opened, layer: str, sources: Sequence[Source], axis: int) -> dict[str, Any]:
    grid = _grid(run, layer)
    levels = sources[0].levels
    ends = [float(end) for one in sources for end in (one.read.min(), one.read.max())]
    ends += [] if levels is None else [float(levels[0]), float(levels[-1])]
    low, high = min(ends), max(ends)
    return {
        "bits": None if grid is None else grid.bits,
        "low": low,
        "high": high,
        "levels": None if levels is None else levels.tolist(),
        "sources": [
            {
                "name": one.name,
                "title": one.title,
                "shares": shares(one.read, low, high, BINS),
                "clipped": 0.0 if levels is None else beyond(one.read.double(), levels),
                "sqnr_db": _rounding_db(one),
                "channels": _reach(channels_first(one.own, axis)),
            }
            for one in sources
        ],
        "pairs": None if grid is None else _pairs(sources[0].read, sources[0].rounded),
    }  # fmt: skip


def _rounding_db(one: Source) -> float:
    signal = float(one.read.double().square().sum())
    return decibels(signal, float((one.read.double() - one.rounded).square().sum()))


def _reach(values: Tensor) -> dict[str, list[float]]:
    """The least and the greatest value of each channel of [channels, n]."""
    return {"low": _plain(values.amin(1)), "high": _plain(values.amax(1))}


def _weights(run: Opened, layer: str, channels: Sequence[int]) -> dict[str, Any] | None:
    student: Any = run.student.get_submodule(layer)
    codes = student.weight_quantizer.single()
    if codes is None:
        return None
    (part, *_) = student.weight_quantizer.parts(student.float_weight)
    values, rounded, levels = (
        t.detach().cpu().double() for t in (part.values, part.quantized(), part.levels)
    )
    if len(values) != len(student.float_weight):  # channels of the part are not those of the output
        return None
    noise = (rounded - values).square().sum(1)
    each = [
        decibels(float(s), float(n)) for s, n in zip(values.square().sum(1), noise, strict=True)
    ]
    return {
        "bits": student.weight_quantizer.bits,
        "channels": _reach(values) | {
            "grid_low": _plain(levels[:, 0]), "grid_high": _plain(levels[:, -1]), "sqnr_db": each,
        },
        "one_by_one": [
            {"channel": k} | _channel(values[k], levels[k], part.codes[k]) for k in channels
        ],
        "pairs": _pairs(values, rounded),
    }  # fmt: skip


def _channel(values: Tensor, levels: Tensor, codes: Tensor) -> dict[str, Any]:
    """One channel's weights and levels; low and high: of both."""
    some, its = _plain(sampled(values, SHOWN_WEIGHTS)), _plain(levels)
    return {
        "levels": its, "low": min(*some, its[0]), "high": max(*some, its[-1]), "values": some,
        "used": len(codes.unique()),
    }  # fmt: skip


def _pairs(a: Tensor, b: Tensor) -> dict[str, Any]:
    return pairs(sampled(a, SAMPLE), sampled(b, SAMPLE), CELLS).plain()


def _notes(run: Opened, layer: str) -> list[str]:
    notes = []
    if shared_grid(run, layer):
        notes.append(
            "The layer's input is rounded once for its whole block, which other layers read too."
        )
    student: Any = run.student.get_submodule(layer)
    if student.weight_quantizer.single() is None:
        notes.append(
            "A weight of this layer is put together from several parts: it has no code of its own."
        )
    return notes


def _plain(row: Tensor) -> list[float]:
    return [float(f"{value:.5g}") for value in row.tolist()]
