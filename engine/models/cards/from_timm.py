"""Networks of timm by name: `timm/resnet18.a1_in1k`. An optional extra; none of them is listed in menus.

What a card states is read from timm's own pretrained configuration. Nothing is downloaded unless the
user asks for it.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from math import floor
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.core.errors import UserError
from engine.models.card import LARGE_IMAGES, ModelCard
from engine.models.card_settings import INTERPOLATIONS, download_knob
from engine.models.cards.from_torchvision import fetch

PREFIX = "timm/"
_FILES = ("model.safetensors", "pytorch_model.bin")  # on the Hugging Face Hub


def timm_card(name: str, settings: Mapping[str, Any]) -> ModelCard:
    """The card of `timm/NAME`; UserError where timm is not installed or has no such network."""
    timm = _timm()
    plain = name.removeprefix(PREFIX)
    config = timm.get_pretrained_cfg(plain) if timm.is_model(plain) else None
    if config is None:
        raise UserError(
            f"network {name!r} is not known to timm; see timm.list_models(pretrained=True)"
        )
    channels, height, width = config.input_size
    resize = config.interpolation if config.interpolation in INTERPOLATIONS else "bicubic"
    source = _Weights(
        name, config.url or "", config.hf_hub_id or "", bool(settings.get("download"))
    )
    return ModelCard(
        name=name,
        title=f"{plain} · timm",
        summary=f"timm's {plain} for {config.num_classes} classes.",
        paper="",
        licence=config.license or "see timm",
        dataset=f"{config.num_classes} classes (timm)",
        image_shape=(channels, height, width),
        mean=tuple(config.mean),
        std=tuple(config.std),
        resize=floor(min(height, width) / config.crop_pct),
        interpolation=resize,
        build=_Architecture(plain),
        weights=source,
        presets=LARGE_IMAGES,
        knobs=(download_knob(),),
    )


def timm_cards() -> Iterator[ModelCard]:
    """None: a thousand names would drown the menus."""
    return iter(())


def _timm() -> Any:
    if find_spec("timm") is None:
        raise UserError("timm is not installed; run: pip install timm")
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise UserError(f"timm cannot be imported ({error}); run: pip install timm") from error


@dataclass(frozen=True, slots=True)
class _Architecture:
    name: str

    def __call__(self) -> nn.Module:
        model: nn.Module = _timm().create_model(self.name, pretrained=False)
        return model


@dataclass(frozen=True, slots=True)
class _Weights:
    """Finds the file in the cache of torch or of the Hugging Face Hub; downloads it if that is asked for."""

    name: str
    url: str
    repository: str
    download: bool

    def __call__(self) -> Path:
        found = self._cached()
        if found is not None:
            return found
        if self.download and self.url:
            return fetch(self.url, self._file())
        if self.download and self.repository and find_spec("huggingface_hub"):
            hub = importlib.import_module("huggingface_hub")
            try:
                return Path(hub.hf_hub_download(self.repository, _FILES[0]))
            except Exception as error:  # the hub's own, of the connection or of the repository
                raise UserError(
                    f"{self.repository} cannot be downloaded from the Hugging Face Hub: {error}; fetch its "
                    f"{_FILES[0]} elsewhere and give it with --weights FILE"
                ) from error
        way = f"download {self.url} to {self._file()}" if self.url else f"get {self.repository}"
        raise UserError(
            f"the weights of {self.name} are not on this machine; {way} and give it with --weights FILE, "
            "or let the run do so with --set model.download=true"
        )

    def _file(self) -> Path:
        return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]

    def _cached(self) -> Path | None:
        if self.url and self._file().is_file():
            return self._file()
        if self.repository and find_spec("huggingface_hub"):
            hub = importlib.import_module("huggingface_hub")
            for name in _FILES:
                path = hub.try_to_load_from_cache(self.repository, name)
                if isinstance(path, str):
                    return Path(path)
        return None
