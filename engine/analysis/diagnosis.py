"""What may go wrong with a network before anything is computed: findings, each with the way out.

A finding names its layer and its value. Levels: `problem` (the result will be wrong, or there will be none),
`warning` (works, but probably worse than it could), `note` (good to know).
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.anatomy import Anatomy, Layer

LEVELS = ("problem", "warning", "note")
WIDE_RATIO = 50.0  # largest to smallest channel range from which equalisation is worth a thought
VERY_WIDE_RATIO = 1000.0
DEAD_VARIANCE = 1e-10  # stored variance of a channel that is always the same
MANY_DEAD = 0.25  # share of a layer's channels
_BATCHNORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found; `layer` is the worst concerned, the others are named in `layers`."""

    level: str
    kind: str  # lower-case with hyphens: what scripts ask for
    title: str
    message: str  # what was seen, with its value
    advice: str  # the way out
    layer: str = ""
    layers: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As words, for JSON."""
        return asdict(self) | {"layers": list(self.layers)}


def examine(
    model: nn.Module,
    anatomy: Anatomy,
    *,
    image_shape: Sequence[int],
    classes: int = 0,
    output: str = "",
) -> list[Finding]:
    """All that weights, statistics and structure tell; `classes`: how many names there are, 0: unknown.

    `output` is what kind the network's output is of, see engine.models.probing.outputs.
    """
    found = [
        *_not_finite(model),
        *_without_batchnorm(model, anatomy),
        *of_statistics(model),
        *_dead(model, anatomy),
        *_nearly_dead(anatomy),
        *_tiny_variance(model),
        *_ranges(anatomy),
        *_outputs(anatomy, classes, output),
        *_structure(anatomy),
        *_input_size(image_shape),
    ]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


# --- weights and statistics ---------------------------------------------------------------------


def _batchnorms(model: nn.Module) -> dict[str, nn.Module]:
    return {path: m for path, m in model.named_modules() if isinstance(m, _BATCHNORMS)}


def _not_finite(model: nn.Module) -> Iterator[Finding]:
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    broken = {
        name: int((~tensor.isfinite()).sum())
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and not tensor.isfinite().all()
    }
    if broken:
        name = next(iter(broken))
        yield Finding(
            level="problem", kind="not-finite", title="Values that are no numbers",
            message=f"{name} has {broken[name]:,} values that are infinite or not a number"
            + _and_others(len(broken) - 1, "tensor"),
            advice="Take another checkpoint: with these weights every answer is nonsense.",
            layer=name.rpartition(".")[0], layers=tuple(n.rpartition(".")[0] for n in broken),
        )  # fmt: skip


def of_statistics(model: nn.Module) -> list[Finding]:
    """What is wrong with what BatchNorm layers store, found without running the network."""
    return [*_forgetful(model), *_untrained(model)]


def _forgetful(model: nn.Module) -> Iterator[Finding]:
    norms = _batchnorms(model)
    forgetful = [path for path, m in norms.items() if getattr(m, "running_mean", None) is None]
    if forgetful:
        yield Finding(
            level="problem", kind="batchnorm-forgets", title="BatchNorm without statistics",
            message=f"{forgetful[0]} keeps no running mean and variance"
            + _and_others(len(forgetful) - 1, "BatchNorm layer"),
            advice="Train with track_running_stats=True, or calibrate with real images "
            "(--synthesis real --set model.calibration=FOLDER).",
            layer=forgetful[0], layers=tuple(forgetful),
        )  # fmt: skip


def _without_batchnorm(model: nn.Module, anatomy: Anatomy) -> Iterator[Finding]:
    convolutions = [layer for layer in anatomy.layers if layer.kind != "linear"]
    norms = _batchnorms(model)
    if norms or not convolutions:
        return
    biased = sum(layer.has_bias for layer in convolutions)
    folded = biased == len(convolutions)
    why = (
        "each has a bias, as after an export that folded BatchNorm into them, or in a network built without"
        if folded
        else f"{biased} have a bias"
    )
    yield Finding(
        level="problem", kind="no-batchnorm", title="No BatchNorm layer",
        message=f"{len(convolutions)} convolutions, from {convolutions[0].path} on, and no BatchNorm: {why}",
        advice="Bring the checkpoint from before the folding (fuse, reparameterise, deploy); else use a "
        "synthesis method that needs no BatchNorm, or real images.",
        layer=convolutions[0].path,
    )  # fmt: skip


def _untrained(model: nn.Module) -> Iterator[Finding]:
    fresh = [
        path
        for path, layer in _batchnorms(model).items()
        if isinstance(layer.running_mean, Tensor)
        and isinstance(layer.running_var, Tensor)
        and bool((layer.running_mean == 0).all())
        and bool((layer.running_var == 1).all())
    ]
    if fresh:
        total = len(_batchnorms(model))
        yield Finding(
            level="problem", kind="batchnorm-untrained", title="BatchNorm that never saw an image",
            message=f"{fresh[0]} stores mean 0 and variance 1 in every channel, as when it was made "
            f"({len(fresh)} of {total} BatchNorm layers)",
            advice="Load a trained checkpoint with its buffers (running_mean, running_var): images made "
            "from these statistics would be noise.",
            layer=fresh[0], layers=tuple(fresh),
        )  # fmt: skip


def _dead(model: nn.Module, anatomy: Anatomy) -> Iterator[Finding]:
    shares: dict[str, tuple[int, int, str]] = {}
    for path, layer in _batchnorms(model).items():
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
        + _and_others(len(shares) - 1, "layer"),
        advice="They cost bits and say nothing: prune them, or leave them; they do not hurt the others.",
        layer=worst, layers=tuple(shares),
    )  # fmt: skip


def _nearly_dead(anatomy: Anatomy) -> Iterator[Finding]:
    found = [layer for layer in anatomy.layers if layer.nearly_dead_channels]
    if not found:
        return
    worst = max(found, key=lambda layer: layer.nearly_dead_channels / layer.shape[0])
    yield Finding(
        level="note", kind="nearly-dead-channels", title="Nearly dead channels",
        message=f"{worst.path}: {worst.nearly_dead_channels} of {worst.shape[0]} filters have weights far "
        "below the others', and BatchNorm does not bring them back" + _and_others(len(found) - 1, "layer"),
        advice="They were decayed in training and say next to nothing: prune them, or leave them. Where one "
        "grid serves a whole layer they do not matter either.",
        layer=worst.path, layers=tuple(layer.path for layer in found),
    )  # fmt: skip


def _tiny_variance(model: nn.Module) -> Iterator[Finding]:
    tiny: dict[str, tuple[int, float]] = {}
    for path, layer in _batchnorms(model).items():
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
            f"{least:.1e}" + _and_others(len(tiny) - 1, "layer"),
            advice="Such channels hardly vary; folding multiplies their weights, so look at the ranges of "
            "the convolution before them.",
            layer=worst, layers=tuple(tiny),
        )  # fmt: skip


def _ranges(anatomy: Anatomy) -> Iterator[Finding]:
    wide = [layer for layer in anatomy.layers if (layer.range_ratio or 0) >= WIDE_RATIO]
    if not wide:
        return
    worst = max(wide, key=_ratio)
    yield Finding(
        level="warning" if _ratio(worst) >= VERY_WIDE_RATIO else "note",
        kind="range-ratio", title="Channels of very different range",
        message=f"{worst.path}: its largest channel is {_ratio(worst):,.0f} times its smallest living one"
        + _and_others(len(wide) - 1, "layer"),
        advice="A grid for each channel, as all quantizers here use for weights, copes; where you deploy "
        "with one grid a layer, equalise neighbouring layers first (cross-layer equalisation).",
        layer=worst.path, layers=tuple(layer.path for layer in wide),
    )  # fmt: skip


def _ratio(layer: Layer) -> float:
    return layer.range_ratio or 0.0


# --- structure ----------------------------------------------------------------------------------


_JUDGED = {
    "image": "by SQNR and PSNR against the float network's",
    "segmentation": "pixel by pixel, as scores of classes",
    "embedding": "by the cosine with the float network's",
}


def _outputs(anatomy: Anatomy, classes: int, output: str) -> Iterator[Finding]:
    last = anatomy.layers[-1].path if anatomy.layers else ""
    if output in _JUDGED:
        yield Finding(
            level="note", kind="no-logits", title="The output is no row of logits",
            message=f"The network gives no scores of an image's classes: its output is of the kind {output}, "
            f"and judged {_JUDGED[output]}",
            advice="Methods that read scores of classes cannot work on it. If it is something else, say so: "
            "model.output.",
            layer=last,
        )  # fmt: skip
    elif anatomy.outputs is None:
        yield Finding(
            level="problem", kind="no-logits", title="The output is no row of logits",
            message="The network does not return one number per class for each image",
            advice="Wrap it, so that it returns a tensor of the shape [images, classes].",
            layer=last,
        )  # fmt: skip
    elif classes and classes != anatomy.outputs:
        yield Finding(
            level="problem", kind="classes", title="Names and outputs do not match",
            message=f"{last} has {anatomy.outputs} outputs, but there are {classes} class names",
            advice="Take the checkpoint of this data set, or give the names in the order of its outputs.",
            layer=last,
        )  # fmt: skip


def _structure(anatomy: Anatomy) -> Iterator[Finding]:
    if anatomy.untraceable:
        yield Finding(
            level="warning", kind="untraceable", title="The data flow is hidden",
            message=anatomy.untraceable,
            advice="Where Python decides by values, each layer is quantized by itself, and slowly: replace "
            "such ifs and loops by modules.",
        )  # fmt: skip
    if anatomy.unused:
        yield Finding(
            level="note", kind="unused-layers", title="Layers that are never called",
            message=f"{anatomy.unused[0]} is not reached by the forward pass"
            + _and_others(len(anatomy.unused) - 1, "layer"),
            advice="Usual for the auxiliary heads of training: they are left out. Else look at forward().",
            layer=anatomy.unused[0], layers=tuple(anatomy.unused),
        )  # fmt: skip
    again = [layer for layer in anatomy.layers if layer.calls > 1]
    if again:
        yield Finding(
            level="warning", kind="called-twice", title="A layer that is called more than once",
            message=f"{again[0].path} runs {again[0].calls} times in one pass"
            + _and_others(len(again) - 1, "layer"),
            advice="All its calls share one activation grid: give each place a layer of its own if their "
            "inputs differ much.",
            layer=again[0].path, layers=tuple(layer.path for layer in again),
        )  # fmt: skip


def _input_size(image_shape: Sequence[int]) -> Iterator[Finding]:
    odd = [side for side in image_shape[1:] if side % 4]
    if odd:
        yield Finding(
            level="note", kind="image-side", title="Image sides that 4 does not divide",
            message=f"Images are {image_shape[1]} x {image_shape[2]} pixels",
            advice="Generators grow images by factors of two from a quarter of their size: they make them "
            "a little larger and crop.",
        )  # fmt: skip


def _and_others(count: int, what: str) -> str:
    if count <= 0:
        return ""
    return f"; so it is with {count} more {what}{'s' if count > 1 else ''}"
