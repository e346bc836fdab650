"""Bits layer by layer in a recipe: read from a file or a mapping, checked, and put into a plan.

A file holds {"weight_bits": {PATH: BITS}, "activation_bits": {PATH: BITS}}, as a run's own bits.json and
the answer of `python -m engine bits` do; either may be missing, and a layer not named keeps the recipe's
bits; an input of 32 bits, or of null, stays float. What it holds becomes part of the recipe, so the file may
move or go. Imports no torch.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.core.errors import UserError
from engine.core.outside.files import open_regular, typed_path
from engine.run.recipes.checks import activation_bits_of, weight_bits_of
from engine.run.recipes.left_out_images import SETTING as LEAVE_OUT
from engine.run.recipes.left_out_images import left_out
from engine.run.recipes.settings import as_text, whole_number

if TYPE_CHECKING:  # at run time it would bring torch
    from engine.quantization.plan import LayerBits

SETTING = "bits"  # of the quantization settings of any quantizer that does not choose bits itself
KINDS = ("weight_bits", "activation_bits")
FLOAT = 32  # of an input: it is not quantized
CHOOSES_ITSELF = ("mixed",)
_MOST_BYTES = 1024 * 1024
_LABEL = f"quantization.{SETTING}"


def bits_wanted(value: Any, quantizer: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """What the setting says, as {"weight_bits": {..}, "activation_bits": {..}}; {} where it says nothing.

    value: a mapping, JSON text, or the path of a file. quantizer: a catalog's entry. UserError for what
    cannot be read or has no such form, for bits out of range, and where a quantizer chooses its bits itself.
    """
    if value is None or value in ("", {}):
        return {}
    if quantizer["name"] in CHOOSES_ITSELF:
        raise UserError(
            f"{_LABEL} is given, but quantization {quantizer['name']!r} chooses each layer's bits itself; "
            "take its rounding (quantization.rounding) as the quantizer instead"
        )
    found = value if isinstance(value, Mapping) else _read(value)
    limits = {
        "weight_bits": weight_bits_of(quantizer), "activation_bits": activation_bits_of(quantizer),
    }  # fmt: skip
    return _checked(found, limits)


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        raise UserError(
            f"{_LABEL} is {as_text(value)}; give a JSON file or a mapping of layers to bits"
        )
    text = value.strip()
    if not text.startswith("{"):
        path = typed_path(text, _LABEL)
        with open_regular(path, _LABEL, _MOST_BYTES) as (file, size):
            raw = file.read(size)
    else:
        raw = text.encode()
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise UserError(f"{_LABEL} {as_text(value)} holds no JSON; {_FORM}") from None


_FORM = 'write {"weight_bits": {"LAYER": 4}, "activation_bits": {"LAYER": 8}}'


def _checked(found: Any, limits: Mapping[str, tuple[int, int]]) -> dict[str, dict[str, int]]:
    if not isinstance(found, Mapping) or not any(kind in found for kind in KINDS):
        raise UserError(f"{_LABEL} names no weight_bits and no activation_bits; {_FORM}")
    bits: dict[str, dict[str, int]] = {}
    for kind in KINDS:
        named = found.get(kind) or {}
        if not isinstance(named, Mapping):
            raise UserError(f"{_LABEL}: {kind} is {as_text(named)}; {_FORM}")
        bits[kind] = {
            str(path): _width(
                width, kind, limits[kind], f"{_LABEL}: {kind} of {as_text(str(path))}"
            )
            for path, width in sorted(named.items(), key=lambda one: str(one[0]))
        }
    return {} if not any(bits.values()) else bits


def _width(value: Any, kind: str, limits: tuple[int, int], label: str) -> int:
    if kind == "weight_bits":
        return whole_number(value, limits, label)
    if value is None:  # an input that is not quantized, as in a run's own bits.json
        return FLOAT
    try:
        return whole_number(value, (FLOAT, FLOAT), label)
    except UserError:
        try:
            return whole_number(value, limits, label)
        except UserError as error:
            raise UserError(f"{error}, or {FLOAT} to leave it float") from None


def of_any_quantizer(
    given: Mapping[str, Any] | None, quantizer: Mapping[str, Any], images: int
) -> dict[str, Any]:
    """What every quantizer takes, of the settings given: layers' own bits, images left out; no empty ones."""
    found = {
        SETTING: bits_wanted((given or {}).get(SETTING), quantizer),
        LEAVE_OUT: left_out((given or {}).get(LEAVE_OUT), images),
    }
    return {name: value for name, value in found.items() if value}  # else as recipes always were


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's quantization settings without what any quantizer takes: what the method has knobs for."""
    return {name: value for name, value in settings.items() if name not in (SETTING, LEAVE_OUT)}


def with_bits(
    plan: "Mapping[str, LayerBits]", settings: Mapping[str, Any]
) -> "dict[str, LayerBits]":
    """The plan with the bits that the recipe gives single layers.

    UserError in one line for a layer that there is not, for the input of one that reads the image as it is,
    and for two readers of one shared input that are given different bits.
    """
    found = dict(plan)
    wanted: Mapping[str, Mapping[str, int]] = settings.get(SETTING) or {}
    for kind in KINDS:
        for path, width in wanted.get(kind, {}).items():
            if path not in plan:
                known = as_text(", ".join(plan))
                raise UserError(f"{_LABEL}: there is no layer {as_text(path)}; there are: {known}")
            if kind == "weight_bits":
                found[path] = replace(found[path], weight_bits=width)
    for path, width in wanted.get("activation_bits", {}).items():
        if plan[path].activation_bits is None and width == FLOAT:
            continue
        if plan[path].activation_bits is None:
            raise UserError(
                f"{_LABEL}: layer {as_text(path)} reads the image, which stays as it is; leave it out of "
                "activation_bits, or set the edge rule all"
            )
        for other in _same_input(plan, path):
            theirs = wanted["activation_bits"].get(other, width)
            if theirs != width:
                raise UserError(
                    f"{_LABEL}: {as_text(path)} and {as_text(other)} read one input, and are given {width} "
                    f"and {theirs} bits for it; give both the same"
                )
            bits = None if width == FLOAT else width
            found[other] = replace(found[other], activation_bits=bits)
    return found


def _same_input(plan: "Mapping[str, LayerBits]", path: str) -> list[str]:
    """The layers whose input one grid quantizes together with this layer's, itself among them."""
    one = plan[path]
    if not one.by_block:
        return [path]
    return [
        other
        for other, bits in plan.items()
        if bits.by_block and bits.block == one.block and bits.activation_bits is not None
    ]
