"""A recipe: everything a run depends on. Its hash names the run, so the same recipe is the same run."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.files import sha256_of, typed_path
from engine.core.needs import why_not
from engine.core.own_code import file_and_factory, is_own
from engine.data.datasets import Part
from engine.data.listing import content_of
from engine.models.knobs import input_space_fault
from engine.run.settings import resolve

PRESETS = ("quick", "standard", "paper")
EDGE_RULES = {  # which first and last layers stay at 8 bits
    "brecq": "first weights, the second layer's input, last weights and input at 8 bits",
    "qdrop": "first weights, last weights and input at 8 bits",
    "all": "every layer alike",
}
BITS = range(2, 9)


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
    own: dict[str, Any] | None = None,
    own_code: bool = False,
    **wanted: Any,
) -> Recipe:
    """A complete recipe from a catalog (see engine.run.catalog) and what the user asked for.

    `wanted` holds the fields of Recipe; the three settings dictionaries may hold only what differs
    from the preset. `own` stands for the catalog's entry where the network is a file of the user's;
    `own_code` lets images come from one too (FILE.py:FACTORY, which is executed): the command line and
    Python say so, a page never does.
    Raises UserError for an unknown name or a value out of range.
    """
    if preset not in PRESETS:
        raise UserError(f"preset {preset!r} is not known; choose one of {', '.join(PRESETS)}")
    model = own if own is not None else find(catalog, "models", wanted["model"])
    budget = model["presets"].get(preset, {})
    complete = dict(wanted)
    for kind in ("synthesis", "quantization"):
        knobs = find(catalog, kind, wanted[kind])["settings"]
        given = wanted.get(f"{kind}_settings", {})
        complete[f"{kind}_settings"] = settings_at(preset, model, kind, knobs, given)
    complete["model_settings"] = resolve(
        model["settings"], preset, wanted.get("model_settings", {}), "model"
    )
    _check_input_space(model, complete["model_settings"])
    if complete.get("images") is None:
        defaults = {"quick": 128, "standard": 256, "paper": 1024}
        complete["images"] = int(budget.get("images", defaults[preset]))
    _check_numbers(complete)
    _check_methods(catalog, wanted, model, complete["model_settings"])
    # Another content of the same file is another recipe, and so another run.
    files = {"weights": complete.get("weights", ""), "model": "" if own is None else own["file"]}
    complete["contents"] = {
        what: sha256_of(typed_path(file)) for what, file in files.items() if file
    }
    folder = complete["synthesis_settings"].get("folder", "")
    if is_own(str(folder)):
        complete["contents"] |= _locate_code(complete["synthesis_settings"], own_code=own_code)
    elif reason := no_folder(complete["synthesis_settings"]):
        raise UserError(reason)
    else:
        complete["contents"] |= _locate_images(complete, "synthesis", "folder", "test")
    complete["contents"] |= _locate_images(complete, "model", "calibration", "train")
    if model.get("content"):  # a saved network, which another may replace under the same name
        complete["contents"]["network"] = model["content"]
    return Recipe(preset=preset, **complete)


def _check_input_space(model: dict[str, Any], settings: dict[str, Any]) -> None:
    shape = settings.get("image_shape") or model.get("image_shape")
    mean, std = (settings.get(name) or () for name in ("mean", "std"))
    channels = (
        int(shape[0]) if shape and 1 <= shape[0] <= 4096 else None
    )  # else the card refuses it
    fault = input_space_fault(mean, std, settings.get("resize") or 0, channels)
    if fault:
        raise UserError(f"model.{fault}")


def settings_at(
    preset: str,
    model: dict[str, Any],
    kind: str,
    knobs: list[dict[str, Any]],
    given: dict[str, Any],
) -> dict[str, Any]:
    """Every setting of a method: what is given, else the network's own budget, else the preset's."""
    known = {knob["name"] for knob in knobs}
    budget = {
        name.removeprefix(f"{kind}."): value
        for name, value in model["presets"].get(preset, {}).items()
        if name.startswith(f"{kind}.")
    }
    budget = {name: value for name, value in budget.items() if name in known}
    return resolve(knobs, preset, budget | given, kind)


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


def _locate_images(fields: dict[str, Any], kind: str, name: str, part: Part) -> dict[str, str]:
    """A folder of images that a setting names, made absolute in place; what is in it."""
    settings = fields[f"{kind}_settings"]
    if not settings.get(name):
        return {}
    folder = typed_path(settings[name], f"{kind}.{name}").absolute()
    settings[name] = str(folder)
    return {name: content_of(folder, fields["images"], part)}


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
            able = ", ".join(name for name in refusals if not refusals[name]) or "none"
            raise UserError(
                f"{kind} {wanted[kind]!r} cannot work on {wanted['model']!r}: {reason}; "
                f"these can: {able}"
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
    if model_settings.get("output") == "embedding":
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
    raise UserError(f"{what} {name!r} is not known; choose one of {names}")


def _check_numbers(fields: dict[str, Any]) -> None:
    for name in ("weight_bits", "activation_bits"):
        if fields.get(name, 4) not in BITS:
            raise UserError(f"{name.replace('_', ' ')} is {fields[name]}; choose 2 to 8")
    if not 1 <= fields["images"] <= 100_000:
        raise UserError(f"images is {fields['images']}; choose 1 to 100000")
    if not 0 <= fields.get("seed", 0) < 2**62:
        raise UserError(f"seed is {fields['seed']}; choose 0 to 2^62")
    if fields.get("edge_rule", "brecq") not in EDGE_RULES:
        raise UserError(
            f"edge rule {fields['edge_rule']!r} is not known; choose one of {', '.join(EDGE_RULES)}"
        )
