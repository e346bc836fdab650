"""A method's settings as a recipe holds them: each knob's value, of its type, within its range.

Knobs are those of the catalog, as `engine.core.method.describe` gives them. Imports no torch.
"""

from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.models.card_settings import SHAPE, check_shape

YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
MOST_SHOWN = 80  # characters of a value in a message


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
    """The value in the knob's type; text as typed on a command line is understood.

    UserError for another type, for what is no finite number, and for what is out of range.
    """
    if hasattr(value, "tolist"):  # an array or a tensor, as Python's own numbers
        value = value.tolist()
    if knob["name"] == SHAPE and value not in ([], ()):  # which are left to the card
        return [float(size) for size in check_shape(value, label)]  # as recipes hold every list
    parse, wish = _READERS[knob["type"]]
    try:
        value = parse(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{label} is {as_text(value)}; give {wish}") from None
    low, high, choices = knob.get("low"), knob.get("high"), knob.get("choices")
    if choices and value not in choices:
        raise UserError(
            f"{label} is {as_text(value)}; choose one of {', '.join(map(str, choices))}"
        )
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_range(value, low, high, label)
    return value


def whole_number(value: Any, limits: tuple[int, int], label: str) -> int:
    """A whole number within the limits, however it is written: 4, 4.0 or "4"."""
    try:
        number = _as_int(value)
    except (TypeError, ValueError, OverflowError):
        number = limits[0] - 1
    if not limits[0] <= number <= limits[1]:
        raise UserError(f"{label} is {as_text(value)}; choose {limits[0]} to {limits[1]}")
    return number


def as_text(value: Any) -> str:
    """The value as a message shows it: what is long is cut short."""
    try:
        text = str(value) if type(value) in (int, float) else repr(value)
    except ValueError:  # Python does not write out whole numbers of thousands of digits
        return "a very large number"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def _check_range(value: float, low: float | None, high: float | None, label: str) -> None:
    if (low is None or value >= low) and (high is None or value <= high):
        return
    if high is None:
        raise UserError(f"{label} is {as_text(value)}; it must be {low} or more")
    if low is None:
        raise UserError(f"{label} is {as_text(value)}; it must be {high} or less")
    raise UserError(f"{label} is {as_text(value)}; it must lie between {low} and {high}")


def _as_int(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(value)
    if isinstance(value, (int, str)):
        with suppress(ValueError):  # "1e3" is one too
            return int(value)  # past 2^53 a float would be another number
    number = _as_float(value)
    if number != int(number):
        raise ValueError(value)
    return int(number)


def _as_float(value: Any) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError(value)
    return number


def _as_bool(value: Any) -> bool:
    text = str(value).lower()
    if text not in (*YES, *NO):
        raise ValueError(value)
    return text in YES


def _as_text(value: Any) -> str:
    if not isinstance(value, (str, Path, int, float)):
        raise TypeError(value)
    text = str(value)
    if "\0" in text:  # no file can be called so
        raise ValueError(value)
    return text


def _as_list(value: Any) -> list[float]:
    items = value.split(",") if isinstance(value, str) else list(value)
    return [_as_float(item) for item in items]


_NUMBERS = "finite numbers with commas between them, such as .5,.5,.5"
_READERS: dict[str, tuple[Callable[[Any], Any], str]] = {  # and what to give instead
    "int": (_as_int, "a whole number"),
    "float": (_as_float, "a finite number"),
    "bool": (_as_bool, "true or false"),
    "str": (_as_text, "a text"),
    "list": (_as_list, _NUMBERS),
    "tuple": (_as_list, _NUMBERS),
}
