"""A recipe: everything a run depends on. Its hash names the run, so the same recipe is the same run."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.needs import why_not
from engine.core.outside.files import sha256_of, typed_path
from engine.core.outside.own_code import file_and_factory, is_own
from engine.data.datasets import Part
from engine.data.image_folders import content_of
from engine.models.card_settings import STORED, VARIANCES
from engine.run.recipes.budgets import images_at, settings_at
from engine.run.recipes.checks import check_names, check_numbers, check_space
from engine.run.recipes.layer_bits import of_any_quantizer, plain_settings
from engine.run.recipes.located import file_named, images_named, network_named
from engine.run.recipes.settings import as_text, resolve

PRESETS = ("quick", "standard", "paper")
EDGE_RULES = {  # which first and last layers stay at 8 bits
    "brecq": "first weights, the second layer's input, last weights and input at 8 bits",
    "qdrop": "first weights, last weights and input at 8 bits",
    "all": "every layer alike",
}


class CannotWork(UserError):  # noqa: N818  (a UserError, told as one)
    """A method that cannot work on the network; another pair may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is computed; where and how fast (device, threads, folder) is not part of it."""

    model: str
    synthesis: str
    quantization: str
    weight_bits: int = 4
    activation_bits: int = 4
    images: int = 128  # synthetic (or real) images to calibrate with
    seed: int = 0
    edge_rule: str = "brecq"
    preset: str = "standard"  # where the settings below came from; informative
    model_settings: dict[str, Any] = field(default_factory=dict)
    synthesis_settings: dict[str, Any] = field(default_factory=dict)
    quantization_settings: dict[str, Any] = field(default_factory=dict)
    weights: str = ""  # a checkpoint file of the user's, else the card's own
    data: str = ""  # a folder of images to judge with, else the card's own
    contents: dict[str, str] = field(
        default_factory=dict
    )  # sha256 of the user's own files, by what they are
    forked_from: str = ""  # RUN@STEP of the synthesis, where this recipe took over from another

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        return cls(**json.loads(text))

    @property
    def run_id(self) -> str:
        """A name to read and a hash to tell apart; the preset's name does not count, its values do."""
        content = asdict(self)
        content.pop("preset")
        if not self.forked_from:
            content.pop("forked_from")  # older than forks: their names stay
        if self.model_settings.get("output") == "auto":  # as it was called before there were others
            content["model_settings"] = self.model_settings | {"output": "classes"}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        name = Path(self.model).name if ".py:" in self.model else self.model
        model = "".join(c if c.isalnum() and c.isascii() else "-" for c in name.lower())
        model = model[-40:].strip("-") or "network"
        bits = f"w{self.weight_bits}a{self.activation_bits}"
        return f"{model}_{self.synthesis}_{self.quantization}_{bits}_{digest[:8]}"


def make_recipe(
    catalog: dict[str, Any],
    *,
    preset: str = "standard",
    runs: Path | None = None,
    own_code: bool = False,
    **wanted: Any,
) -> Recipe:
    """A complete recipe from a catalog (see engine.run.catalog) and what the user asked for.

    The one way to a recipe, for the page, the command line and Python. `wanted` holds the fields of
    Recipe; the three settings dictionaries may hold only what differs from the preset, numbers may be
    text and files may be relative. `runs`: where a zip archive of images is unpacked; without it there
    must be a folder. `own_code` lets the network and images come from a file of the user's
    (FILE.py:FACTORY, which is executed): the command line and Python say so, a page never does.
    Raises UserError for an unknown name, a value out of range, and files that are not there.
    """
    if preset not in PRESETS:
        raise UserError(
            f"preset {as_text(preset)} is not known; choose one of {', '.join(PRESETS)}"
        )
    check_names(wanted, [one.name for one in fields(Recipe)])
    wanted["model"], own = network_named(str(wanted["model"]), own_code=own_code)
    model = own if own is not None else _listed(catalog, wanted["model"], own_code=own_code)
    complete = dict(wanted)
    for kind in ("synthesis", "quantization"):
        method = find(catalog, kind, wanted[kind])
        given = plain_settings(wanted.get(f"{kind}_settings") or {})
        complete[f"{kind}_settings"] = settings_at(preset, model, kind, method, given)
    complete["model_settings"] = resolve(
        model["settings"], preset, wanted.get("model_settings") or {}, "model"
    )
    if complete["model_settings"].get(VARIANCES) == STORED:
        del complete["model_settings"][VARIANCES]  # older than this setting: their names stay
    check_space(model, complete["model_settings"])
    if complete.get("images") is None:
        complete["images"] = images_at(preset, model, wanted["synthesis"])
    quantizer = find(catalog, "quantization", wanted["quantization"])
    check_numbers(complete, EDGE_RULES, quantizer)
    complete["quantization_settings"] |= of_any_quantizer(
        wanted.get("quantization_settings"), quantizer, complete["images"]
    )
    _check_methods(catalog, wanted, model, complete["model_settings"])
    if reason := no_folder(complete["synthesis_settings"]):
        raise UserError(reason)
    complete["weights"] = file_named(wanted.get("weights"), "weights")
    complete["data"] = images_named(wanted.get("data"), runs)
    complete["contents"] = _contents(complete, model, own_code=own_code)
    return Recipe(preset=preset, **complete)


