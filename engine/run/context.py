"""What the stages of a run share: teacher, blocks, images to judge with, where to write."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.diagnosis.stored import of_statistics
from engine.core.errors import UserError
from engine.core.layout import laid_out
from engine.core.needs import why_not
from engine.data.datasets import Part
from engine.data.images import ImageSet, open_folder, open_idx
from engine.data.labelling.classes import Classes
from engine.models.card import ASSETS, LocalImages, ModelCard
from engine.models.card_settings import MENDED, VARIANCES, check_input_space
from engine.models.graph.blocks import Block, find_blocks, remarks
from engine.models.probing.output.find import Output
from engine.models.probing.probe import load_read
from engine.models.probing.variances import mend_variances
from engine.models.zoo import find_card
from engine.quantization import discover_methods
from engine.quantization.plan import LayerBits, plan_bits
from engine.run.folders.control import Control
from engine.run.folders.folder import RunFolder
from engine.run.networks import check_content, networks_folder
from engine.run.recipes.image_size import card_settings
from engine.run.recipes.layer_bits import with_bits
from engine.run.recipes.recipe import Recipe
from engine.run.step_loop import Checkpoint
from engine.synthesis.statistics.batchnorm import StoredStatistics


@dataclass(slots=True, kw_only=True)
class Context:
    """A recipe made concrete: everything that a stage reads."""

    recipe: Recipe
    folder: RunFolder
    control: Control
    checkpoint: Checkpoint
    device: torch.device
    card: ModelCard
    teacher: nn.Module  # returning one tensor, as `output` reads it
    output: Output
    stored: StoredStatistics
    blocks: tuple[Block, ...]
    plan: dict[str, LayerBits]
    test: ImageSet | None
    notes: list[str] = field(default_factory=list)
    most_at_once: int = 1000  # images that pass a network together; fewer where memory is short
    no_gradient: str = ""  # why images cannot be made to follow the teacher; empty where they can

    def at_once(self, images: int) -> int:
        """So many images, or as many as there is memory for."""
        return min(images, self.most_at_once)

    def for_device(self, images: Tensor) -> Tensor:
        """On the run's device, in the order in which its network reads them."""
        return laid_out(images.to(self.device), self.teacher)

    def real_images(self) -> ImageSet | None:
        """Real images to calibrate with: the user's, else the card's, else None."""
        return calibration_images(self.card, self.recipe, self.classes)

    @property
    def classes(self) -> int:
        """How many scores the teacher gives an image; 0 where it gives none of classes."""
        return self.stored.outputs if self.output.has_classes else 0

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
    card = find_card(recipe.model, card_settings(recipe, folder.path), networks)
    probed, output = load_read(card, Path(recipe.weights) if recipe.weights else None)
    teacher = probed.model.to(device)
    mended = mend_variances(teacher) if recipe.model_settings.get(VARIANCES) == MENDED else []
    stored = StoredStatistics(teacher, card.image_shape)
    _check_quantizer(recipe, output, stored)
    blocks = find_blocks(teacher, card.image_shape)
    planned = plan_bits(
        blocks, weight_bits=recipe.weight_bits, activation_bits=recipe.activation_bits,
        edge_rule=recipe.edge_rule,
    )  # fmt: skip
    test, notes = test_images(card, recipe, stored.outputs if output.has_classes else 0)
    notes += [*output.notes(), *stored.notes(), *remarks(teacher, blocks)]
    notes += [*probed.notes, *_warnings(teacher)]
    notes += [card.about_form] if card.about_form else []
    if mended:
        notes.append(
            f"BatchNorm channels that stored next to no variance got the median one: {', '.join(mended)}."
        )
    if recipe.weights and probed.undone:
        notes.append(f"To read {recipe.weights}: {'; '.join(probed.undone)}.")
    return Context(
        recipe=recipe, folder=folder, control=control, checkpoint=_checkpoint(recipe, folder), device=device,
        card=card, teacher=teacher, output=output, stored=stored, blocks=blocks,
        plan=with_bits(planned, recipe.quantization_settings), test=test, notes=notes,
        no_gradient=probed.no_gradient,
    )  # fmt: skip


