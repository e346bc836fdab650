"""What weights and BatchNorm layers store that no run can repair: found without running the network."""

from collections.abc import Iterator

from torch import Tensor, nn

from engine.analysis.diagnosis.anatomy import Anatomy
from engine.analysis.diagnosis.finding import Finding, and_others

_BATCHNORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_STORELESS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def batchnorms(model: nn.Module) -> dict[str, nn.Module]:
    return {path: m for path, m in model.named_modules() if isinstance(m, _BATCHNORMS)}


def not_finite(model: nn.Module) -> Iterator[Finding]:
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
            + and_others(len(broken) - 1, "tensor"),
            advice="Take another checkpoint: with these weights every answer is nonsense.",
            layer=name.rpartition(".")[0], layers=tuple(n.rpartition(".")[0] for n in broken),
        )  # fmt: skip


def of_statistics(model: nn.Module) -> list[Finding]:
    """What is wrong with what BatchNorm layers store, found without running the network."""
    return [*_forgetful(model), *_untrained(model)]


def _forgetful(model: nn.Module) -> Iterator[Finding]:
    norms = batchnorms(model)
    forgetful = [path for path, m in norms.items() if getattr(m, "running_mean", None) is None]
    if forgetful:
        yield Finding(
            level="problem", kind="batchnorm-forgets", title="BatchNorm without statistics",
            message=f"{forgetful[0]} keeps no running mean and variance"
            + and_others(len(forgetful) - 1, "BatchNorm layer"),
            advice="Train with track_running_stats=True, or calibrate with real images "
            "(--synthesis real --set model.calibration=FOLDER).",
            layer=forgetful[0], layers=tuple(forgetful),
        )  # fmt: skip


def _untrained(model: nn.Module) -> Iterator[Finding]:
    fresh = [
        path
        for path, layer in batchnorms(model).items()
        if isinstance(layer.running_mean, Tensor)
        and isinstance(layer.running_var, Tensor)
        and bool((layer.running_mean == 0).all())
        and bool((layer.running_var == 1).all())
    ]
    if fresh:
        total = len(batchnorms(model))
        yield Finding(
            level="problem", kind="batchnorm-untrained", title="BatchNorm that never saw an image",
            message=f"{fresh[0]} stores mean 0 and variance 1 in every channel, as when it was made "
            f"({len(fresh)} of {total} BatchNorm layers)",
            advice="Load a trained checkpoint with its buffers (running_mean, running_var): images made "
            "from these statistics would be noise.",
            layer=fresh[0], layers=tuple(fresh),
        )  # fmt: skip


def without_batchnorm(model: nn.Module, anatomy: Anatomy) -> Iterator[Finding]:
    convolutions = [layer for layer in anatomy.layers if layer.kind != "linear"]
    norms = batchnorms(model)
    if norms or not convolutions:
        return
    others = [m for m in model.modules() if isinstance(m, _STORELESS)]
    if others:  # it was built so: nothing was folded away
        kind = type(others[0]).__name__
        yield Finding(
            level="note", kind="no-batchnorm", title=f"{kind} instead of BatchNorm",
            message=f"{len(others)} layers normalise by {kind}, which keeps no statistics of the training "
            "images",
            advice="Make images by a method that needs none (gzsq, aac, noise), or take real ones.",
        )  # fmt: skip
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
