"""The contract of a published method: a card, settings declared once, and a step machine.

Form, command line, recipe and documentation are drawn from the settings, so a new method is one new file.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from types import ModuleType
from typing import Any, Protocol, TypeVar, runtime_checkable

from torch import Tensor

BUDGET = ("steps", "batch")  # the knobs that decide how long it takes
Losses = dict[str, Tensor]  # weighted terms, each 0-dim; what is minimised is their sum


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCard:
    """What menus and pages say about a method."""

    name: str  # lower-case, with hyphens
    title: str
    summary: str  # one sentence on the idea
    paper: str
    url: str = ""
    needs: tuple[str, ...] = ()  # see engine.core.needs
    shows: tuple[str, ...] = ()  # the forms of its views, which pages have a picture for
    fewest_weight_bits: int = 2  # of a quantizer: 1 where it has levels for a single bit
    fewest_activation_bits: int = 2  # likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The knobs of one method; subclasses declare fields with `knob`. Defaults are the paper's."""


def knob(  # noqa: PLR0913  (all that a form wants to know of a setting)
    default: Any,
    *,
    label: str,
    help: str,  # noqa: A002  (the word that forms and command lines use)
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    quick: Any = None,
    standard: Any = None,
    fixed: bool = False,
    off: Any = (),
    within: str = "",
) -> Any:
    """A field of Settings: the paper's value, what it is called, its range, and smaller budgets.

    `fixed`: once work has begun it cannot change any more, as a budget cannot. `off`: the value, or the
    values as a tuple, at which a part of the method is left out; a toggle and a weight need not say it.
    `within`: another knob's part that this one is a part of, and is left out with.
    """
    metadata = {"label": label, "help": help, "low": low, "high": high, "choices": choices}
    metadata |= {"quick": quick, "standard": standard, "fixed": fixed, "off": off, "within": within}
    return field(default=default, metadata=metadata)


def knob_of(settings: type[Settings], name: str, **changes: Any) -> Any:
    """The knob of that name as another method declares it; what is named in `changes` is different here.

    `changes`: default, label, help, low, high, choices, quick, standard, fixed, off, within.
    """
    found = next(f for f in fields(settings) if f.name == name)
    default = changes.pop("default", found.default)
    unknown = changes.keys() - found.metadata.keys()
    if unknown:
        raise TypeError(f"a knob has no {', '.join(sorted(unknown))}")
    return field(default=default, metadata={**found.metadata, **changes})


def describe(settings: type[Settings]) -> list[dict[str, Any]]:
    """The knobs as data: name, type, default, label, help, range, choices, presets, fixed, off, within.

    Its budget comes first, then what is the method's own, then what all methods of its kind share.
    """
    families = [cls for cls in settings.__mro__[1:] if Settings in cls.__bases__]
    shared = {name for family in families for name in family.__annotations__}

    def place(one: Any) -> tuple[int, bool]:
        rank = BUDGET.index(one.name) if one.name in BUDGET else len(BUDGET)
        return rank, one.name in shared

    return [_describe_knob(one) for one in sorted(fields(settings), key=place)]


def _describe_knob(knob_field: Any) -> dict[str, Any]:
    if knob_field.default is MISSING:
        raise TypeError(f"{knob_field.name} is not declared with knob(...)")
    details = dict(knob_field.metadata)
    presets = {"paper": knob_field.default}
    for preset in ("standard", "quick"):
        value = details.pop(preset)
        presets[preset] = presets["paper"] if value is None else value
    return {
        "name": knob_field.name,
        "type": type(knob_field.default).__name__,
        "default": knob_field.default,
        **details,
        "choices": list(details["choices"]),
        "fixed": details["fixed"] or knob_field.name in BUDGET,
        "off": _off_values(knob_field),
        "presets": presets,
    }


def _off_values(knob_field: Any) -> list[Any]:
    """What switches its part off: as declared, else False of a toggle and 0 of a weight."""
    off = knob_field.metadata["off"]
    if not isinstance(off, tuple):
        return [off]
    if off or isinstance(knob_field.default, str):
        return list(off)
    if isinstance(knob_field.default, bool):
        return [False]
    weight = "weight" in knob_field.name.split("_") and knob_field.metadata["low"] == 0
    return [0.0] if weight else []


@runtime_checkable
class Machine(Protocol):
    """Optimisation one step at a time, in the manner of torch.optim: it never loops, prints or saves."""

    total_steps: int

    def step(self) -> Losses: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a machine at work looks like inside, small enough to be sent: a few hundred numbers in all.

    To look changes nothing: no random number is drawn, no parameter touched. Not a number means unknown.
    """

    form: str  # which picture the arrays are for
    what: str  # the block or layer that is seen
    arrays: dict[str, Tensor]  # of one dimension each
    values: dict[str, float] = field(default_factory=dict)


@runtime_checkable
class Viewable(Protocol):
    """A machine (or method) that can show itself; most cannot, and need not."""

    def views(self) -> Sequence[View]: ...


T = TypeVar("T")


def discover(package: ModuleType, kind: type[T]) -> dict[str, type[T]]:
    """Every subclass of `kind` in the package's modules, by its card's name, in order of name.

    Raises where two classes claim one name: the later would silently hide the earlier.
    """
    names = tuple(info.name for info in pkgutil.iter_modules(package.__path__))
    wanted: Any = kind
    return dict(_discovered(package.__name__, names, wanted))


@cache
def _discovered(package: str, names: Sequence[str], kind: Any) -> dict[str, Any]:
    """Looked through once for the same files: a run asks dozens of times."""
    found: dict[str, Any] = {}
    for module in (importlib.import_module(f"{package}.{name}") for name in names):
        for cls in vars(module).values():
            mine = (
                isinstance(cls, type)
                and issubclass(cls, kind)
                and cls.__module__ == module.__name__
            )
            if not mine or "card" not in vars(cls):
                continue
            name = cls.card.name
            if name in found:
                raise TypeError(f"two methods are called {name!r}: {found[name]} and {cls}")
            found[name] = cls
    return dict(sorted(found.items()))
