"""The recipe that a New run dialog is about: what it was opened with, and what was changed since."""

from dataclasses import asdict, dataclass, field
from typing import Any

from app.presets import SOURCES, USUAL
from engine.core.errors import UserError
from engine.run.recipes.budgets import images_at, settings_at
from engine.run.recipes.layer_bits import CHOOSES_ITSELF
from engine.run.recipes.layer_bits import SETTING as BITS
from engine.run.recipes.recipe import Recipe, find, refusal

KINDS = {"models": "model", "synthesis": "synthesis", "quantization": "quantization"}
PLAIN = {
    "weight_bits": 4,
    "activation_bits": 4,
    "preset": "quick",
    "edge_rule": "brecq",
    "seed": 0,
    "images": None,  # as many as the effort says
    "weights": "",
    "data": "",
}


@dataclass(slots=True, kw_only=True)
class Draft:
    """One opening of the dialog; `changes` holds, by kind and name, the settings unlike the effort's."""

    number: int  # tells the widgets of one opening from those of another
    wanted: dict[str, Any]
    changes: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    bits: dict[str, dict[str, int]] = field(
        default_factory=dict
    )  # of single layers, by kind and path
    expert: bool = False

    def changed(self, kind: str) -> dict[str, Any]:
        """The changed settings of the network or method now chosen."""
        return self.changes.get((kind, self.wanted[KINDS[kind]]), {})

    def complete(self) -> dict[str, Any]:
        """What make_recipe takes."""
        settings = {f"{KINDS[kind]}_settings": dict(self.changed(kind)) for kind in KINDS}
        if self.bits and self.wanted["quantization"] not in CHOOSES_ITSELF:
            settings["quantization_settings"][BITS] = self.bits
        return self.wanted | settings


def recipe_fields(recipe: Recipe) -> dict[str, Any]:
    """A run's recipe as what make_recipe takes; where it was forked from is not part of that."""
    fields = asdict(recipe)
    for name in ("contents", "forked_from"):
        fields.pop(name)
    return fields


def open_draft(catalog: dict[str, Any], wanted: dict[str, Any] | None, number: int) -> Draft:
    """A draft filled with a recipe's fields; what the catalog no longer knows is left out."""
    given = PLAIN | USUAL | (wanted or {})
    names = {
        field: _known(catalog, kind, str(given[field])) or _first(catalog, kind)
        for kind, field in KINDS.items()
    }
    draft = Draft(number=number, wanted={name: given[name] for name in PLAIN} | names)
    if not (wanted or {}).get("synthesis"):
        draft.wanted["synthesis"] = working_source(catalog, draft)
        names["synthesis"] = draft.wanted["synthesis"]
    for kind, name in KINDS.items():
        if names[name] == given[name]:
            settings: dict[str, Any] = (wanted or {}).get(f"{name}_settings") or {}
            base = preset_values(catalog, draft.wanted, kind)
            draft.changes[kind, names[name]] = {
                one: value
                for one, value in settings.items()
                if one in base and _like(value) != _like(base[one])
            }
    if given["images"] == preset_images(catalog, draft.wanted):
        draft.wanted["images"] = None
    if names["model"] == given["model"]:
        draft.bits = ((wanted or {}).get("quantization_settings") or {}).get(BITS) or {}
    draft.expert = any(draft.changes.values()) or bool(draft.bits)
    return draft


def working_source(catalog: dict[str, Any], draft: Draft) -> str:
    """The chosen images where they can be made for the chosen network, else the first usual ones that can."""
    model = find(catalog, "models", draft.wanted["model"])
    settings = {"calibration": "", "form": ""} | draft.changed("models")
    chosen = str(draft.wanted["synthesis"])
    there = {one["name"] for one in catalog["synthesis"] if one.get("available", True)}
    for name in (chosen, *SOURCES):
        if name in there and not refusal(catalog, "synthesis", name, model, settings):
            return name
    return chosen


def preset_values(catalog: dict[str, Any], wanted: dict[str, Any], kind: str) -> dict[str, Any]:
    """Every setting of the chosen network or method, as the effort has it."""
    entry = find(catalog, kind, wanted[KINDS[kind]])
    if kind == "models":
        return {knob["name"]: knob["presets"][wanted["preset"]] for knob in entry["settings"]}
    model = find(catalog, "models", wanted["model"])
    return settings_at(wanted["preset"], model, kind, entry, {})


def preset_images(catalog: dict[str, Any], wanted: dict[str, Any]) -> int:
    """How many images the effort takes of the chosen method on the chosen network."""
    model = find(catalog, "models", wanted["model"])
    return images_at(wanted["preset"], model, wanted["synthesis"])


def _known(catalog: dict[str, Any], kind: str, name: str) -> str:
    try:
        found = find(catalog, kind, name)
    except UserError:
        return ""
    return name if found.get("available", True) else ""


def _first(catalog: dict[str, Any], kind: str) -> str:
    usual = USUAL[KINDS[kind]]
    able = [one["name"] for one in catalog[kind] if one.get("available", True)]
    return usual if usual in able else str(able[0])


def _like(value: Any) -> Any:
    """Lists and tuples of one content are alike: a recipe that was written and read has lists."""
    return list(value) if isinstance(value, tuple) else value
