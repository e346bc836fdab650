"""What becomes of a checkpoint that a user brings: inspected, tried out, saved. Imports torch."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.analysis.accuracy import top1, wilson
from engine.core.errors import UserError
from engine.data.archive import inner_folder, unpack
from engine.data.images import ImageSet, open_folder
from engine.models.architectures import Guess, architecture_card, guess
from engine.models.blocks import find_blocks
from engine.models.card import LARGE_IMAGES, ModelCard
from engine.models.checkpoint import Checkpoint, read_checkpoint
from engine.models.fit import fill
from engine.models.proposals import Proposal, propose, usual_normalisations
from engine.models.saved import CARD, WEIGHTS, SavedNetwork, check_name
from engine.run.folder import write_atomically
from engine.run.networks import Brought

LARGE_SIDE = 100  # pixels, from which on a network is slow on a laptop
MOST_IMAGES = 1000  # a first look; a run judges on all
COMPARED_IMAGES = {False: 300, True: 60}  # under other normalisations; by whether images are large


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A brought network, complete: what was said, and guesses for the rest."""

    card: ModelCard
    checkpoint: Checkpoint
    guess: Guess | None  # None where the user named the architecture
    architecture: str
    parameters: dict[str, Any]
    class_count: int


# --- what is it ---------------------------------------------------------------------------------


def inspect_file(file: Path) -> dict[str, Any]:
    """The checkpoint's facts, the architectures it may be of, and a form filled in with guesses."""
    checkpoint = read_checkpoint(file)
    guesses = guess(checkpoint)
    best = guesses[0] if guesses and guesses[0].fit.whole else None
    return {
        "file": str(file),
        "bytes": file.stat().st_size,
        "form": checkpoint.form,
        "tensors": len(checkpoint.tensors),
        "values": checkpoint.parameters,
        "dtypes": checkpoint.dtypes,
        "undone": list(checkpoint.undone),
        "guesses": [_guess_entry(one) for one in guesses[:5]],
        "proposal": _proposal_entry(propose(checkpoint, best)) if best else None,
    }


def _guess_entry(one: Guess) -> dict[str, Any]:
    fit = one.fit
    return {
        "architecture": one.architecture,
        "title": one.title,
        "parameters": dict(one.parameters),
        "fits": one.words,
        "whole": fit.whole,
        "renamed": list(fit.notes),
        "missing": list(fit.missing[:3]),
        "unknown": list(fit.unknown[:3]),
        "misshapen": list(fit.misshapen[:3]),
    }


def _proposal_entry(proposal: Proposal) -> dict[str, Any]:
    names = (
        "title", "dataset", "image_shape", "mean", "std", "resize", "classes", "class_count", "reasons",
    )  # fmt: skip
    return {name: getattr(proposal, name) for name in names}


def understand(brought: Brought) -> Understood:
    """The card of what was brought; UserError where its architecture cannot be told, or nothing fits."""
    checkpoint = read_checkpoint(Path(brought.weights))
    best = None
    architecture, parameters = brought.architecture, dict(brought.parameters)
    if not architecture:
        best = next(iter(guess(checkpoint)), None)
        if best is None or not best.fit.whole:
            near = f"; nearest is {best.architecture}, {best.words}" if best else ""
            raise UserError(
                f"weights file {brought.weights} is of no architecture known here{near}; "
                "bring the network as FILE.py:FACTORY with --model and --weights"
            )
        architecture, parameters = best.architecture, dict(best.parameters)
    base = architecture_card(architecture, parameters)
    proposal = propose(checkpoint, best) if best else None
    card = _described(base, proposal, brought)
    count = proposal.class_count if proposal else len(base.classes)
    return Understood(
        card=card, checkpoint=checkpoint, guess=best, architecture=architecture, parameters=parameters,
        class_count=int(parameters.get("classes", count)),
    )  # fmt: skip


def _described(base: ModelCard, proposal: Proposal | None, brought: Brought) -> ModelCard:
    """The card with what the user said, else what was guessed, else what the architecture says."""
    origin: Any = proposal or base
    shape = tuple(brought.image_shape or origin.image_shape)
    _check_shape(shape, base)
    mean, std = tuple(brought.mean or origin.mean), tuple(brought.std or origin.std)
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != shape[0]:
            raise UserError(
                f"{name} has {len(values)} values; give one for each of {shape[0]} channels"
            )
    if min(std) <= 0:
        raise UserError(f"std is {std}; every value must be above 0")
    return replace(
        base, title=brought.title or origin.title, summary=brought.summary,
        dataset=brought.dataset or origin.dataset,
        image_shape=shape, mean=mean, std=std, resize=max(brought.resize or origin.resize, shape[1]),
        classes=tuple(brought.classes or origin.classes),
    )  # fmt: skip