def _listed(catalog: dict[str, Any], name: str, *, own_code: bool) -> dict[str, Any]:
    """The catalog's network; the UserError also says what else can be named."""
    try:
        return find(catalog, "models", name)
    except UserError as error:
        if not own_code:
            raise
        raise UserError(f"{error}, timm/NAME or FILE.py:FACTORY") from None


def _contents(complete: dict[str, Any], model: dict[str, Any], *, own_code: bool) -> dict[str, str]:
    """What is in the user's own files: another content of the same file is another recipe and run."""
    files = {"weights": complete["weights"], "model": model.get("file", "")}
    contents = {what: sha256_of(typed_path(file), what) for what, file in files.items() if file}
    if is_own(str(complete["synthesis_settings"].get("folder", ""))):
        contents |= _locate_code(complete["synthesis_settings"], own_code=own_code)
    else:
        contents |= _locate_images(complete, "synthesis", "folder", "test")
    contents |= _locate_images(complete, "model", "calibration", "train")
    if model.get("content"):  # a saved network, which another may replace under the same name
        contents["network"] = model["content"]
    return contents


def no_folder(synthesis_settings: dict[str, Any]) -> str | None:
    """Why a method that takes its images from a folder cannot begin; None where it has one, or needs none."""
    if str(synthesis_settings.get("folder", "none")).strip():
        return None
    return "synthesis.folder is empty; give a folder of images"


def _locate_code(settings: dict[str, Any], *, own_code: bool) -> dict[str, str]:
    """FILE.py:FACTORY in place of a folder, its file made absolute in place; what is in the file."""
    name = str(settings["folder"])
    if not own_code:
        raise UserError(
            f"synthesis.folder {name!r} would execute a file, which only the command line and Python may; "
            "give a folder of images here"
        )
    file, factory = file_and_factory(name)
    file = file.resolve()
    settings["folder"] = f"{file}:{factory}"
    return {"folder": sha256_of(file)}


def _locate_images(recipe: dict[str, Any], kind: str, name: str, part: Part) -> dict[str, str]:
    """A folder of images that a setting names, made absolute in place; what is in it."""
    settings = recipe[f"{kind}_settings"]
    if not settings.get(name):
        return {}
    folder = typed_path(settings[name], f"{kind}.{name}").absolute()
    settings[name] = str(folder)
    return {name: content_of(folder, recipe["images"], part)}


def _check_methods(
    catalog: dict[str, Any],
    wanted: dict[str, Any],
    model: dict[str, Any],
    model_settings: dict[str, Any],
) -> None:
    for kind in ("synthesis", "quantization"):
        refusals = {
            entry["name"]: refusal(catalog, kind, entry["name"], model, model_settings)
            for entry in catalog[kind]
        }
        reason = refusals[wanted[kind]]
        if reason:
            able = ", ".join(name for name in refusals if not refusals[name])
            ways = f"these can: {able}" if able else "none here can; choose another network"
            raise CannotWork(
                f"{kind} {wanted[kind]!r} cannot work on {wanted['model']!r}: {reason}; {ways}"
            )


def refusal(
    catalog: dict[str, Any],
    kind: str,
    method: str,
    model: dict[str, Any],
    model_settings: dict[str, Any],
) -> str | None:
    """Why this method cannot work on the catalog's network under these settings; None where it can."""
    forms, form = model.get("forms", {}), model_settings.get("form")
    network = model | forms.get(form, {})
    if model_settings.get("calibration"):  # a folder of the user's: what is in it shows later
        network.pop("calibration_images", None)
        network.pop("calibration_labels", None)
    output = str(model_settings.get("output", "")).rpartition(":")[2]
    if output in ("embedding", "image", "segmentation"):
        network["classes"] = 0
    needs = find(catalog, kind, method).get("needs", ())
    reason = why_not(needs, network)
    better = [name for name, facts in forms.items() if not why_not(needs, network | facts)]
    if reason and form and better:
        return f"{reason} in the form {form!r}; set model.form={better[0]}"
    return reason


def find(catalog: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """The catalog's entry of that name; UserError with the names there are."""
    for entry in catalog[kind]:
        if entry["name"] == name:
            return dict(entry)
    every = [entry["name"] for entry in catalog[kind]]
    groups = dict.fromkeys(f"{name.partition('/')[0]}/NAME" for name in every if "/" in name)
    names = ", ".join([*(name for name in every if "/" not in name), *groups])
    what = {"models": "network", "synthesis": "synthesis method"}.get(kind, "quantization method")
    raise UserError(f"{what} {as_text(name)} is not known; choose one of {names}")
