"""What a stranger's answers about a run may hold: what the pages read of them, and true pictures.

A shape is a type, a list of one shape, an object of named shapes ("?" behind a name: may be missing), or one
of the shapes below.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.core.errors import UserError
from engine.run.exports.foreign import check_image
from engine.run.folders.opened import ANSWERS
from engine.run.questions.why.fewer_bits.fader import WIDTHS, follow_bits

Refuse = Callable[[str], UserError]
MOST_ITEMS = 200_000  # of one list or object
MOST_PICTURE = 400_000  # letters of one address
_PICTURE = re.compile(r"data:image/(webp|png);base64,([A-Za-z0-9+/]+=*)")


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


PARTS = dict.fromkeys(("weights", "activations", "inherited", "interaction"), float)
BOTH = ("teacher", "student")
BIN = {
    "low": float,
    "high": float,
    "images": Count(),
    "confidence": Maybe(float),
    "accuracy": Maybe(float),
}
USUAL = {name: [float] for name in ("mean", "low", "high")}
BITS = {"weight_bits": By(Count()), "activation_bits": By(Maybe(Count()))}
COSTS = {"images": Count(), "test_set": str, "kl": float}
SHAPES: dict[str, Any] = {
    "explain": {
        "run": str, "images": Count(), "image_set": str, "sentence": str, "notes": [str],
        "layers": [{
            "path": str, "block": str, "sqnr_local_db": Maybe(float), "sqnr_accumulated_db": float,
            "share": Maybe(PARTS), "origin": str, "origin_gain": float, "verdict": str,
        }],
    },
    "predictions": {
        "run": str, "images": Count(), "image_set": str, "sentence": str, "notes": [str], "truth": str,
        "reason?": str, "classes": [str], "agreement": float, "agreement_band": [float],
        "flipped": [{
            "image": Count(), "teacher": Count(), "student": Count(), "margin_teacher": float,
            "margin_student": float, "label?": int,
        }],
        "by_class": [{"class": Count(), "images": Count(), "agreement": float, "low": float, "high": float}],
        "confusion_difference": [{"true": Count(), "answer": Count(), "difference": int}],
        "margins": {who: [Count()] for who in BOTH},
        "ece": Maybe(dict.fromkeys(BOTH, float)),
        "reliability": Maybe({who: [BIN] for who in BOTH}),
        "growth": {"layers": [str], "usual": USUAL, "images": By([float])},
        "pictures": By(str),
    },
    "bits": {
        "run": str, "notes": [str], "planned": BITS, "held": BITS, "shared_inputs": [[str]],
        "layers": [
            {"path": str, "sqnr_db": {str(width): float for width in WIDTHS}, "cliff": Maybe(Count())}
        ],
        "front": [BITS | {
            "size_bytes": Count(), "predicted_kl": float,
            "measured": Maybe({"kl": float, "agreement": float}),
        }],
        "tables": {
            "paths": [str], "signal": [float], "noise": [[[float]]], "weights": [Count()],
            "rest_bytes": [Count()], "macs": [Count()], "kl_weights": Maybe([[float]]),
            "kl_inputs": Maybe([[float]]),
        },
    },
}  # fmt: skip


def check_answers(contents: Mapping[str, bytes], refuse: Refuse) -> None:
    """Raise what `refuse` makes of the first thing in a bundle's answers that is not as the engine gives it.

    contents: its files, whose JSON is known to be objects.
    """
    costs = contents.get("analysis.json")
    if costs is not None and not _is_analysis(json.loads(costs)):
        raise refuse("its analysis.json is not as an analysis is")
    for command in SHAPES:
        data = contents.get(f"{ANSWERS}/{command}.json")
        if data is not None:
            _check(command, json.loads(data), refuse)


def _check(command: str, found: Mapping[str, Any], refuse: Refuse) -> None:
    where = _unlike(found, SHAPES[command], f"its answer {command!r}")
    if where:
        raise refuse(f"{where} is not as an answer has it")
    if not _fits(command, found):
        raise refuse(f"the parts of its answer {command!r} do not fit one another")
    for address in found.get("pictures", {}).values():
        _check_picture(address, refuse)


def _unlike(value: Any, shape: Any, where: str) -> str:
    """Where the value first differs from the shape; empty where it does not."""
    if isinstance(shape, Maybe):
        return "" if value is None else _unlike(value, shape.shape, where)
    if isinstance(shape, (list, By)):
        return _unlike_many(value, shape, where)
    if isinstance(shape, dict):
        return _unlike_object(value, shape, where)
    if isinstance(shape, Count):
        good = type(value) is int and 0 <= value < 2**53
    elif shape is float:
        good = type(value) in (int, float) and value - value == 0  # no infinity, no NaN
    else:
        good = type(value) is shape
    return "" if good else where


def _unlike_many(value: Any, shape: "list[Any] | By", where: str) -> str:
    kind, one = (dict, shape.shape) if isinstance(shape, By) else (list, shape[0])
    if not isinstance(value, kind) or len(value) > MOST_ITEMS:
        return where
    several = value.values() if isinstance(value, dict) else value
    return next(filter(None, (_unlike(item, one, where) for item in several)), "")


def _unlike_object(value: Any, shape: dict[str, Any], where: str) -> str:
    if not isinstance(value, dict):
        return where
    known = {name.rstrip("?"): inner for name, inner in shape.items()}
    needed = {name for name in shape if not name.endswith("?")}
    if not needed <= value.keys() <= known.keys():
        return where
    each = (_unlike(item, known[name], f"{where}, {name}") for name, item in value.items())
    return next(filter(None, each), "")


def _fits(command: str, found: Mapping[str, Any]) -> bool:
    """Whether lists that are read side by side are as long as one another, and names name something."""
    if command == "predictions":
        growth, places = found["growth"], [*found["growth"]["images"], *found["pictures"]]
        rows = [*growth["usual"].values(), *growth["images"].values()]
        ends = [len(found["margins"][who]) for who in BOTH]
        return (
            len(found["agreement_band"]) == 2
            and all(len(row) == len(growth["layers"]) for row in rows)
            and all(re.fullmatch(r"[0-9]{1,12}", place) for place in places)
            and ends[0] == ends[1] >= 10
        )
    return command != "bits" or _can_be_followed(found)


def _can_be_followed(found: Mapping[str, Any]) -> bool:
    """Whether every width of every layer is in the tables, as the fader asks for them."""
    paths, planned = found["tables"]["paths"], found["planned"]
    if not paths or paths != [one["path"] for one in found["layers"]]:
        return False
    try:
        for width in WIDTHS:
            follow_bits(found, dict.fromkeys(paths, width), dict.fromkeys(paths, width))
        for bits in (planned, *found["front"]):
            follow_bits(found, bits["weight_bits"], bits["activation_bits"])
    except (ValueError, LookupError, TypeError, OverflowError):
        return False
    return True


def _is_analysis(found: dict[str, Any]) -> bool:
    """Whether it can be what each layer costs, of any version: what is beside the needed are numbers."""
    layers = found.get("layers")
    return (
        not _unlike({name: found.get(name) for name in COSTS}, COSTS, "it")
        and all(not _unlike(found.get(name), Maybe(float), "it") for name in ("agreement", "top1"))
        and isinstance(layers, list)
        and all(
            isinstance(one, dict)
            and isinstance(one.get("path"), str)
            and not _unlike(one.get("kl_gain"), float, "it")
            and not _unlike({n: v for n, v in one.items() if n != "path"}, By(Maybe(float)), "it")
            for one in layers
        )
    )


def _check_picture(address: str, refuse: Refuse) -> None:
    """An image in the address itself: another address would be asked for by everybody who looks."""
    found = _PICTURE.fullmatch(address) if len(address) <= MOST_PICTURE else None
    try:
        data = base64.b64decode(found[2], validate=True) if found else b""
    except ValueError:
        data = b""
    if not found or not data:
        raise refuse("its answer 'predictions' has a picture that is none")
    check_image(data, "a picture of its answer 'predictions'", found[1].upper(), refuse)