def _check_shape(shape: tuple[int, ...], base: ModelCard) -> None:
    if len(shape) != 3 or not all(1 <= side <= 2048 for side in shape):
        raise UserError(f"image shape is {shape}; give channels,height,width, up to 2048 each")
    if shape[0] != base.image_shape[0]:
        raise UserError(
            f"image shape is {shape}, but the first layer takes {base.image_shape[0]} channels"
        )


# --- does it work -------------------------------------------------------------------------------


def try_out(brought: Brought) -> dict[str, Any]:
    """Fill the network, run it, find its blocks; judge it where real images are given."""
    known = understand(brought)
    model, notes = _load(known)
    outputs = _forward(model, known.card)
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
        with opened_images(Path(brought.images), known.card) as images:
            answer["accuracy"] = _judge(model, known.card, images, outputs)
    return answer


def _load(known: Understood) -> tuple[nn.Module, tuple[str, ...]]:
    model = known.card.build()
    adapted = replace(known.checkpoint, tensors=known.card.adapt(known.checkpoint.tensors))
    notes = fill(model, adapted, known.architecture)
    return model.eval().requires_grad_(False), notes


@torch.no_grad()
def _forward(model: nn.Module, card: ModelCard) -> int:
    """How many scores come out; UserError where the network does not run on images of this shape."""
    noise = torch.randn(2, *card.image_shape, generator=torch.Generator().manual_seed(0))
    try:
        scores = model(noise)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0][:160]
        raise UserError(
            f"the network does not run on images of shape {card.image_shape}: {reason}; "
            "give another image shape"
        ) from error
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        raise UserError("the network returns no scores for classes; Quantoscope judges classifiers")
    if not scores.isfinite().all():
        raise UserError("the network returns values that are no numbers; its weights are damaged")
    return int(scores.shape[1])


@contextmanager
def opened_images(path: Path, card: ModelCard) -> Iterator[ImageSet]:
    """The images with their pixels in [0, 1]: normalised only when they are judged."""
    channels = card.image_shape[0]
    with tempfile.TemporaryDirectory(prefix="quantoscope-") as scratch:
        if path.is_file():
            unpack(path, Path(scratch) / "images")
            path = inner_folder(Path(scratch) / "images")
        yield open_folder(
            path, image_shape=card.image_shape, mean=(0.0,) * channels, std=(1.0,) * channels,
            resize=card.resize, interpolation=card.interpolation, classes=card.classes,
        )  # fmt: skip


def _band(share: float, count: int) -> list[float]:
    return list(wilson(round(share * count), count))


@torch.no_grad()
def _judge(model: nn.Module, card: ModelCard, images: ImageSet, outputs: int) -> dict[str, Any]:
    count = min(len(images), MOST_IMAGES)
    facts: dict[str, Any] = {
        "images": count, "of": len(images), "top1": None, "band": None, "others": [],
        "skipped": images.skipped[:20], "skipped_count": len(images.skipped),
    }  # fmt: skip
    if images.labels is None:
        facts["reason"] = "the images have no labels"
        return facts
    if int(images.labels.max()) >= outputs:
        raise UserError(
            f"the images have labels up to {int(images.labels.max())}, the network has {outputs} classes "
            f"(0 to {outputs - 1}); give images of its classes"
        )
    facts["top1"] = _top1(model, images, count, card.mean, card.std)
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
    size = 25 if images.first(1).shape[-1] >= LARGE_SIDE else 125
    m, s = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
    batches = islice(images.batches(size), -(-count // size))
    scores = torch.cat([model((batch - m) / s) for batch in batches])[:count]
    return float(top1(scores, images.labels[:count]))


# --- keep it ------------------------------------------------------------------------------------


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
    model, notes = _load(known)
    outputs = _forward(model, known.card)
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
    )  # fmt: skip
    write_atomically(folder / CARD, saved.to_json().encode())
    return saved


def _kept_images(images: str, folder: Path) -> str:
    """Where the images are from now on: an archive is unpacked beside the weights."""
    if not images or Path(images).is_dir():
        return str(Path(images).resolve()) if images else ""
    unpack(Path(images), folder / "images")
    return str(inner_folder(folder / "images").relative_to(folder))
