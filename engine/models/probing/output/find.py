"""What a network gives, found by running it once: so it is judged by what it is.

A network may return scores of classes, one score, an image, a map of scores, an embedding, or several of
them by name. Everything behind the loading of a network reads one tensor; `read_as` makes a network return
it, under the same names of modules and weights.
"""

import dataclasses
import functools
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.models.probing.output.kinds import (
    KINDS,
    USUAL,
    check_kind,
    kind_of,
    shares_of,
    words_of,
)
from engine.models.probing.output.returned import Entry, named, tensors

AUTO = "auto"
UNASKED = ("auto", "classes", "")  # "classes" stands in older recipes
PROBES = 2  # images: what has a row for each of them is told from what has not
LOUD = 30.0  # times N(0, 1): a score leaves [0, 1] for such images, a probability does not
_LEAST = 1e-6  # of a probability, before its logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a network gives, and how it is read as one tensor.

    One score z is read as the scores (0, z) of two classes, whose softmax is the sigmoid of z: so its sign
    is the answer, and all that works on scores of classes works on it. Probabilities are read as their
    logarithms, which are scores too, and shares of labels as what stood before their sigmoid.
    """

    kind: str  # one of KINDS
    shape: tuple[int, ...]  # of one image, as the network gives it
    entry: Entry = ()  # where in what the network returns; (): all of it
    names: tuple[str, ...] = ()  # of the values that it returns, where there are several
    shares: str = (
        ""  # of 1, instead of scores: of "classes", or of each of several "labels" (sigmoids)
    )
    squeezed: bool = False  # of one image alone it gives no row: a squeeze() takes that away too

    @property
    def has_classes(self) -> bool:
        """Whether an image has scores of classes, one row of them."""
        return self.kind in ("logits", "one-logit")

    @property
    def compares_scores(self) -> bool:
        """Whether answers are compared as probabilities of classes, of each image or each pixel."""
        return self.kind != "image" and self.kind != "embedding"

    @property
    def name(self) -> str:
        """The entry as it is asked for; empty where the network returns one tensor."""
        return named(self.entry)

    def notes(self) -> list[str]:
        """What a user should know of how the output is read; nothing for a plain row of scores."""
        said = []
        if len(self.names) > 1:
            said.append(
                f"Of what the network returns ({', '.join(self.names)}), {self.name!r} is looked at; "
                "model.output chooses another."
            )
        if self.kind in _JUDGED:
            said.append(
                f"The network gives {words_of(self.shape)} for an image: {_JUDGED[self.kind]}"
            )
        if self.shares == "classes":
            said.append("Its outputs are probabilities; they are compared by their logarithms.")
        if self.shares == "labels":
            said.append(
                "Its outputs lie between 0 and 1, each for itself, as of a sigmoid for each label: they are "
                "read as the scores before it, and answers are compared by the label that has most."
            )
        return said

    def read(self, returned: Any) -> Tensor:
        """The one tensor in what the network returned, as the engine reads it."""
        for how, name in self.entry:
            returned = returned[name] if how == "item" else getattr(returned, name)
        y: Tensor = returned
        if self.squeezed:
            y = y.reshape(-1, *self.shape)
        if self.kind == "logits":
            y = y.flatten(1) if len(self.shape) > 1 else y
            if self.shares == "labels":
                return torch.logit(y, _LEAST)
            return y.clamp_min(_LEAST**2).log() if self.shares else y
        if self.kind == "one-logit":
            y = y.reshape(-1, 1)
            return F.pad(torch.logit(y, _LEAST) if self.shares else y, (1, 0))
        if self.kind == "segmentation":
            y = F.pad(y, (0, 0, 0, 0, 1, 0)) if self.shape[0] == 1 else y
            return y.clamp_min(_LEAST**2).log() if self.shares else y
        return y


_JUDGED = {
    "one-logit": "it is judged by its sign, and read as the scores (0, z) of two classes.",
    "image": "it is judged as an image, by SQNR and PSNR against the float network's; model.output says "
    "otherwise.",
    "segmentation": "it is judged pixel by pixel, as scores of classes; model.output says otherwise.",
    "embedding": "it is judged as an embedding, by the cosine with the float network's and, where "
    "test images have labels, by how well it tells them apart.",
}


@torch.no_grad()
def find_output(model: nn.Module, image_shape: Sequence[int], wanted: str = AUTO) -> Output:
    """What the network, in eval mode, gives for images of that shape; it is left as it was.

    `wanted` is one of KINDS, an entry's name, NAME:KIND, or "auto". UserError where the network does not
    run, where it cannot be told what is meant, or where nothing has a row for each image.
    """
    name, kind = _entry_and_kind(wanted)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(PROBES, *image_shape, generator=rng).to(device)
    returned = _run(model, images, image_shape)
    found = {named(entry): (entry, y) for entry, y in tensors(returned)}
    entry, y = _chosen(found, name, kind, type(returned).__name__)
    kind = kind or kind_of(y, image_shape, named(entry))
    check_kind(kind, y)
    output = Output(
        kind=kind, shape=tuple(y.shape[1:]), entry=entry, names=tuple(found) if entry else ()
    )
    shares = shares_of(kind, y, lambda: _read_raw(output, model(LOUD * images)))
    alone = _read_raw(output, _run(model, images[:1], image_shape))
    squeezed = alone.dim() > 0 and alone.shape == y.shape[1:]
    return dataclasses.replace(output, shares=shares, squeezed=squeezed)


def read_as(model: nn.Module, output: Output) -> nn.Module:
    """The network, returning what `output.read` makes of its output; the same object, names and weights."""
    plain = not output.entry and not output.shares and not output.squeezed
    if plain and (
        output.kind in ("image", "embedding") or len(output.shape) == 1 < output.shape[0]
    ):
        return model
    if plain and output.kind == "segmentation" and output.shape[0] > 1:
        return model
    base = type(model)

    @functools.wraps(base.forward)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        return output.read(base.forward(self, *args, **kwargs))

    own = types.new_class(
        base.__name__, (base,), exec_body=lambda body: body.update(forward=forward)
    )
    own.__module__ = base.__module__
    model.__class__ = own
    return model


# --- what is asked for --------------------------------------------------------------------------


def _entry_and_kind(wanted: str) -> tuple[str, str]:
    """(entry, kind) of NAME, KIND or NAME:KIND; empty where it is to be found out."""
    if wanted in UNASKED:
        return "", ""
    name, colon, kind = wanted.rpartition(":")
    if colon and kind in KINDS:
        return name, kind
    return wanted, wanted if wanted in KINDS else ""


def _chosen(
    found: Mapping[str, tuple[Entry, Tensor]], name: str, kind: str, what: str
) -> tuple[Entry, Tensor]:
    """The entry that is asked for, else the one that can be meant; UserError with the names there are."""
    able = {key: one for key, one in found.items() if _has_rows(one[1])}
    told = ", ".join(
        f"{key or 'one tensor'} {words_of(y.shape[1:])}" for key, (_, y) in able.items()
    )
    if name and name in found and name not in able:
        raise UserError(
            f"model.output is {name!r}, which has no row of floating-point numbers for each image; "
            f"these have: {told or 'none'}"
        )
    if name in able:
        return able[name]
    if name and not kind:
        raise UserError(
            f"model.output is {name!r}; choose auto, {', '.join(KINDS)}"
            + (f", or an entry of what this network returns: {told}" if "" not in able else "")
        )
    if not able:
        seen = [f"{key} {y.dtype} {list(y.shape)}".strip() for key, (_, y) in found.items()]
        raise UserError(
            f"the network returns {', '.join(seen) or what} for {PROBES} images: no floating-point tensor "
            "with a row for each; let its forward return one"
        )
    usual = next((key for key in USUAL if key in able), None)
    if len(able) > 1 and usual is None:
        raise UserError(
            f"the network returns several values: {told}; choose one: "
            f"--set model.output={next(iter(able))}"
        )
    return able[usual] if len(able) > 1 and usual else next(iter(able.values()))


def _has_rows(y: Tensor) -> bool:
    return y.dim() > 0 and len(y) == PROBES and y.is_floating_point() and y.numel() > 0


# --- the network's own words --------------------------------------------------------------------


def _run(model: nn.Module, images: Tensor, image_shape: Sequence[int]) -> Any:
    try:
        return model(images)
    except UserError:
        raise
    except Exception as error:  # whatever the network's own Python raises
        said = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(
            f"the network does not run on images of shape {','.join(map(str, image_shape))}: {said}; "
            "give the right one: --set model.image_shape=channels,height,width"
        ) from error


def _read_raw(output: Output, returned: Any) -> Tensor:
    return dataclasses.replace(output, kind="embedding").read(returned)
