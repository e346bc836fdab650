"""What a sweep asks for: networks x image sources x quantizers x bits x seeds, as recipes."""

import itertools
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.outside.files import check_regular, typed_path
from engine.run.recipes.checks import IMAGES
from engine.run.recipes.recipe import CannotWork, Recipe, find, make_recipe
from engine.run.recipes.settings import as_text, whole_number

MOST_RUNS = 500
MOST_BYTES = 1_000_000  # of the file
KINDS = ("model", "synthesis", "quantization")
CHOICES = {"models": "resnet20-fashion", "synthesis": "genie", "quantization": "quantoscope"}
MULTIPLIED = (*CHOICES, "bits", "seeds")
FIELDS = (*MULTIPLIED, "preset", "images", "data", "edge_rule", "settings")
EXAMPLE = (
    '{"models": ["resnet20-fashion"], "synthesis": ["genie", "noise"], "quantization": ["nearest"], '
    '"bits": [[4, 4], [2, 4]], "seeds": [0, 1, 2], "preset": "quick"}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One place of the matrix: what its runs share; they differ in the seed alone."""

    model: str
    synthesis: str
    quantization: str
    weight_bits: int
    activation_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One run of a cell; `reason` says why there is none."""

    cell: Cell
    seed: int
    recipe: Recipe | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """The choices that are multiplied, and what all runs share."""

    models: tuple[str, ...]
    synthesis: tuple[str, ...]
    quantization: tuple[str, ...]
    bits: tuple[tuple[int, int], ...] = ((4, 4),)
    seeds: tuple[int, ...] = (0,)
    preset: str = "quick"
    images: int | None = None
    data: str = ""
    edge_rule: str = "brecq"
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by kind, then by name

    @property
    def count(self) -> int:
        """Runs, those that cannot be included."""
        parts = (self.models, self.synthesis, self.quantization, self.bits, self.seeds)
        return math.prod(len(part) for part in parts)


def read_request(file: Path | str) -> dict[str, Any]:
    """The fields of a sweep (see `make_sweep`) in a JSON or TOML file; UserError where it holds none."""
    path = typed_path(str(file), "sweep")
    check_regular(path, "sweep", MOST_BYTES)
    try:
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            asked: Any = {}
        else:
            asked = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (
        ValueError,
        RecursionError,
    ) as error:  # of both languages, and of bytes that are no text
        raise UserError(
            f"{path.name} cannot be read: {error}; write for example {EXAMPLE}"
        ) from None
    if not isinstance(asked, dict):
        raise UserError(f"{path.name} holds no object; write for example {EXAMPLE}")
    known = all(name in FIELDS for name in asked)  # another name is told of by itself
    if known and not any(name in asked for name in MULTIPLIED):
        raise UserError(
            f"{path.name} names nothing to run; give at least one of {', '.join(MULTIPLIED)}, for example "
            f"{EXAMPLE}"
        )
    return asked


def make_sweep(**asked: Any) -> Sweep:
    """The sweep with these fields, checked; a single value counts as a list of one."""
    for name in asked:
        if name not in FIELDS:
            raise UserError(
                f"{as_text(name)} is no field of a sweep; there are: {', '.join(FIELDS)}"
            )
    given = {name: value for name, value in asked.items() if value is not None}
    shared = {
        name: given[name] for name in ("preset", "images", "data", "edge_rule") if name in given
    }
    if isinstance(shared.get("images"), bool):  # which would count as 0 or 1
        raise UserError(f"images is {shared['images']}; choose {IMAGES[0]} to {IMAGES[1]}")
    if "images" in shared:  # 0 is not the preset's number
        shared["images"] = whole_number(shared["images"], IMAGES, "images")
    models, synthesis, quantization = (
        _names(name, given.get(name, usual)) for name, usual in CHOICES.items()
    )
    sweep = Sweep(
        models=models,
        synthesis=synthesis,
        quantization=quantization,
        bits=_bits(asked.get("bits", [[4, 4]])),
        seeds=_numbers("seeds", asked.get("seeds", [0])),
        settings=_settings(given.get("settings", {})),
        **shared,
    )
    if sweep.count > MOST_RUNS:
        raise UserError(
            f"the sweep has {sweep.count:,} runs, and the most is {MOST_RUNS}; give it in parts"
        )
    return sweep


def planned(
    sweep: Sweep, catalog: dict[str, Any], runs: Path, *, own_code: bool = False
) -> list[Planned]:
    """Every run of the sweep, those that share their images one behind the other.

    A pair that cannot work has a reason instead of a recipe; what is wrong whatever the pair (an unknown
    name, a setting that no method has, bits out of range) is a UserError.
    """
    _check_settings(sweep, catalog)
    found = []
    for model, seed, synthesis, (weights, activations), quantization in itertools.product(
        sweep.models, sweep.seeds, sweep.synthesis, sweep.bits, sweep.quantization
    ):
        cell = Cell(
            model=model, synthesis=synthesis, quantization=quantization,
            weight_bits=weights, activation_bits=activations,
        )  # fmt: skip
        names = {"model": model, "synthesis": synthesis, "quantization": quantization}
        try:
            recipe = make_recipe(
                catalog, preset=sweep.preset, runs=runs, own_code=own_code, **names,
                weight_bits=weights, activation_bits=activations, seed=seed, images=sweep.images,
                data=sweep.data, edge_rule=sweep.edge_rule,
                **{f"{kind}_settings": _of(sweep, catalog, kind, name) for kind, name in names.items()},
            )  # fmt: skip
        except CannotWork as error:
            found.append(Planned(cell=cell, seed=seed, recipe=None, reason=str(error)))
        else:
            found.append(Planned(cell=cell, seed=seed, recipe=recipe))
    return found


def _of(sweep: Sweep, catalog: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """Those of the sweep's settings that this network or method has."""
    known = _known(catalog, kind, name)
    return {k: v for k, v in sweep.settings.get(kind, {}).items() if known is None or k in known}


def _known(catalog: dict[str, Any], kind: str, name: str) -> set[str] | None:
    """Settings by name; None of a network that is no entry of the catalog, such as one by file."""
    entries = "models" if kind == "model" else kind
    if kind == "model" and not any(entry["name"] == name for entry in catalog[entries]):
        return None
    return {knob["name"] for knob in find(catalog, entries, name)["settings"]}


def _check_settings(sweep: Sweep, catalog: dict[str, Any]) -> None:
    """UserError for a setting that none of the methods has: it would change nothing, and say nothing."""
    chosen = {
        "model": sweep.models,
        "synthesis": sweep.synthesis,
        "quantization": sweep.quantization,
    }
    for kind, names in chosen.items():
        known = [_known(catalog, kind, name) for name in names]
        for setting in sweep.settings.get(kind, {}):
            if not any(one is None or setting in one for one in known):
                raise UserError(
                    f"settings.{kind}.{setting} is a setting of none of {', '.join(names)}; take it out, or "
                    "see `python -m engine settings NAME`"
                )


def _names(name: str, given: Any) -> tuple[str, ...]:
    if given in ([], ""):
        raise UserError(f'{name} is empty; give at least one name, such as ["{CHOICES[name]}"]')
    many = [given] if isinstance(given, str) else given
    named = isinstance(many, list) and all(isinstance(one, str) and one.strip() for one in many)
    if not named:
        raise UserError(f"{name} is {as_text(given)}; give a list of names")
    return tuple(dict.fromkeys(many))


def _bits(given: Any) -> tuple[tuple[int, int], ...]:
    """Pairs of weight and activation bits; a single number stands for both."""
    if not isinstance(given, list) or not given:
        raise UserError(
            f"bits are {as_text(given)}; give pairs of weight and activation bits, [[4, 4]]"
        )
    pairs = [[one, one] if isinstance(one, int) else one for one in given]
    for pair in pairs:
        whole = isinstance(pair, list) and len(pair) == 2 and all(type(b) is int for b in pair)
        if not whole:
            raise UserError(
                f"bits hold {as_text(pair)}; give pairs of weight and activation bits, [4, 4]"
            )
    return tuple(dict.fromkeys((pair[0], pair[1]) for pair in pairs))


def _numbers(name: str, given: Any) -> tuple[int, ...]:
    many = [given] if type(given) is int else given
    if not isinstance(many, list) or not many or not all(type(one) is int for one in many):
        raise UserError(f"{name} are {as_text(given)}; give a list of whole numbers")
    return tuple(dict.fromkeys(many))


def _settings(given: Any) -> dict[str, dict[str, Any]]:
    sound = isinstance(given, dict) and all(
        kind in KINDS and isinstance(values, dict) for kind, values in given.items()
    )
    if not sound:
        raise UserError(
            f'settings are {as_text(given)}; give them by kind, {{"synthesis": {{"steps": 300}}}}, '
            f"with kinds of {', '.join(KINDS)}"
        )
    return {kind: dict(values) for kind, values in given.items()}


def recipes_of(plan: Sequence[Planned]) -> list[Recipe]:
    """Those that can be run, in order, none twice."""
    found = {one.recipe.run_id: one.recipe for one in plan if one.recipe is not None}
    return list(found.values())
