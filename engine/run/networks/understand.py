"""What a checkpoint that a user brings is: inspected, and built as the network it is of. Imports torch."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.outside.own_code import is_own
from engine.models.card import ModelCard
from engine.models.card_settings import check_input_space
from engine.models.cards.from_architecture import Guess, architecture_card, guess
from engine.models.cards.proposals import Proposal, propose
from engine.models.checkpoints.fit import fill
from engine.models.checkpoints.read import Checkpoint, read_checkpoint
from engine.models.checkpoints.reparametrised import baked
from engine.models.probing.probe import check_finite
from engine.run.networks import Brought

LARGE_SIDE = 100  # pixels, from which on a network is slow on a laptop


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A brought network, complete: what was said, and guesses for the rest."""

    card: ModelCard
    checkpoint: Checkpoint
    guess: Guess | None  # None where the user named the architecture
    architecture: str
    parameters: dict[str, Any]
    class_count: int


def inspect_file(file: Path) -> dict[str, Any]:
    """The checkpoint's facts, the architectures it may be of, and a form filled in with guesses."""
    if is_own(str(file)) or file.suffix == ".py":
        raise UserError(
            f"{file} is Python, and only checkpoints are inspected; look a network in a Python file over "
            "with `python -m engine diagnose --model FILE.py:FACTORY`"
        )
    checkpoint = baked(read_checkpoint(file))
    guesses = guess(checkpoint)
    best = guesses[0] if guesses and guesses[0].fit.enough else None
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
        "next": _next_step(file, best),
    }


def _next_step(file: Path, best: Guess | None) -> str:
    """What to do with the file now, in a sentence."""
    if best is not None:
        return (
            f"keep it with `python -m engine save-network NAME --weights {file}`, or try it with "
            "`try-network`"
        )
    return (
        "its architecture is not known here: write a function that returns the network, and give "
        f"`--model FILE.py:FACTORY --weights {file} --set model.image_shape=C,H,W` to `diagnose` or `run`"
    )


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
    checkpoint = baked(read_checkpoint(Path(brought.weights)))
    best = None
    architecture, parameters = brought.architecture, dict(brought.parameters)
    if not architecture:
        best = next(iter(guess(checkpoint)), None)
        if best is None or not best.fit.enough:
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
    resize = max(brought.resize or origin.resize, shape[1])
    check_input_space(mean, std, resize, shape[0])
    return replace(
        base, title=brought.title or origin.title, summary=brought.summary,
        dataset=brought.dataset or origin.dataset,
        image_shape=shape, mean=mean, std=std, resize=resize,
        classes=tuple(brought.classes or origin.classes),
    )  # fmt: skip


def _check_shape(shape: tuple[int, ...], base: ModelCard) -> None:
    if len(shape) != 3 or not all(1 <= side <= 2048 for side in shape):
        raise UserError(f"image shape is {shape}; give channels,height,width, up to 2048 each")
    if shape[0] != base.image_shape[0]:
        raise UserError(
            f"image shape is {shape}, but the first layer takes {base.image_shape[0]} channels; "
            f"give {base.image_shape[0]},{shape[1]},{shape[2]}"
        )


def load(known: Understood) -> tuple[nn.Module, tuple[str, ...]]:
    """The network with the checkpoint's weights, in eval mode, and notes on what had to be renamed."""
    model = known.card.build()
    adapted = replace(known.checkpoint, tensors=known.card.adapt(known.checkpoint.tensors))
    notes = fill(model, adapted, known.architecture)
    check_finite(model, known.architecture)
    return model.eval().requires_grad_(False), notes


@torch.no_grad()
def run_once(model: nn.Module, card: ModelCard) -> int:
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
        raise UserError(
            "the network returns no scores for classes; give the checkpoint of a classifier"
        )
    if not scores.isfinite().all():
        raise UserError(
            "the network returns values that are no numbers, for its weights are damaged; give a "
            "checkpoint from before"
        )
    return int(scores.shape[1])
