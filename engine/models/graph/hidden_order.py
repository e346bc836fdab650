"""Layers in the order in which they run, where the data flow of a network cannot be seen.

A figure of such a layer is of its first run in a pass of the network. It is true only where the layers run
in one order whatever the images are, each on all images of the batch, and in the thread that calls the
network (of two threads nobody can tell which comes first). All else is refused with the layer's name.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError, is_out_of_memory
from engine.core.outside.own_code import in_words
from engine.core.sampling.noise_images import noise_images
from engine.core.trace import watch_inputs
from engine.models.graph.flow import is_layer

_MANY, _MANY_LARGE = 9, 4  # images: a batch that a network may treat in parts; and of large ones
_LARGE = 256 * 256  # pixels
_WAY_OUT = "let its forward take the same way for every image, with the whole batch at once"


@torch.no_grad()
def order_of_layers(model: nn.Module, image_shape: Sequence[int]) -> tuple[str, ...]:
    """The layers that run, in order; UserError where that depends on the images, or on how many they are."""
    usual = _runs(model, noise_images(2, image_shape, model))
    many = _MANY if image_shape[-1] * image_shape[-2] < _LARGE else _MANY_LARGE
    for images in (*_greys(image_shape), noise_images(many, image_shape, model)):
        try:
            found = _runs(model, images)
        except UserError:
            raise
        except Exception as error:
            if len(images) == 1:  # of one grey, which no real image is: a network may refuse it
                continue
            if is_out_of_memory(error):  # which the run tells of
                raise
            raise UserError(
                f"{_called(model)} runs on two images and not on {len(images)}: {in_words(error)}; let its "
                "forward take any number of images"
            ) from error
        _compare(model, usual, found)
    return tuple(dict.fromkeys(usual))


class FirstRuns:
    """What ran in one pass before a certain layer, held against the order that it should have."""

    def __init__(self, model: nn.Module, order: Sequence[str]) -> None:
        self._model, self._order, self._ran = model, order, _Ran(model)

    @contextlib.contextmanager
    def watched(self, path: str, images: Tensor) -> Iterator[None]:
        """Inside, the network is run up to that layer; UserError at the end where it went another way."""
        try:
            with self._ran.listening():
                yield
        except UserError:
            raise
        except Exception:
            self._ran.check(len(images))  # which may be why
            raise
        ran = dict.fromkeys(self._ran.check(len(images)))
        _compare(self._model, self._order[: self._order.index(path) + 1], [*ran])


class _Ran:
    """The layers that run in a pass, in order, with what is wrong about how they do."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._layers = [path for path, m in model.named_modules() if path and is_layer(m)]
        self._runs: list[tuple[str, int]] = []  # and how many rows it read
        self._strangers: list[str] = []

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        self._runs, self._strangers = [], []
        here = threading.get_ident()

        def listen(path: str, x: Any) -> None:
            if threading.get_ident() != here:
                self._strangers.append(path)
            self._runs.append((path, len(x) if isinstance(x, Tensor) and x.dim() else 0))

        with watch_inputs(self._model, self._layers, listen):
            yield

    def check(self, images: int) -> list[str]:
        """The layers in order; UserError where one ran in another thread or on a part of the images."""
        if self._strangers:
            raise UserError(
                f"{_called(self._model)} runs layer {self._strangers[0]!r} in another thread than the one "
                "that calls it; let its forward call its layers one after another"
            )
        for path, rows in self._runs:
            if rows % images or not rows:
                raise UserError(
                    f"{_called(self._model)} gives layer {path!r} {rows} rows to read where there are "
                    f"{images} images, so not each image passes through it alike; {_WAY_OUT}"
                )
        return [path for path, _ in self._runs]


def _runs(model: nn.Module, images: Tensor) -> list[str]:
    ran = _Ran(model)
    with ran.listening(), torch.random.fork_rng(devices=[]):
        model(images.to(next((p.device for p in model.parameters()), torch.device("cpu"))))
    return ran.check(len(images))


def _greys(image_shape: Sequence[int]) -> Iterator[Tensor]:
    """One image each: empty, bright and dark, as far as normalised pixels go."""
    for shade in (0.0, 2.0, -2.0):
        yield torch.full((1, *image_shape), shade)


def _compare(model: nn.Module, usual: Sequence[str], found: Sequence[str]) -> None:
    """UserError that names a layer which runs for some images alone, at another place or more often."""
    if list(usual) == list(found):
        return
    some = [path for path in dict.fromkeys((*usual, *found)) if (path in usual) != (path in found)]
    if some:
        how = f"runs layer {some[0]!r} for some images and not for others"
    elif list(dict.fromkeys(usual)) != list(dict.fromkeys(found)):
        pairs = zip(dict.fromkeys(usual), dict.fromkeys(found), strict=True)
        one, other = next((a, b) for a, b in pairs if a != b)
        how = f"runs layer {one!r} before {other!r} for some images and behind it for others"
    else:
        path = next(p for p in usual if usual.count(p) != found.count(p))
        how = (
            f"runs layer {path!r} {usual.count(path)} times in one pass and {found.count(path)} times in "
            "another"
        )
    raise UserError(f"{_called(model)} {how}; {_WAY_OUT}")


def _called(model: nn.Module) -> str:
    return f"{type(model).__name__}, whose data flow cannot be seen,"
