"""A method's settings as a recipe holds them: each knob's value, of its type, within its range.

Knobs are those of the catalog, as `engine.core.method.describe` gives them. Imports no torch.
"""

from collections.abc import Callable
from typing import Any

from engine.core.errors import UserError

YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def resolve(
    knobs: list[dict[str, Any]], preset: str, given: dict[str, Any], kind: str
) -> dict[str, Any]:
    """Every knob's value: the preset's, unless given; checked for type, range and choice."""
    by_name = {knob["name"]: knob for knob in knobs}
    for name in given:
        if name not in by_name:
            known = ", ".join(sorted(by_name)) or "none at all"
            raise UserError(f"{kind}.{name} is not a setting here; there are: {known}")
    return {
        name: checked(knob, given[name], f"{kind}.{name}")
        if name in given
        else knob["presets"][preset]
        for name, knob in by_name.items()
    }


def checked(knob: dict[str, Any], value: Any, label: str) -> Any:
    """The value in the knob's type; text as typed on a command line is understood."""
    parse: dict[str, Callable[[Any], Any]] = {
        "int": _as_int,
        "float": _as_float,
        "bool": _as_bool,
        "str": str,
        "list": _as_list,
        "tuple": _as_list,
    }
    try:
        value = parse[knob["type"]](value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{label} is {value!r}; it must be of type {knob['type']}") from None
    low, high, choices = knob.get("low"), knob.get("high"), knob.get("choices")
    if choices and value not in choices:
        raise UserError(f"{label} is {value!r}; choose one of {', '.join(map(str, choices))}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        too_low, too_high = low is not None and value < low, high is not None and value > high
        if too_low or too_high or value != value:
            raise UserError(f"{label} is {value}; it must lie between {low} and {high}")
    return value


def _as_int(value: Any) -> int:
    number = float(value)
    if number != int(number):
        raise ValueError(value)
    return int(number)


def _as_float(value: Any) -> float:
    return float(value)


def _as_bool(value: Any) -> bool:
    text = str(value).lower()
    if text not in (*YES, *NO):
        raise ValueError(value)
    return text in YES


def _as_list(value: Any) -> list[float]:
    items = value.split(",") if isinstance(value, str) else list(value)
    return [float(item) for item in items]
