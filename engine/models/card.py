"""A card states all that the engine must know about a network before it is built."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engine.core.errors import UserError
from engine.models.card_settings import card_knobs, form_knob
from engine.models.checkpoints.fit import fill
from engine.models.checkpoints.outline import Count, count, count_of
from engine.models.checkpoints.read import read_checkpoint
from engine.models.plain_modules import plain_modules, plain_tensors
from engine.models.wrappers import unwrapped

MOST_NAMED = 100  # classes whose names pages draw
ASSETS = Path(__file__).parents[2] / "assets"
LARGE_IMAGES: dict[
    str, dict[str, Any]
] = {  # budgets for many pixels: fewer images at a time, for a laptop's memory and patience; of all methods
    # of a kind, or of one by its name
    "quick": {
        "images": 32,
        "synthesis.batch": 16,
        "synthesis.steps": 60,
        "synthesis.genie.generator": "lean",  # nearer in the same steps, see README, What is measured
        "synthesis.genie.steps": 40,
        "quantization.steps": 100,
        "quantization.batch": 8,
        "quantization.quantoscope.steps": 70,
    },
    "standard": {
        "images": 64,
        "synthesis.batch": 16,
        "synthesis.steps": 300,
        "quantization.steps": 400,
        "quantization.batch": 16,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImages:
    """Images that come with the project: IDX files below assets/."""

    images: str
    labels: str  # empty: none, or none that the network has to do with
    name: str
    only: tuple[int, ...] = ()  # labels; those of others are left out; (): none is
    halved: bool = (
        False  # read at half of their size; what they were is what the network should give
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A network with its weights, in eval mode, without gradients."""

    model: nn.Module
    undone: tuple[str, ...]  # to get at the weights
    made_plain: tuple[str, ...]  # to make its modules plain ones


Form = Callable[[nn.Module], nn.Module]


def _as_built(model: nn.Module) -> nn.Module:
    return model


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A network by name: how to build it, and the input space that it was trained in."""

    name: str
    title: str
    summary: str
    paper: str
    licence: str
    dataset: str
    image_shape: tuple[int, int, int]  # channels, height, width
    mean: tuple[float, ...]  # per channel, of pixels in [0, 1]
    std: tuple[float, ...]
    resize: int  # short side before the centre crop, see engine.data.images
    interpolation: str = "bicubic"  # of that resize, see engine.data.pixels.decode
    build: Callable[[], nn.Module]  # the architecture alone
    weights: Callable[[], Path | None]  # the file; None: as built; UserError: it cannot be had
    classes: tuple[str, ...] = ()
    output: str = (
        "auto"  # what it gives, see engine.models.probing.output.find; auto: found when it is built
    )
    counted: Count | None = None  # what `build` comes to, where that is known without it
    test: LocalImages | None = None
    calibration: LocalImages | None = None  # real images for the control `real`
    images: Path | None = None  # a folder of the user's to judge with, where there is no `test`
    reported_top1: float | None = None  # in [0, 1], as its makers report
    presets: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict
    )  # budgets that fit it: "images", and settings of all methods of a kind, or of one by its name
    adapt: Callable[[dict[str, Tensor]], dict[str, Tensor]] = (
        dict  # a file's tensors as this network names them
    )
    knobs: tuple[dict[str, Any], ...] = ()  # settings that only this network has
    forms: Mapping[str, Form] = field(
        default_factory=dict
    )  # other networks that compute the same, by name; the first is what is loaded unasked
    form_notes: Mapping[str, str] = field(
        default_factory=dict
    )  # what must be known of a form, by its name
    form: Form = _as_built  # made of the network once its weights are in
    about_form: str = ""  # what must be known of it

    def load(self, weights: Path | None = None) -> nn.Module:
        """The network with its weights, in eval mode, without gradients."""
        return self.load_noted(weights)[0]

    def load_noted(self, weights: Path | None = None) -> tuple[nn.Module, tuple[str, ...]]:
        """As `load`, and what had to be undone to get at the weights, in words."""
        loaded = self.load_all(weights)
        return loaded.model, loaded.undone

    def load_all(self, weights: Path | None = None) -> "Loaded":
        """The network as plain modules, and all that had to be done for it, in words."""
        model, taken_off = unwrapped(self.build())
        made_plain = taken_off + plain_tensors(model, self.image_shape, self.name)
        undone: tuple[str, ...] = ()
        path = weights or self.weights()
        if path is not None:
            checkpoint = read_checkpoint(path)
            checkpoint = replace(checkpoint, tensors=self.adapt(checkpoint.tensors))
            undone = fill(model, checkpoint, self.name)
        made_plain += plain_modules(model.eval(), self.image_shape)
        model = self.form(model).requires_grad_(False)
        return Loaded(model=model, undone=undone, made_plain=made_plain)

    def in_form(self, name: str) -> "ModelCard":
        """The card of the same network in one of its forms; this card where `name` is empty."""
        if not name:
            return self
        if name not in self.forms:
            known = ", ".join(self.forms) or "none at all"
            raise UserError(f"model.form of {self.name} is {name!r}; there are: {known}")
        return replace(self, form=self.forms[name], about_form=self.form_notes.get(name, ""))


def bundled(name: str) -> Path:
    """A file of assets/; UserError where the checkout lacks it."""
    path = ASSETS / name
    if not path.is_file():
        raise UserError(f"{path} is not there; assets/SOURCES.md says where it comes from")
    return path


def catalog_entry(card: ModelCard) -> dict[str, Any]:
    """The card as plain data for menus, with what only the built network can tell."""
    try:
        card.weights()
        reason = ""
    except UserError as error:
        reason = str(error)
    facts = card.counted or count(card.build)
    return {
        "name": card.name,
        "title": card.title,
        "summary": card.summary,
        "dataset": card.dataset,
        "paper": card.paper,
        "parameters": facts.parameters,
        "batchnorm_layers": facts.batchnorm_layers,
        "convolutions": facts.convolutions,
        "classes": 0
        if card.output in ("embedding", "image")
        else len(card.classes) or facts.outputs,
        "calibration_images": card.calibration is not None,
        "calibration_labels": card.calibration is not None and bool(card.calibration.labels),
        "image_shape": list(card.image_shape),
        # A thousand names for each of eighty networks would make the catalog slow to read.
        "class_names": list(card.classes) if len(card.classes) <= MOST_NAMED else [],
        "available": not reason,
        "reason": reason,
        "has_test_images": card.test is not None,
        "presets": {name: dict(values) for name, values in card.presets.items()},
        "forms": {name: asdict(count_of(form(card.build()))) for name, form in card.forms.items()},
        "settings": [
            *card_knobs(mean=card.mean, std=card.std, resize=card.resize, low=card.image_shape[1]),
            *([form_knob(tuple(card.forms), card.form_notes)] if card.forms else []),
            *card.knobs,
        ],
    }
