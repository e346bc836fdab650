"""One look at a network once it is built: does it run, can it be copied, does a gradient reach its images?

Diagnosis, run and trial load a network through `load_probed`, so that what is wrong is told in the same
words everywhere, before a step is taken. It is left in eval mode, laid out as it runs fastest.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.layout import channels_last, contiguous
from engine.core.sampling.randomness import stream
from engine.models.card import ModelCard
from engine.models.graph.flow import is_layer
from engine.models.probing.guards import SparesImages, put_around
from engine.models.probing.hooks import take_off_watchers
from engine.models.probing.output.find import Output, find_output, read_as
from engine.models.probing.output.returned import first_tensor
from engine.models.probing.passes.answers import (
    check_finite_answer,
    of_other_images,
    plain_answer,
)
from engine.models.probing.passes.copies import check_copy
from engine.models.probing.passes.first_pass import first_pass, unregistered
from engine.models.probing.passes.gradients import why_no_gradient
from engine.models.probing.passes.other_batches import check_other_batches
from engine.models.probing.passes.own_weights import check_weights_stay
from engine.models.probing.passes.repeats import check_repeats, check_statistics, statistics
from engine.models.probing.passes.routes import check_routes

Shape = tuple[int, int, int]
IMAGES = 2  # one image would hide what mixes images up
_SAME = 1e-3  # of the largest output: rounding of another order of sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A network that runs, and what is known of it now."""

    model: nn.Module
    undone: tuple[str, ...] = ()  # to read its checkpoint, in words
    notes: tuple[str, ...] = ()  # what had to be done to it, in sentences
    no_gradient: str = ""  # why images cannot follow it; empty where they can


def load_probed(card: ModelCard, weights: Path | None = None, *, numbers: bool = True) -> Probed:
    """The card's network, loaded and probed; UserError for what cannot work, in one line.

    `numbers`: refuse weights and outputs that are not finite; a diagnosis tells of them itself.
    """
    loaded = card.load_all(weights)
    notes = tuple(f"The network: {note}." for note in loaded.made_plain)
    found = probe(loaded.model, card.image_shape, card.name, numbers=numbers)
    return replace(found, undone=loaded.undone, notes=(*notes, *found.notes))


def load_read(
    card: ModelCard, weights: Path | None = None, *, numbers: bool = True
) -> tuple[Probed, Output]:
    """`load_probed`, with a network that returns the one tensor that it is judged by; and what that is."""
    probed = load_probed(card, weights, numbers=numbers)
    output = find_output(probed.model, card.image_shape, card.output)
    return replace(probed, model=read_as(probed.model, output)), output


def probe(model: nn.Module, image_shape: Shape, name: str, *, numbers: bool = True) -> Probed:
    """Run it on two images, see what it does to them and to itself, and mend what can be mended."""
    _check_layers(model, name)
    if numbers:
        check_finite(model, name)
    images = torch.randn(IMAGES, *image_shape, generator=stream(0, "probe"))
    notes = unregistered(model)
    with _undisturbed(model):
        given, state = images.clone(), statistics(model)
        outputs = first_pass(model, given, name)
        if not torch.equal(given, images):
            put_around(SparesImages, model)
            notes.append("It writes into the images that it is given: it gets a copy of them.")
        answer = plain_answer(outputs, name)
        check_statistics(model, state, name)
        if numbers:
            check_finite_answer(model, images, answer, name)
        moody = check_repeats(model, images, answer, name)
        notes += [*moody, *of_other_images(model, images, answer)]
        if moody:
            check_routes(model, images, name)
        notes += check_other_batches(model, images, answer, name, repeats=not moody)
        check_weights_stay(model, images, name)
        notes += take_off_watchers(model, images, lambda x: first_tensor(_quiet(model, x)), name)
        no_gradient = why_no_gradient(model, images, name)
        notes += check_copy(model, images, name)
        _lay_out(model, images)
    model.requires_grad_(False)
    return Probed(
        model=model, notes=tuple(f"The network: {n[0].lower()}{n[1:]}" for n in notes),
        no_gradient=no_gradient and f"{name}: {no_gradient}",
    )  # fmt: skip


def _check_layers(model: nn.Module, name: str) -> None:
    layers = [(path, m) for path, m in model.named_modules() if is_layer(m)]
    if not layers:
        raise UserError(
            f"{name} has no convolution or linear layer (nn.Conv2d, nn.Linear), so there is nothing to "
            "quantize; write its weights as such layers"
        )
    for path, module in layers:
        weight = module._parameters.get("weight")
        if weight is not None and not weight.is_floating_point():
            raise UserError(
                f"{name} has weights of {weight.dtype} in {path!r}; only real numbers can be quantized: give "
                "it such weights"
            )


def check_finite(model: nn.Module, name: str) -> None:
    """UserError that names the first layer and tensor with values that are no numbers."""
    for path, module in model.named_modules():
        for key, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is None or not tensor.is_floating_point():
                continue
            is_buffer = key in module._buffers and not key.startswith("running_")
            bad = tensor.isnan() if is_buffer else ~tensor.isfinite()  # a mask may hold infinity
            if bad.any():
                what = "NaN" if bool(tensor.isnan().any()) else "infinite"
                raise UserError(
                    f"{name} holds {what} values ({int(bad.sum()):,} of {bad.numel():,}) in {key!r} of layer "
                    f"{path or '(itself)'!r}; give weights from before the training broke"
                )
            if key == "running_var" and bool((tensor < 0).any()):
                raise UserError(
                    f"{name} holds a negative variance in {key!r} of layer {path!r}; "
                    "give weights that were saved whole"
                )


# --- what a pass does ------------------------------------------------------------------------------


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Inside, what a network draws or warns of disturbs nothing outside; it is in eval mode after."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        yield
        model.eval()


@torch.no_grad()
def _quiet(model: nn.Module, images: Tensor) -> Any:
    return model(images.clone())


@torch.no_grad()
def _lay_out(model: nn.Module, images: Tensor) -> None:
    """Channels last where the network runs so to the same answer; else as torch makes tensors."""
    contiguous(model)
    torch.manual_seed(0)
    wanted = first_tensor(_quiet(model, images))
    channels_last(model)
    try:
        torch.manual_seed(0)
        got = first_tensor(model(images.contiguous(memory_format=torch.channels_last).clone()))
        assert wanted is not None
        assert got is not None
        most = _SAME * float(wanted.abs().max()) + 1e-6
        # (torch.testing would load a computer algebra system, a second of every worker's start.)
        assert torch.allclose(got, wanted, rtol=0, atol=most, equal_nan=True)
    except Exception:  # noqa: BLE001  (a view of what no longer lies side by side, for one)
        contiguous(model)
