"""A brought network, kept as `mine/NAME`: weights and card in a folder of its own. Imports torch."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from engine.core.errors import UserError
from engine.data.archive import inner_folder, unpack
from engine.models.card import LARGE_IMAGES
from engine.models.cards.saved import CARD, WEIGHTS, SavedNetwork, check_name
from engine.models.graph.blocks import find_blocks
from engine.run.folders.folder import write_atomically
from engine.run.folders.owner import HOST, claim
from engine.run.networks import OWNER, Brought
from engine.run.networks.understand import LARGE_SIDE, Understood, load, run_once, understand


def save_network(
    name: str, brought: Brought, networks: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Save it as `mine/NAME`: weights under the network's own names, as safetensors, beside its card."""
    plain = check_name(name)
    folder = networks / plain
    if folder.exists() and not overwrite:
        raise UserError(
            f"network mine/{plain} is there already; take another name, or give --replace"
        )
    known = understand(brought)
    model, notes = load(known)
    outputs = run_once(model, known.card)
    find_blocks(model)  # what cannot be quantized is not worth keeping
    networks.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{plain}-", dir=networks))
    try:
        saved = _write(beside, plain, known, model, brought, outputs, notes)
        if folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return {"name": saved.full_name, "folder": str(folder), "notes": list(notes)}


def _write(
    folder: Path, name: str, known: Understood, model: nn.Module, brought: Brought, outputs: int,
    notes: tuple[str, ...],
) -> SavedNetwork:  # fmt: skip
    card = known.card
    state = {key: tensor.contiguous().clone() for key, tensor in model.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    large = card.image_shape[1] >= LARGE_SIDE
    saved = SavedNetwork(
        name=name, architecture=known.architecture, parameters=known.parameters, title=card.title,
        summary=card.summary, dataset=card.dataset, image_shape=card.image_shape, mean=card.mean,
        std=card.std, resize=card.resize, interpolation=card.interpolation, classes=card.classes,
        class_count=outputs, images=_kept_images(brought.images, folder),
        presets=LARGE_IMAGES if large else {},
        weights_sha256=hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        source="; ".join([Path(brought.weights).name, *notes]),
        weight_count=sum(p.numel() for p in model.parameters()),
        batchnorm_layers=sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()),
        convolutions=sum(isinstance(m, nn.Conv2d) for m in model.modules()),
    )  # fmt: skip
    claim(folder, os.environ.get(OWNER, HOST), made=CARD)
    write_atomically(folder / CARD, saved.to_json().encode())
    return saved


def _kept_images(images: str, folder: Path) -> str:
    """Where the images are from now on: an archive is unpacked beside the weights."""
    if not images or Path(images).is_dir():
        return str(Path(images).resolve()) if images else ""
    unpack(Path(images), folder / "images")
    return str(inner_folder(folder / "images").relative_to(folder))
