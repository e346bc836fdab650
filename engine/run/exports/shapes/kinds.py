"""What shapes are made of, and whether a value read from JSON is of one.

A shape is a type, a list of one shape, an object of named shapes ("?" behind a name: may be missing), or one
of the shapes below.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_ITEMS = 200_000  # of one list or object
MOST_WHOLE = 2**53  # beyond it a browser has no whole numbers
MOST_NUMBER = 1e100  # beyond it a page could not count on, let alone print it
Found = Mapping[str, Any]
Fits = Callable[[Found, Sequence[str]], bool]  # an answer, and the paths of the run's layers


@dataclass(frozen=True)
class Maybe:
    """The shape, or null."""

    shape: Any


@dataclass(frozen=True)
class By:
    """An object with any names, each value of the shape."""

    shape: Any


@dataclass(frozen=True)
class Count:
    """A whole number from 0 on: of images, classes, bytes."""


def unlike(value: Any, shape: Any, where: str) -> str:
    """Where the value first differs from the shape; empty where it does not."""
    if isinstance(shape, Maybe):
        return "" if value is None else unlike(value, shape.shape, where)
    if isinstance(shape, (list, By)):
        return _unlike_many(value, shape, where)
    if isinstance(shape, dict):
        return _unlike_object(value, shape, where)
    if isinstance(shape, Count):
        good = type(value) is int and 0 <= value < MOST_WHOLE
    elif shape is float:
        good = type(value) in (int, float) and abs(value) < MOST_NUMBER  # no infinity, no NaN
    elif shape is int:
        good = type(value) is int and abs(value) < MOST_WHOLE
    else:
        good = type(value) is shape
    return "" if good else where


def _unlike_many(value: Any, shape: "list[Any] | By", where: str) -> str:
    kind, one = (dict, shape.shape) if isinstance(shape, By) else (list, shape[0])
    if not isinstance(value, kind) or len(value) > MOST_ITEMS:
        return where
    several = value.values() if isinstance(value, dict) else value
    return next(filter(None, (unlike(item, one, where) for item in several)), "")


def _unlike_object(value: Any, shape: dict[str, Any], where: str) -> str:
    if not isinstance(value, dict):
        return where
    known = {name.rstrip("?"): inner for name, inner in shape.items()}
    needed = {name for name in shape if not name.endswith("?")}
    if not needed <= value.keys() <= known.keys():
        return where
    each = (unlike(item, known[name], f"{where}, {name}") for name, item in value.items())
    return next(filter(None, each), "")


def are_of(paths: Sequence[str], layers: Sequence[str]) -> bool:
    """Whether the paths are some of the run's layers, each once, and not none."""
    return bool(paths) and len({*paths}) == len(paths) and {*paths} <= {*layers}


def are_indices(names: Iterable[str]) -> bool:
    """Whether the names are those of images: their numbers."""
    return all(name.isascii() and name.isdigit() and len(name) <= 12 for name in names)
