"""Whether a brought network works: it runs, can be quantized, and is judged on real images. Imports torch."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.analysis.answers.accuracy import top1, wilson
from engine.analysis.inputs.label_match import examine_labels
from engine.data.archive import inner_folder, unpack
from engine.data.images import ImageSet, open_folder
from engine.data.labelling.classes import Classes
from engine.models.card import ModelCard
from engine.models.cards.proposals import usual_normalisations
from engine.models.graph.blocks import find_blocks
from engine.run.networks import Brought
from engine.run.networks.understand import LARGE_SIDE, load, run_once, understand
from engine.run.stages.judging.label_check import require_labels_inside

MOST_IMAGES = 1000  # a first look; a run judges on all
COMPARED_IMAGES = {False: 300, True: 60}  # under other normalisations; by whether images are large


def try_out(brought: Brought) -> dict[str, Any]:
    """Fill the network, run it, find its blocks; judge it where real images are given."""
    known = understand(brought)
    model, notes = load(known)
    outputs = run_once(model, known.card)
    layers = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    answer: dict[str, Any] = {
        "architecture": known.architecture,
        "notes": list(notes),
        "outputs": outputs,
        "blocks": len(find_blocks(model)),
        "batchnorm_layers": len(layers),
        "accuracy": None,
    }
    if brought.images:
        with opened_images(Path(brought.images), known.card, outputs) as images:
            answer["accuracy"] = _judge(model, known.card, images, outputs)
    return answer


@contextmanager
def opened_images(path: Path, card: ModelCard, outputs: int) -> Iterator[ImageSet]:
    """The images with their pixels in [0, 1]: normalised only when they are judged."""
    channels = card.image_shape[0]
    with tempfile.TemporaryDirectory(prefix="quantoscope-") as scratch:
        if path.is_file():
            unpack(path, Path(scratch) / "images")
            path = inner_folder(Path(scratch) / "images")
        yield open_folder(
            path, image_shape=card.image_shape, mean=(0.0,) * channels, std=(1.0,) * channels,
            resize=card.resize, interpolation=card.interpolation, classes=Classes(card.classes, outputs),
        )  # fmt: skip


def _band(share: float, count: int) -> list[float]:
    return list(wilson(round(share * count), count))


@torch.no_grad()
def _judge(model: nn.Module, card: ModelCard, images: ImageSet, outputs: int) -> dict[str, Any]:
    count = min(len(images), MOST_IMAGES)
    facts: dict[str, Any] = {
        "images": count, "of": len(images), "top1": None, "band": None, "others": [],
        "skipped": images.skipped[:20], "skipped_count": len(images.skipped),
        "notes": [*images.notes, *images.pixel_notes], "labels": [],
    }  # fmt: skip
    if images.labels is None:
        facts["reason"] = "the images have no labels"
        return facts
    require_labels_inside(images, outputs)
    scores, labels = _scores(model, images, count, card.mean, card.std), images.labels[:count]
    facts["top1"] = float(top1(scores, labels))
    # In order, not spread: the first images of class folders are of all classes in turn.
    facts["labels"] = [asdict(one) for one in examine_labels(scores, labels, name=images.name)]
    facts["band"] = _band(facts["top1"], count)
    few = min(count, COMPARED_IMAGES[card.image_shape[1] >= LARGE_SIDE])
    own = _top1(model, images, few, card.mean, card.std)
    facts |= {"same_images_top1": own, "same_images_band": _band(own, few)}
    for name, (mean, std) in usual_normalisations(card.image_shape[0]).items():
        if (mean, std) == (card.mean, card.std):
            continue
        share = _top1(model, images, few, mean, std)
        facts["others"].append(
            {
                "name": name,
                "mean": mean,
                "std": std,
                "top1": share,
                "band": _band(share, few),
                "images": few,
            }
        )
    return facts


def _top1(
    model: nn.Module, images: ImageSet, count: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> float:
    assert images.labels is not None
    return float(top1(_scores(model, images, count, mean, std), images.labels[:count]))


def _scores(
    model: nn.Module, images: ImageSet, count: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> Tensor:
    size = 25 if images.first(1).shape[-1] >= LARGE_SIDE else 125
    m, s = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
    batches = islice(images.batches(size), -(-count // size))
    return torch.cat([model((batch - m) / s) for batch in batches])[:count]
