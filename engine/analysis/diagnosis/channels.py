"""Channels that are dead, hardly vary, or are of another range than their neighbours."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from engine.analysis.diagnosis.anatomy import Anatomy, Layer
from engine.analysis.diagnosis.finding import Finding, and_others
from engine.analysis.diagnosis.stored import batchnorms

WIDE_RATIO = 50.0  # largest to smallest channel range from which equalisation is worth a thought
VERY_WIDE_RATIO = 1000.0
DEAD_VARIANCE = 1e-10  # stored variance of a channel that is always the same
MANY_DEAD = 0.25  # share of a layer's channels


def dead(model: nn.Module, anatomy: Anatomy) -> Iterator[Finding]:
    shares: dict[str, tuple[int, int, str]] = {}
    for path, layer in batchnorms(model).items():
        dead = torch.zeros(int(str(layer.num_features)), dtype=torch.bool)
        if isinstance(layer.running_var, Tensor):
            dead |= layer.running_var.cpu() <= DEAD_VARIANCE
        if isinstance(layer.weight, Tensor):
            dead |= layer.weight.cpu() == 0
        if dead.any():
            what = "always the same or scaled by 0"
            shares[path] = (int(dead.sum()), len(dead), what)
    for part in anatomy.layers:
        if part.dead_channels:
            shares[part.path] = (part.dead_channels, part.shape[0], "all weights next to 0")
    if not shares:
        return
    worst = max(shares, key=lambda path: shares[path][0] / shares[path][1])
    dead_count, channels, what = shares[worst]
    yield Finding(
        level="warning" if dead_count / channels > MANY_DEAD else "note",
        kind="dead-channels", title="Dead channels",
        message=f"{worst}: {dead_count} of {channels} channels ({what})"
        + and_others(len(shares) - 1, "layer"),
        advice="They cost bits and say nothing: prune them, or leave them; they do not hurt the others.",
        layer=worst, layers=tuple(shares),
    )  # fmt: skip


def nearly_dead(anatomy: Anatomy) -> Iterator[Finding]:
    found = [layer for layer in anatomy.layers if layer.nearly_dead_channels]
    if not found:
        return
    worst = max(found, key=lambda layer: layer.nearly_dead_channels / layer.shape[0])
    yield Finding(
        level="note", kind="nearly-dead-channels", title="Nearly dead channels",
        message=f"{worst.path}: {worst.nearly_dead_channels} of {worst.shape[0]} filters have weights far "
        "below the others', and BatchNorm does not bring them back" + and_others(len(found) - 1, "layer"),
        advice="They were decayed in training and say next to nothing: prune them, or leave them. Where one "
        "grid serves a whole layer they do not matter either.",
        layer=worst.path, layers=tuple(layer.path for layer in found),
    )  # fmt: skip


def tiny_variance(model: nn.Module) -> Iterator[Finding]:
    tiny: dict[str, tuple[int, float]] = {}
    for path, layer in batchnorms(model).items():
        variance = layer.running_var
        if isinstance(variance, Tensor):
            small = (variance > DEAD_VARIANCE) & (variance < float(layer.eps))  # type: ignore[arg-type]
            if small.any():
                tiny[path] = (int(small.sum()), float(variance[small].min()))
    if tiny:
        worst = min(tiny, key=lambda path: tiny[path][1])
        count, least = tiny[worst]
        yield Finding(
            level="note", kind="tiny-variance", title="Variances below epsilon",
            message=f"{worst}: {count} channels store a variance below the layer's epsilon, the least "
            f"{least:.1e}" + and_others(len(tiny) - 1, "layer"),
            advice="Such channels hardly vary; folding multiplies their weights, so look at the ranges of "
            "the convolution before them.",
            layer=worst, layers=tuple(tiny),
        )  # fmt: skip


def ranges(anatomy: Anatomy) -> Iterator[Finding]:
    wide = [layer for layer in anatomy.layers if (layer.range_ratio or 0) >= WIDE_RATIO]
    if not wide:
        return
    worst = max(wide, key=_ratio)
    yield Finding(
        level="warning" if _ratio(worst) >= VERY_WIDE_RATIO else "note",
        kind="range-ratio", title="Channels of very different range",
        message=f"{worst.path}: its largest channel is {_ratio(worst):,.0f} times its smallest living one"
        + and_others(len(wide) - 1, "layer"),
        advice="A grid for each channel, as all quantizers here use for weights, copes; where you deploy "
        "with one grid a layer, equalise neighbouring layers first (cross-layer equalisation).",
        layer=worst.path, layers=tuple(layer.path for layer in wide),
    )  # fmt: skip


def _ratio(layer: Layer) -> float:
    return layer.range_ratio or 0.0
