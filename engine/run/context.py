"""What the stages of a run share: teacher, blocks, images to judge with, where to write."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.device import channels_last
from engine.core.errors import UserError
from engine.data.datasets import Part
from engine.data.images import ImageSet, open_folder, open_idx
from engine.models.blocks import Block, find_blocks, remarks
from engine.models.card import ASSETS, LocalImages, ModelCard
from engine.models.zoo import find_card
from engine.quantization.plan import LayerBits, plan_bits
from engine.run.control import Control
from engine.run.drive import Checkpoint
from engine.run.folder import RunFolder
from engine.run.networks import check_content, networks_folder
from engine.run.recipe import Recipe
from engine.synthesis.statistics import StoredStatistics


@dataclass(slots=True, kw_only=True)
class Context:
    """A recipe made concrete: everything that a stage reads."""

    recipe: Recipe
    folder: RunFolder
    control: Control
    checkpoint: Checkpoint
    device: torch.device
    card: ModelCard
    teacher: nn.Module
    stored: StoredStatistics
    blocks: tuple[Block, ...]
    plan: dict[str, LayerBits]
    test: ImageSet | None
    notes: list[str] = field(default_factory=list)
    most_at_once: int = 1000  # images that pass a network together; fewer where memory is short

    def at_once(self, images: int) -> int:
        """So many images, or as many as there is memory for."""
        return min(images, self.most_at_once)

    def for_device(self, images: Tensor) -> Tensor:
        """On the run's device, channels last: that is how convolutions are fastest."""
        return images.to(self.device).contiguous(memory_format=torch.channels_last)

    def real_images(self) -> ImageSet | None:
        """Real images to calibrate with: the user's, else the card's, else None."""
        return calibration_images(self.card, self.recipe)

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and std per colour that the images are normalised with: the user's, else the card's."""
        return normalisation(self.card, self.recipe)


def make_context(
    recipe: Recipe, folder: RunFolder, control: Control, device: torch.device
) -> Context:
    """Load and understand all that the recipe names; UserError for what is missing or cannot work."""
    networks = networks_folder(folder.path.parent)
    check_content(recipe, networks)
    card = find_card(recipe.model, recipe.model_settings, networks)
    teacher, undone = card.load_noted(Path(recipe.weights) if recipe.weights else None)
    teacher.to(device)
    channels_last(teacher)
    blocks = find_blocks(teacher, card.image_shape)
    test, notes = test_images(card, recipe)
    notes += remarks(teacher, blocks)
    if recipe.weights and undone:
        notes.append(f"To read {recipe.weights}: {'; '.join(undone)}.")
    return Context(
        recipe=recipe, folder=folder, control=control, checkpoint=_checkpoint(recipe, folder), device=device,
        card=card, teacher=teacher, stored=StoredStatistics(teacher, card.image_shape), blocks=blocks,
        plan=plan_bits(
            blocks, weight_bits=recipe.weight_bits, activation_bits=recipe.activation_bits,
            edge_rule=recipe.edge_rule,
        ),
        test=test, notes=notes,
    )  # fmt: skip


def _checkpoint(recipe: Recipe, folder: RunFolder) -> Checkpoint:
    """Where the machine at work is saved; a fork begins in the middle of the batch that it was forked in."""
    at, steps = recipe.forked_from.rpartition("@")[2], recipe.synthesis_settings.get("steps")
    batch, taken = divmod(int(at), int(steps)) if at.isdigit() and steps else (0, 0)
    return Checkpoint(folder.path, tell=folder.append, begun=f"synthesis/{batch}" if taken else "")


def calibration_images(card: ModelCard, recipe: Recipe) -> ImageSet | None:
    """Real images to calibrate with: of the folder that the recipe names, else those of the card."""
    chosen = recipe.model_settings.get("calibration", "")
    if chosen:
        return _folder(card, recipe, Path(chosen), "train")
    return _bundled(card, recipe, card.calibration) if card.calibration else None


def test_images(card: ModelCard, recipe: Recipe) -> tuple[ImageSet | None, list[str]]:
    """Images to judge with, and what the user should know of them."""
    folder = Path(recipe.data) if recipe.data else card.images
    if folder is not None:
        images = _folder(card, recipe, folder)
        skipped = images.skipped
        notes = (
            [f"{len(skipped)} files of {folder} were skipped: {', '.join(skipped[:5])}"]
            if skipped
            else []
        )
        return images, notes
    if card.test is not None:
        return _bundled(card, recipe, card.test), []
    return None, [
        "No test images were given (--data FOLDER), so the student is compared with the teacher on the "
        "calibration images themselves: that flatters it."
    ]


def _bundled(card: ModelCard, recipe: Recipe, local: LocalImages) -> ImageSet:
    mean, std = normalisation(card, recipe)
    return open_idx(
        ASSETS / local.images, ASSETS / local.labels, mean=mean, std=std, name=local.name
    )


def _folder(card: ModelCard, recipe: Recipe, folder: Path, part: Part = "test") -> ImageSet:
    mean, std = normalisation(card, recipe)
    resize = int(recipe.model_settings.get("resize") or card.resize)
    return open_folder(
        folder, image_shape=card.image_shape, mean=mean, std=std, resize=resize,
        interpolation=card.interpolation, classes=card.classes, part=part,
    )  # fmt: skip


def normalisation(card: ModelCard, recipe: Recipe) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Pixel mean and std a colour: the recipe's, else the card's."""
    chosen = [
        tuple(recipe.model_settings.get(name) or getattr(card, name)) for name in ("mean", "std")
    ]
    channels = card.image_shape[0]
    for name, values in zip(("mean", "std"), chosen, strict=True):
        if len(values) != channels:
            raise UserError(
                f"model.{name} has {len(values)} values; {card.name} has {channels} colour channels"
            )
    if min(chosen[1]) <= 0:
        raise UserError(f"model.std is {chosen[1]}; every value must be above 0")
    return chosen[0], chosen[1]


def layer_facts(context: Context) -> Iterator[dict[str, Any]]:
    """Path, kind, shape, parameters, bits and block of each layer, in order of execution."""
    for bits in context.plan.values():
        layer = context.teacher.get_submodule(bits.path)
        weight = layer.weight
        assert isinstance(weight, Tensor)
        yield {
            "path": bits.path,
            "kind": type(layer).__name__,
            "shape": list(weight.shape),
            "parameters": weight.numel(),
            "weight_bits": bits.weight_bits,
            "activation_bits": bits.activation_bits,
            "block": bits.block,
        }
