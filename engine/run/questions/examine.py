"""What is diagnosed of a recipe's network, put together as plain data. Imports torch."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.accuracy import top1, wilson
from engine.analysis.anatomy import Anatomy, dissect
from engine.analysis.diagnosis import Finding, examine
from engine.analysis.input_space import by_images, without_images
from engine.analysis.normalisation import best_common, implied, match, stem_of
from engine.core.device import channels_last
from engine.core.errors import UserError
from engine.data.images import ImageSet
from engine.models.blocks import Block, find_blocks
from engine.models.card import ModelCard
from engine.models.graph import network_graph
from engine.models.outputs import find_output, read_as
from engine.models.zoo import find_card
from engine.quantization.plan import plan_bits
from engine.run.context import calibration_images, normalisation, test_images
from engine.run.recipe import EDGE_RULES, Recipe

PIXELS = 6_000_000  # of real images that are looked at: 256 small ones, 40 of 224 pixels
MOST_IMAGES = 256
CHOSEN = 0  # stands in a plan for the bits that the recipe chooses


@torch.no_grad()
def collect(recipe: Recipe, networks: Path) -> dict[str, Any]:
    """Facts, layers, blocks, bits by edge rule and findings; UserError where it cannot be loaded."""
    card = find_card(recipe.model, recipe.model_settings, networks)
    model, undone = card.load_noted(Path(recipe.weights) if recipe.weights else None)
    output = find_output(model, card.image_shape, card.output)
    model = read_as(model, output)
    channels_last(model)
    anatomy = dissect(model, card.image_shape)
    blocks, unblocked = _blocks(model, card)
    found = examine(
        model, anatomy, image_shape=card.image_shape, classes=len(card.classes), output=output.kind
    )
    if not output.has_classes:
        anatomy = replace(anatomy, outputs=None)  # a row of numbers may be an embedding
    found += [*unblocked, *_against_images(model, anatomy, card, recipe)]
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
    images = _real_images(card, recipe)
    pixels = _spread(images, card.image_shape) if images is not None else None
    stem = stem_of(model, card.image_shape)
    if stem and pixels is not None and len(pixels) > 1:
        usual = best_common(model, stem, pixels, declared)
        yield by_images(stem, declared, match(model, stem, pixels), usual)
    elif stem:
        told = implied(model, anatomy.layers[0].path, stem, declared)
        if told is not None:
            yield without_images(stem, declared, told)
    if images is not None and images.labels is not None and pixels is not None:
        yield from _right_answers(model, anatomy, images, pixels)


def _real_images(card: ModelCard, recipe: Recipe) -> ImageSet | None:
    """Those to judge with, else those to calibrate with."""
    test, _notes = test_images(card, recipe)
    return test if test is not None else calibration_images(card, recipe)


def _spread(images: ImageSet, shape: tuple[int, int, int]) -> Tensor:
    """Images from all over the set: neighbours are often of one class."""
    wanted = max(2, min(MOST_IMAGES, PIXELS // (shape[0] * shape[1] * shape[2])))
    return images.at(_places(len(images), wanted))


def _places(count: int, wanted: int) -> list[int]:
    return [place * count // min(count, wanted) for place in range(min(count, wanted))]


def _right_answers(
    model: nn.Module, anatomy: Anatomy, images: ImageSet, pixels: Tensor
) -> Iterator[Finding]:
    assert images.labels is not None
    labels = images.labels[_places(len(images), len(pixels))]
    last = anatomy.layers[-1].path
    highest = int(images.labels.max())
    if anatomy.outputs is not None and highest >= anatomy.outputs:
        yield Finding(
            level="problem", kind="labels", title="Labels beyond the outputs",
            message=f"{images.name} has the label {highest}, but {last} has {anatomy.outputs} outputs",
            advice="Give images whose labels are of these classes, counted from 0.", layer=last,
        )  # fmt: skip
    elif anatomy.outputs:
        logits = torch.cat([model(part) for part in pixels.split(32)])
        yield _answers(top1(logits, labels), len(labels), anatomy.outputs, images.name, last)


def _answers(share: float, count: int, outputs: int, name: str, last: str) -> Finding:
    low, high = wilson(round(share * count), count)
    message = f"Right on {share:.0%} of {count} images of {name} ({low:.0%} to {high:.0%})"
    if high < 2 / outputs or (low <= 1 / outputs and count >= 50):
        return Finding(
            level="problem", kind="chance", title="Hardly better than chance",
            message=f"{message}; guessing is right on {1 / outputs:.1%}",
            advice="The weights, the order of the classes or mean and std do not belong to these images.",
            layer=last,
        )  # fmt: skip
    return Finding(
        level="note", kind="float-accuracy", title="The float network knows these images",
        message=message, advice="What is lost to fewer bits is lost from here.", layer=last,
    )  # fmt: skip
