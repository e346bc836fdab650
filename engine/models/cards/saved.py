"""Networks that a user brought once: a folder for each, `card.json` beside `weights.safetensors`.

They stand in every menu as `mine/NAME`. Importing this imports no torch, so that a page may list them.
"""

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.core.errors import UserError
from engine.core.outside.files import sha256_of
from engine.models.card_settings import card_knobs, check_input_space, form_knob

if TYPE_CHECKING:
    from engine.models.card import ModelCard

PREFIX = "mine/"
SCHEMA = 1
CARD, WEIGHTS = "card.json", "weights.safetensors"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_NAME = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedNetwork:
    """All that card.json holds; the architecture is a name that `from_architecture` knows."""

    name: str  # without the prefix
    architecture: str
    title: str
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int
    weights_sha256: str
    parameters: dict[str, Any] = field(default_factory=dict)  # of the architecture
    interpolation: str = "bicubic"
    classes: tuple[str, ...] = ()
    class_count: int = 0
    summary: str = ""
    dataset: str = ""
    images: str = (
        ""  # a folder of images to judge with; relative to the card's own where it lies inside
    )
    source: str = ""  # the file that was brought, and what was undone to read it
    weight_count: int = 0
    batchnorm_layers: int = 0
    convolutions: int = 1  # of an older card unknown, and so taken to be there
    presets: dict[str, dict[str, Any]] = field(default_factory=dict)  # as in a catalog entry
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)  # likewise

    @property
    def full_name(self) -> str:
        return f"{PREFIX}{self.name}"

    @property
    def content(self) -> str:
        """The sha256 of the card, and so of the weights too."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1)


def check_name(name: str) -> str:
    """The name without its prefix, if it can be one; else UserError."""
    plain = name.removeprefix(PREFIX)
    if not _NAME.fullmatch(plain) or len(plain) > LONGEST_NAME:
        raise UserError(
            f"{name!r} cannot name a network; use up to {LONGEST_NAME} lower-case letters, digits and hyphens"
        )
    return plain


def read_saved(folder: Path) -> SavedNetwork:
    """The card in a folder; UserError where it is no card of this version."""
    try:
        content = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if content.pop("schema") != SCHEMA:
            raise ValueError("it was saved by another version of Quantoscope")
        known = {one.name for one in fields(SavedNetwork)}
        content = {key: value for key, value in content.items() if key in known}
        for key in ("image_shape", "mean", "std", "classes"):
            if not isinstance(content.get(key, []), list):
                raise ValueError(f"{key} is {content[key]!r}")
            content[key] = tuple(content.get(key, []))
        saved = SavedNetwork(**content | {"name": folder.name})
        _check(saved)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{folder / CARD} cannot be read: {error}; save the network anew"
        ) from error
    return saved


def _check(saved: SavedNetwork) -> None:
    kinds = {"str": str, "int": int}
    for one in fields(SavedNetwork):
        kind = kinds.get(getattr(one.type, "__name__", str(one.type)))
        if kind and not isinstance(getattr(saved, one.name), kind):
            raise ValueError(f"{one.name} is {getattr(saved, one.name)!r}")
    for name in ("parameters", "presets", "forms"):
        if not isinstance(getattr(saved, name), dict):
            raise ValueError(f"{name} is no object")
    if not all(isinstance(name, str) for name in saved.classes):
        raise ValueError("classes must be names")
    shape, channels = saved.image_shape, saved.image_shape[0]
    if len(shape) != 3 or not all(isinstance(n, int) and 1 <= n <= 4096 for n in shape):
        raise ValueError(f"image_shape is {shape}")
    if not saved.mean or not saved.std:
        raise ValueError("mean and std are missing")
    check_input_space(saved.mean, saved.std, saved.resize, channels)


def list_saved(networks: Path) -> list[SavedNetwork]:
    """The readable cards of the folder, by name; what is no card is left out."""
    found = []
    for file in sorted(networks.glob(f"*/{CARD}")):
        if not _NAME.fullmatch(file.parent.name):
            continue
        try:
            found.append(read_saved(file.parent))
        except UserError:
            continue
    return found


def saved_folder(name: str, networks: Path) -> Path:
    """The folder of `mine/NAME`; UserError where there is none."""
    folder = networks / check_name(name)
    if not (folder / CARD).is_file():
        names = ", ".join(one.full_name for one in list_saved(networks)) or "none yet"
        raise UserError(f"network {name!r} is not in {networks}; there are: {names}")
    return folder


def saved_card(name: str, networks: Path) -> "ModelCard":
    """The card of `mine/NAME`; UserError where it is not there."""
    from engine.models.cards.from_architecture import architecture_card

    folder = saved_folder(name, networks)
    saved = read_saved(folder)
    base = architecture_card(saved.architecture, saved.parameters)
    return replace(
        base, name=saved.full_name, title=saved.title, summary=saved.summary, dataset=saved.dataset,
        licence="yours", image_shape=saved.image_shape, mean=saved.mean, std=saved.std,
        resize=saved.resize, interpolation=saved.interpolation, classes=saved.classes,
        weights=partial(_intact, folder / WEIGHTS, saved),
        images=folder / saved.images if saved.images else None,
        presets=saved.presets, knobs=(),
    )  # fmt: skip


def _intact(weights: Path, saved: SavedNetwork) -> Path:
    """The file, as it was saved; UserError where it is gone or another."""
    if sha256_of(weights, f"{saved.full_name}'s") != saved.weights_sha256:
        raise UserError(f"{weights} is not the file that was saved; save {saved.full_name} anew")
    return weights


def saved_entry(saved: SavedNetwork) -> dict[str, Any]:
    """As engine.models.card.catalog_entry, from card.json alone."""
    return {
        "name": saved.full_name,
        "title": f"{saved.title} · {saved.full_name}",
        "summary": saved.summary,
        "dataset": saved.dataset,
        "paper": "",
        "parameters": saved.weight_count,
        "batchnorm_layers": saved.batchnorm_layers,
        "convolutions": saved.convolutions,
        "classes": saved.class_count,
        "calibration_images": False,
        "calibration_labels": False,
        "image_shape": list(saved.image_shape),
        "class_names": list(saved.classes),
        "available": True,
        "reason": "",
        "has_test_images": bool(saved.images),
        "presets": saved.presets,
        "forms": saved.forms,
        "settings": [
            *card_knobs(
                mean=saved.mean, std=saved.std, resize=saved.resize, low=saved.image_shape[1]
            ),
            *([form_knob(tuple(saved.forms))] if saved.forms else []),
        ],
        "content": saved.content,
    }


def forget(name: str, networks: Path) -> None:
    """Remove a saved network with its weights and images."""
    shutil.rmtree(saved_folder(name, networks))
