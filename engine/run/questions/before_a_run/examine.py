"""What is diagnosed of a recipe's network, put together as plain data. Imports torch."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.answers.accuracy import top1, wilson
from engine.analysis.diagnosis.anatomy import Anatomy, dissect
from engine.analysis.diagnosis.examine import examine
from engine.analysis.diagnosis.finding import Finding
from engine.analysis.inputs.input_space import by_images, without_images
from engine.analysis.inputs.label_match import examine_labels
from engine.analysis.inputs.normalisation import best_common, implied, match, stem_of
from engine.core.errors import UserError
from engine.core.outside.own_code import in_words
from engine.core.percent import percent
from engine.data.images import ImageSet
from engine.data.labelling.classes import outside
from engine.models.card import ModelCard
from engine.models.graph.blocks import Block, find_blocks
from engine.models.graph.picture import network_graph
from engine.models.probing.probe import Probed, load_read
from engine.models.zoo import find_card
from engine.quantization.plan import plan_bits
from engine.run.context import calibration_images, normalisation, test_images
from engine.run.recipes.image_size import card_settings
from engine.run.recipes.recipe import EDGE_RULES, Recipe
from engine.run.stages.judging.label_check import BATCH, looked_at

CHOSEN = 0  # stands in a plan for the bits that the recipe chooses


def collect(recipe: Recipe, networks: Path) -> dict[str, Any]:
    """Facts, layers, blocks, bits by edge rule and findings; UserError where it cannot be loaded."""
    try:
        return _collected(recipe, networks)
    except UserError:
        raise
    except Exception as error:  # a network of the user's may do anything
        raise UserError(
            f"{recipe.model} cannot be diagnosed: {in_words(error)}; try a run with "
            "--synthesis noise"
        ) from error


@torch.no_grad()
def _collected(recipe: Recipe, networks: Path) -> dict[str, Any]:
    card = find_card(recipe.model, card_settings(recipe), networks)
    weights = Path(recipe.weights) if recipe.weights else None
    probed, output = load_read(card, weights, numbers=False)
    model, undone = probed.model, probed.undone
    anatomy = dissect(model, card.image_shape)
    blocks, unblocked = _blocks(model, card)
    found = examine(
        model, anatomy, image_shape=card.image_shape, classes=len(card.classes), output=output.kind
    )
    if not output.has_classes:
        anatomy = replace(anatomy, outputs=None)  # a row of numbers may be an embedding
    found += [*unblocked, *_against_images(model, anatomy, card, recipe)]
    found += _probed(probed)
    if undone and recipe.weights:
        found.append(_undone(recipe, undone))
    order = {"problem": 0, "warning": 1, "note": 2}
    return {
        "facts": _facts(model, anatomy, card, recipe, blocks) | {"output": output.kind},
        "layers": [layer.plain() for layer in anatomy.layers],
        "blocks": [
            {"name": b.name, "layers": list(b.layers), "paths": list(b.paths)} for b in blocks
        ],
        "graph": _graph(model, anatomy, card, blocks),
        "bits": {rule: _bits(blocks, rule) for rule in EDGE_RULES} if blocks else {},
        "findings": [f.plain() for f in sorted(found, key=lambda f: order[f.level])],
    }


def _facts(
    model: nn.Module, anatomy: Anatomy, card: ModelCard, recipe: Recipe, blocks: tuple[Block, ...]
) -> dict[str, Any]:
    mean, std = normalisation(card, recipe)
    parameters = list(model.parameters())
    floats = [*parameters, *(b for b in model.buffers() if b.is_floating_point())]
    return {
        "name": card.name,
        "title": card.title,
        "dataset": card.dataset,
        "parameters": sum(p.numel() for p in parameters),
        "macs": anatomy.macs,
        "layers": len(anatomy.layers),
        "batchnorm_layers": sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()),
        "blocks": len(blocks),
        "image_shape": list(card.image_shape),
        "outputs": anatomy.outputs,
        "class_names": list(card.classes),
        "weight_bytes": 4 * sum(t.numel() for t in floats),
        "mean": list(mean),
        "std": list(std),
    }


def _blocks(model: nn.Module, card: ModelCard) -> tuple[tuple[Block, ...], list[Finding]]:
    try:
        return find_blocks(model, card.image_shape), []
    except UserError as error:
        return (), [
            Finding(
                level="problem", kind="no-blocks", title="No blocks to quantize one after another",
                message=str(error),
                advice="Wrap what belongs together into modules, and replace ifs and loops by modules.",
            )
        ]  # fmt: skip


def _graph(
    model: nn.Module, anatomy: Anatomy, card: ModelCard, blocks: tuple[Block, ...]
) -> dict[str, Any]:
    """The data flow; where it is hidden, the layers in order of execution, one reading the other."""
    try:
        return network_graph(model, card.image_shape, blocks) | {"guessed": False}
    except UserError:
        nodes: list[dict[str, Any]] = [
            {"path": "", "kind": "image", "shape": list(card.image_shape)}
        ]
        nodes += [
            {"path": layer.path, "kind": type(model.get_submodule(layer.path)).__name__,
             "shape": layer.output}
            for layer in anatomy.layers
        ]  # fmt: skip
        nodes = [n | {"id": k, "block": "", "layer": k > 0} for k, n in enumerate(nodes)]
        edges = [[k - 1, k] for k in range(1, len(nodes))]
        return {"nodes": nodes, "edges": edges, "guessed": True}


def _bits(blocks: tuple[Block, ...], rule: str) -> dict[str, list[int | None]]:
    """[weight bits, activation bits] of every layer; 0 where the recipe chooses, None for not at all."""
    plan = plan_bits(blocks, weight_bits=CHOSEN, activation_bits=CHOSEN, edge_rule=rule)
    return {path: [bits.weight_bits, bits.activation_bits] for path, bits in plan.items()}


def _probed(probed: Probed) -> Iterator[Finding]:
    if probed.no_gradient:
        yield Finding(
            level="problem", kind="no-gradient", title="Images cannot follow this network",
            message=probed.no_gradient,
            advice="Take no_grad and detach out of its forward; noise and real images work as it is.",
        )  # fmt: skip
    for note in probed.notes:
        yield Finding(
            level="note", kind="probed", title="What was found when the network was loaded",
            message=note.rstrip("."), advice="Look whether that is how you meant it.",
        )  # fmt: skip


def _undone(recipe: Recipe, undone: tuple[str, ...]) -> Finding:
    return Finding(
        level="note", kind="checkpoint", title="The checkpoint was wrapped",
        message=f"To read {Path(recipe.weights).name}: {'; '.join(undone)}",
        advice="Nothing to do, if that is how it was saved.",
    )  # fmt: skip


# --- against images -----------------------------------------------------------------------------


def _against_images(
    model: nn.Module, anatomy: Anatomy, card: ModelCard, recipe: Recipe
) -> Iterator[Finding]:
    declared = normalisation(card, recipe)
    there = _real_images(card, recipe, anatomy.outputs or 0)
    images = there[0] if there else None
    pixels = _spread(images, card.image_shape) if images is not None else None
    stem = stem_of(model, card.image_shape)
    if stem and pixels is not None and len(pixels) > 1:
        usual = best_common(model, stem, pixels, declared)
        yield by_images(stem, declared, match(model, stem, pixels), usual)
    elif stem:
        told = implied(model, anatomy.layers[0].path, stem, declared)
        if told is not None:
            yield without_images(stem, declared, told)
    if images is None or pixels is None:
        return
    for one in there:
        yield from _as_read(one, with_labels=bool(anatomy.outputs) and one is images)
    if images.labels is not None and anatomy.outputs:
        yield from _right_answers(model, anatomy, images, pixels)


def _real_images(card: ModelCard, recipe: Recipe, outputs: int) -> list[ImageSet]:
    """Those to judge with, and those to calibrate with."""
    test, _notes = test_images(card, recipe, outputs)
    both = (test, calibration_images(card, recipe, outputs))
    return [images for images in both if images is not None]


def _spread(images: ImageSet, shape: tuple[int, int, int]) -> Tensor:
    """Images from all over the set: neighbours are often of one class."""
    return images.at(images.sample_indices(looked_at(shape)))


def _right_answers(
    model: nn.Module, anatomy: Anatomy, images: ImageSet, pixels: Tensor
) -> Iterator[Finding]:
    assert images.labels is not None
    assert anatomy.outputs
    places, last = images.sample_indices(len(pixels)), anatomy.layers[-1].path
    reason = outside(images.labels.tolist(), anatomy.outputs, images.name)
    if reason:
        yield Finding(
            level="problem", kind="labels", title="Labels beyond the outputs", message=reason,
            advice=f"Give images whose labels are of the outputs of {last}, counted from 0.", layer=last,
        )  # fmt: skip
        return
    labels = images.labels[places]
    logits = torch.cat([model(part) for part in pixels.split(BATCH)])
    found = examine_labels(logits, labels, name=images.name)
    for one in found:
        yield Finding(
            level="problem", kind=one.kind, title=one.title, message=one.message, advice=one.advice,
            layer=last,
        )  # fmt: skip
    if not found:
        share = top1(logits, labels)
        low, high = wilson(round(share * len(labels)), len(labels))
        yield Finding(
            level="note", kind="float-accuracy", title="The float network knows these images",
            message=f"Right on {percent(share, 0)} of {len(labels)} images of {images.name} "
            f"({percent(low, 0)} to {percent(high, 0)})",
            advice="What is lost to fewer bits is lost from here.", layer=last,
        )  # fmt: skip


def _as_read(images: ImageSet, *, with_labels: bool) -> Iterator[Finding]:
    """What the reader of the images had to say."""
    for note in images.notes if with_labels else ():
        yield Finding(
            level="warning", kind="image-labels", title="How the images are labelled",
            message=note.rstrip("."), advice="Look whether that is how you meant it.",
        )  # fmt: skip
    for note in images.pixel_notes:
        yield Finding(
            level="warning", kind="image-pixels", title="How the images' pixels are read",
            message=note.rstrip("."), advice="Look whether that is how you meant it.",
        )  # fmt: skip
    if images.skipped:
        yield Finding(
            level="note", kind="images-skipped", title="Files that were skipped",
            message=f"{len(images.skipped)} of {images.name}: {', '.join(images.skipped[:3])}",
            advice="Mend them, or take them out.",
        )  # fmt: skip
