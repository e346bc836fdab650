"""Architectures by name, for weights that somebody brings: built to measure, and guessed from shapes.

Every network that the zoo lists is an architecture too: its card says how to build it and what its
images are like; its head and its first convolution are made anew for another number of classes or
channels. `cifar-resnet` is the family that is made from its depth.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from torch import nn

from engine.core.errors import UserError
from engine.models.architectures.resnet import Shortcut, SmallResNet
from engine.models.card import ModelCard
from engine.models.cards.from_python_file import is_own
from engine.models.cards.sources import all_cards, listed_card
from engine.models.checkpoints.fit import Fit, Shapes, match, shapes
from engine.models.checkpoints.outline import outline
from engine.models.checkpoints.read import Checkpoint

CIFAR_RESNET = "cifar-resnet"
DEPTHS = (20, 32, 44, 56, 110)
_LEAST = 0.3  # of the tensors: a network that fits less is not worth proposing
MOST_CLASSES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """An architecture that a checkpoint may be of, and how well its tensors fit."""

    architecture: str
    title: str
    parameters: Mapping[str, Any]
    fit: Fit
    given: int  # tensors of the checkpoint, counters aside

    @property
    def share(self) -> float:
        """Of all tensors of both sides, those that fit."""
        return len(self.fit.names) / max(self.fit.total, self.given, 1)

    @property
    def words(self) -> str:
        """For example "97 of 97 tensors fit"."""
        return f"{len(self.fit.names)} of {max(self.fit.total, self.given)} tensors fit"


def architecture_card(name: str, parameters: Mapping[str, Any]) -> ModelCard:
    """A card without weights for the architecture with these parameters; UserError: there is none."""
    if name == CIFAR_RESNET:
        return _cifar_resnet(**_known(name, parameters, {"depth", "shortcut"}))
    # A card that somebody passes on must not name a file of theirs: that would be executed.
    if is_own(name) or ("/" in name and not name.startswith("torchvision/")):
        raise UserError(
            f"architecture {name!r} is not known; `python -m engine inspect FILE` lists some"
        )
    card = listed_card(name, {})
    chosen = _known(name, parameters, set())
    wanted = {"classes": len(card.classes), "in_channels": card.image_shape[0]} | chosen
    build = partial(_to_measure, card.build, **chosen)
    _, height, width = card.image_shape
    channels = wanted["in_channels"]
    same = channels == card.image_shape[0]
    return replace(
        card,
        build=build if chosen else card.build,
        weights=lambda: None,
        image_shape=(channels, height, width),
        mean=card.mean if same else (0.5,) * channels,
        std=card.std if same else (0.5,) * channels,
        classes=card.classes if wanted["classes"] == len(card.classes) else (),
        test=None,
        calibration=None,
        reported_top1=None,
    )


def _known(name: str, parameters: Mapping[str, Any], more: set[str]) -> dict[str, Any]:
    limits = {"classes": (2, MOST_CLASSES), "in_channels": (1, 64), "depth": (8, 1202)}
    for key, value in parameters.items():
        if key not in {"classes", "in_channels"} | more:
            known = ", ".join(sorted({"classes", "in_channels"} | more))
            raise UserError(f"{key!r} is no parameter of {name}; there are: {known}")
        if key == "shortcut" and value not in ("A", "B"):
            raise UserError(f"shortcut is {value!r}; choose A (no parameters) or B (projection)")
        if key in limits:
            low, high = limits[key]
            if not isinstance(value, int) or not low <= value <= high:
                raise UserError(f"{key} is {value!r}; give a whole number from {low} to {high}")
    return dict(parameters)


def _cifar_resnet(
    depth: int = 20, in_channels: int = 3, classes: int = 10, shortcut: Shortcut = "B"
) -> ModelCard:
    if (depth - 2) % 6:
        raise UserError(f"depth {depth} is not 6n + 2; choose one of {', '.join(map(str, DEPTHS))}")
    return ModelCard(
        name=CIFAR_RESNET,
        title=f"ResNet-{depth}",
        summary=f"A residual network for small images, {depth} layers, shortcuts of option {shortcut}.",
        paper="He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
        licence="",
        dataset="",
        image_shape=(in_channels, 32, 32),
        mean=(0.5,) * in_channels,
        std=(0.5,) * in_channels,
        resize=32,
        build=partial(SmallResNet, depth, in_channels, classes, shortcut),
        weights=lambda: None,
    )


def _to_measure(
    build: Callable[[], nn.Module], *, classes: int | None = None, in_channels: int | None = None
) -> nn.Module:
    """The network with another number of classes or channels: its last or first layer is made anew."""
    model = build()
    if classes is not None:
        path, head = _layers(model)[-1]
        if isinstance(head, nn.Linear):
            _put(model, path, nn.Linear(head.in_features, classes, head.bias is not None))
        elif head.out_channels != classes:
            _put(model, path, _conv_like(head, out_channels=classes))
    if in_channels is not None:
        path, stem = _layers(model)[0]
        if isinstance(stem, nn.Conv2d) and stem.in_channels != in_channels:
            _put(model, path, _conv_like(stem, in_channels=in_channels))
    return model


def _layers(model: nn.Module) -> list[tuple[str, nn.Conv2d | nn.Linear]]:
    return [(path, m) for path, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def _conv_like(conv: nn.Conv2d, **changed: int) -> nn.Conv2d:
    same: dict[str, Any] = {
        name: getattr(conv, name)
        for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
    }
    return nn.Conv2d(**(same | changed), bias=conv.bias is not None)


def _put(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


# --- guessing -----------------------------------------------------------------------------------


def guess(checkpoint: Checkpoint) -> list[Guess]:
    """The architectures that the checkpoint's names and shapes fit best, the best first.

    Ends with the first that fits in every tensor: what follows could not fit better.
    """
    found = []
    for name, parameters in _candidates(checkpoint):
        one = _try(name, parameters, checkpoint)
        if one is not None and one.share >= _LEAST:
            found.append(one)
            if one.fit.whole:
                break
    return sorted(found, key=lambda one: -one.share)


def _candidates(checkpoint: Checkpoint) -> Iterator[tuple[str, dict[str, Any]]]:
    names = _without_counters(shapes(checkpoint.tensors))
    stems = [name for name in names if name.endswith("conv1.weight") and "layer" not in name]
    for stem in stems[:4]:  # prefixes of whatever a training script wrapped it in
        prefix = stem.removesuffix("conv1.weight")
        bare = {name.removeprefix(prefix): shape for name, shape in names.items()}
        parameters = _cifar_parameters(bare)
        if parameters is not None:
            yield CIFAR_RESNET, parameters
            break
    seen = set()
    for card in all_cards().values():
        if card.build in seen:  # the same network with other weights
            continue
        seen.add(card.build)
        measured = _measured(card, checkpoint)
        if measured is not None:
            yield card.name, measured


def _try(name: str, parameters: Mapping[str, Any], checkpoint: Checkpoint) -> Guess | None:
    try:
        card = architecture_card(name, parameters)
        wanted = shapes(outline(card.build).state_dict())
    except UserError:  # what is not installed
        return None
    given = _without_counters(shapes(card.adapt(checkpoint.tensors)))
    return Guess(
        architecture=name, title=card.title, parameters=parameters, fit=match(wanted, given),
        given=len(given),
    )  # fmt: skip


def _without_counters(given: Shapes) -> dict[str, list[int]]:
    return {k: list(v) for k, v in given.items() if not k.endswith("num_batches_tracked")}


@cache
def _outline_shapes(build: Callable[[], nn.Module]) -> tuple[dict[str, list[int]], str, str]:
    """Shapes by name, and the paths of the first and the last layer."""
    model = outline(build)
    layers = _layers(model)
    return shapes(model.state_dict()), layers[0][0], layers[-1][0]


def _measured(card: ModelCard, checkpoint: Checkpoint) -> dict[str, Any] | None:
    """The classes and channels of the file, where they are other than the card's; None: hopeless."""
    try:
        wanted, stem, head = _outline_shapes(card.build)
    except UserError:
        return None
    fit = match(wanted, _without_counters(shapes(card.adapt(checkpoint.tensors))))
    if len(fit.names) < _LEAST * fit.total:
        return None
    parameters: dict[str, Any] = {}
    tensors = checkpoint.tensors
    if f"{head}.weight" in fit.misshapen and f"{head}.weight" in tensors:
        parameters["classes"] = int(tensors[f"{head}.weight"].shape[0])
    if f"{stem}.weight" in fit.misshapen and f"{stem}.weight" in tensors:
        parameters["in_channels"] = int(tensors[f"{stem}.weight"].shape[1])
    try:
        _known(card.name, parameters, set())
    except UserError:
        return None
    return parameters


def _cifar_parameters(given: Shapes) -> dict[str, Any] | None:
    """Depth, channels, classes and shortcut of a CIFAR ResNet; None where the names are others."""
    blocks = {
        name.rpartition(".conv1.")[0]
        for name in given
        if re.match(r"layer[123]\.\d+\.conv1\.", name)
    }
    heads = [n for n in ("fc.weight", "linear.weight") if n in given]
    stem = given.get("conv1.weight", ())
    if not heads or len(stem) != 4 or len(blocks) % 3 or not blocks:
        return None
    depth = 2 * len(blocks) + 2
    projections = any(re.match(r"layer[23]\.0\.shortcut\..*weight", name) for name in given)
    parameters = {
        "depth": depth, "in_channels": stem[1], "classes": given[heads[0]][0],
        "shortcut": "B" if projections else "A",
    }  # fmt: skip
    try:
        return _known(CIFAR_RESNET, parameters, {"depth", "shortcut"})
    except UserError:
        return None