def _checkpoint(recipe: Recipe, folder: RunFolder) -> Checkpoint:
    """Where the machine at work is saved; a fork begins in the middle of the batch that it was forked in."""
    at, steps = recipe.forked_from.rpartition("@")[2], recipe.synthesis_settings.get("steps")
    batch, taken = divmod(int(at), int(steps)) if at.isdigit() and steps else (0, 0)
    return Checkpoint(folder.path, tell=folder.append, begun=f"synthesis/{batch}" if taken else "")


def _warnings(teacher: nn.Module) -> list[str]:
    """What will make the result worse than it could be, before anything is computed."""
    return [f"{f.title}. {f.message}. {f.advice}" for f in of_statistics(teacher)]


def _check_quantizer(recipe: Recipe, output: Output, stored: StoredStatistics) -> None:
    """UserError where the quantizer, or what is set of it, reads what this network does not give."""
    facts = {"classes": stored.outputs if output.has_classes else 0}
    method = discover_methods()[recipe.quantization]
    reason = why_not(method.card.needs, facts)
    if reason:
        raise UserError(
            f"quantization {recipe.quantization!r} cannot work here: {reason} (its output is of the kind "
            f"{output.kind}); take qdrop or genie-m, which ask for no classes"
        )
    for name, other in (("prediction", "embedding"), ("sensitivity", "sqnr")):
        chosen = recipe.quantization_settings.get(name)
        if output.kind == "image" and chosen in ("kl", "hessian"):
            raise UserError(
                f"quantization.{name}={chosen} compares scores of classes, and this network gives an image; "
                f"set quantization.{name}={other}"
            )


def calibration_images(card: ModelCard, recipe: Recipe, outputs: int) -> ImageSet | None:
    """Real images to calibrate with: of the folder that the recipe names, else those of the card."""
    chosen = recipe.model_settings.get("calibration", "")
    if chosen:
        return _folder(card, recipe, Path(chosen), outputs, "train")
    return _bundled(card, recipe, card.calibration) if card.calibration else None


def test_images(card: ModelCard, recipe: Recipe, outputs: int) -> tuple[ImageSet | None, list[str]]:
    """Images to judge with, and what the user should know of them; `outputs` counts the classes, if any."""
    folder = Path(recipe.data) if recipe.data else card.images
    if folder is not None:
        images = _folder(card, recipe, folder, outputs)
        notes = images.reading_notes
        if outputs:
            notes += images.notes
        elif images.notes:  # on labels in words, which could only be read as classes
            notes.append(
                "The labels of the test images are not looked at: this network has no classes."
            )
        return images, notes
    if card.test is not None:
        return _bundled(card, recipe, card.test), []
    return None, [
        "No test images were given (--data FOLDER), so the student is compared with the teacher on a few "
        "other images, made like those that it is calibrated on."
    ]


def _bundled(card: ModelCard, recipe: Recipe, local: LocalImages) -> ImageSet:
    mean, std = normalisation(card, recipe)
    return open_idx(
        ASSETS / local.images, ASSETS / local.labels if local.labels else None,
        mean=mean, std=std, name=local.name, only=local.only, halved=local.halved,
    )  # fmt: skip


def _folder(
    card: ModelCard, recipe: Recipe, folder: Path, outputs: int, part: Part = "test"
) -> ImageSet:
    mean, std = normalisation(card, recipe)
    resize = int(recipe.model_settings.get("resize") or card.resize)
    return open_folder(
        folder, image_shape=card.image_shape, mean=mean, std=std, resize=resize,
        interpolation=card.interpolation, classes=_classes(card, outputs), part=part,
    )  # fmt: skip


def _classes(card: ModelCard, outputs: int) -> Classes:
    """What is known of the network's classes; where it gives no scores for any, labels only tell apart."""
    return Classes(card.classes, outputs) if outputs else Classes(of_network=False)


def normalisation(card: ModelCard, recipe: Recipe) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Pixel mean and std a colour: the recipe's, else the card's."""
    mean = tuple(recipe.model_settings.get("mean") or card.mean)
    std = tuple(recipe.model_settings.get("std") or card.std)
    resize = int(recipe.model_settings.get("resize") or card.resize)
    check_input_space(mean, std, resize, card.image_shape[0], of="model.")
    return mean, std


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
