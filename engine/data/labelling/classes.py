"""From what people call classes to a network's class numbers: one rule for folders, tables and file names.

Names of the network's classes are found among them; numbers are class numbers; ImageNet's synsets
(n01440764) count in their order where a network has ImageNet's 1000 classes; a whole set of other names
is numbered in the order of the alphabet, as torchvision's ImageFolder does, and so are labels that are
no classes of the network's at all (people, for an embedding of faces). Else nothing is guessed: the
images stay without labels, and a note names the way out.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import UserError

WNIDS_FILE = Path(__file__).parents[3] / "assets/imagenet-wnids.txt"
NAMES_FILES = ("classes.txt", "class_names.txt", "labels.txt")  # the last may be a table instead
LARGEST = 2**31 - 1  # what can be a class number at all
MOST_NAMES_BYTES = 2**22
_WNID = re.compile(r"n\d{8}")
_NUMBER = re.compile(r"[+-]?\d+(?:\.0*)?", re.ASCII)
_PREFIXED = re.compile(r"(?:c|class|cls|label|category)[ _.-]?(\d+)", re.ASCII | re.IGNORECASE)
_COUNTED = re.compile(r"(\d+)[\s,;:]+(\S.*)", re.ASCII)
WAY_OUT = (
    "call them by class number (0, 1, ..), or put a classes.txt beside them: one class name a line, in the "
    "order of the network's outputs"
)


@dataclass(frozen=True, slots=True)
class Classes:
    """What is known of a network's classes: their names in the order of its outputs, and their number."""

    names: tuple[str, ...] = ()
    outputs: int = 0  # 0: not known
    of_network: bool = True  # False: labels are none of its classes, and only tell images apart

    @property
    def count(self) -> int:
        """How many there are; 0 where that is not known."""
        return self.outputs or len(self.names)


class Numbering(NamedTuple):
    """Class numbers by what classes are called; empty where they cannot be told: the note says why."""

    numbers: dict[str, int]
    note: str = ""


def as_number(text: str) -> int | None:
    """The whole number that a text is (`7`, `07`, `7.0`), else None."""
    return int(text.partition(".")[0]) if _NUMBER.fullmatch(text) and len(text) < 1000 else None


def number_classes(
    called: Collection[str],
    classes: Classes,
    what: str,
    *,
    where: Mapping[str, str] | None = None,
    every: Collection[str] = (),
) -> Numbering:
    """The class number of each name in `called`; UserError where some can be told and others not.

    `what` is one of them in messages ("class folder"), `where` says where each stands; `every` are all
    names of the set, also those of which there is no image.
    """
    texts = sorted(set(called))
    known = _known(texts, classes)
    odd = [text for text in texts if text not in known]
    if odd and not classes.of_network:
        known = {}  # a person may be called 7, beside others

    def place(text: str) -> str:
        return f"{where[text]}: " if where and text in where else ""

    if not odd:
        low = min(known, key=lambda text: known[text], default="")
        if known and known[low] < 0:
            raise UserError(
                f"{place(low)}{what} {low!r} is label {known[low]}; class numbers count from 0"
            )
        return Numbering(known)
    if known:
        example = f", for example {classes.names[0]!r}" if classes.names else ""
        count = f"{classes.count} " if classes.count else ""
        raise UserError(
            f"{place(odd[0])}{what} {odd[0]!r} is called like none of the network's {count}classes and is no "
            f"class number, others are; call it like one of them{example}, or take it out"
        )
    whole = sorted({*texts, *every})
    if not classes.of_network:
        return Numbering({text: number for number, text in enumerate(whole)})
    if not classes.names and len(whole) == classes.count > 1:
        return _in_given_order(whole, what, "the order of the alphabet")
    return Numbering({}, _untold(texts, classes, what))


def number_columns(columns: Sequence[str], classes: Classes, where: Mapping[str, str]) -> Numbering:
    """As `number_classes` of a one-hot table's columns, which else stand for the outputs in their order."""
    told = number_classes(columns, classes, "class column", where=where)
    if told.note and not classes.names and len(columns) == classes.count:
        return _in_given_order(columns, "class column", "its place")
    return told


def _in_given_order(called: Sequence[str], what: str, order: str) -> Numbering:
    return Numbering(
        {text: number for number, text in enumerate(called)},
        f"The network's classes have no names here, so each {what} was numbered by {order} "
        f"({_few(called)}); if that is not the order of its outputs, {WAY_OUT}.",
    )


def _untold(texts: Sequence[str], classes: Classes, what: str) -> str:
    if classes.names:
        reason = (
            f"no class of the network ({_few(classes.names)}) is called like {what} {_few(texts)}"
        )
    else:
        reason = f"the network's classes have no names here, so {what} {_few(texts)} says nothing"
    return f"The images are taken without labels: {reason}; {WAY_OUT}."


def too_large(called: str, numbers: Mapping[str, int]) -> str | None:
    """Why what a class is called can be no class number; None where it can, or is none."""
    return f"{called[:40]} is no class number" if numbers.get(called, 0) > LARGEST else None


def outside(labels: Sequence[int], outputs: int, name: str) -> str | None:
    """Why these labels cannot be of a network with so many outputs; None where they can."""
    if not labels or max(labels) < outputs:
        return None
    from_one = min(labels) == 1 and max(labels) == outputs
    cause = "they seem to count from 1: subtract 1" if from_one else "give images of its classes"
    return (
        f"{name}: the images have labels up to {max(labels)}, the network has {outputs} classes "
        f"(0 to {outputs - 1}); {cause}"
    )


def with_names_of(classes: Classes, files: Iterable[Path]) -> Classes:
    """The classes under the names in the first of these files that is there."""
    file = next((file for file in files if file.is_file()), None)
    return classes if file is None else replace(classes, names=_names(file, classes.outputs))


def wnid_of(file_name: str) -> str | None:
    """ImageNet's synset that a file's name begins with (`n01440764_10026.JPEG`), else None."""
    head = file_name.partition("_")[0]
    return head if _WNID.fullmatch(head) and head != file_name else None


def plain(name: str) -> str:
    """A class's name without the marks that file systems and habits put between words."""
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


def _known(texts: Sequence[str], classes: Classes) -> dict[str, int]:
    """Number of each text that can be told by itself."""
    by_name = _by_name(texts, classes.names)
    if len(by_name) == len(texts):
        return by_name  # also where names are numerals that are not in the order of numbers
    numbers = {text: number for text in texts if (number := as_number(text)) is not None}
    found = by_name | numbers
    if not found and all(_PREFIXED.fullmatch(text) for text in texts):
        return {text: int(text[m.start(1) :]) for text in texts if (m := _PREFIXED.fullmatch(text))}
    if not found and classes.count == len(_wnids()) and all(map(_WNID.fullmatch, texts)):
        return {text: _wnids()[text] for text in texts if text in _wnids()}
    return found


def _by_name(texts: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    exactly, nearly = _index(names, str), _index(names, plain)
    found = {}
    for text in texts:
        numbers = exactly.get(text) or (nearly.get(plain(text)) if plain(text) else None)
        if numbers is None:
            continue
        if len(numbers) > 1:
            both = " and ".join(map(str, numbers[:2]))
            raise UserError(
                f"{text!r} is the name of the network's classes {both}; use the class number instead"
            )
        found[text] = numbers[0]
    return found


def _index(names: Sequence[str], key: Callable[[str], str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        for one in dict.fromkeys((key(name), key(name.partition(",")[0]))):
            found.setdefault(one, []).append(number)
    return found


@cache
def _wnids() -> dict[str, int]:
    """The 1000 synsets of ILSVRC 2012, which sorted give the class numbers."""
    return {wnid: n for n, wnid in enumerate(WNIDS_FILE.read_text(encoding="ascii").split())}


def _names(file: Path, outputs: int) -> tuple[str, ...]:
    if file.stat().st_size > MOST_NAMES_BYTES:
        raise UserError(f"{file} is too large for a list of classes; write one class name a line")
    text = file.read_bytes().decode("utf-8-sig", errors="replace")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    counted = [match for name in names if (match := _COUNTED.fullmatch(name))]
    if names and len(counted) == len(names):  # "1 cat", "2 dog": the numbers are not of the names
        first = int(counted[0][1])
        if first in (0, 1) and [int(m[1]) for m in counted] == list(
            range(first, first + len(names))
        ):
            names = [match[2] for match in counted]
    if outputs and len(names) != outputs:
        raise UserError(
            f"{file} names {len(names)} classes, the network has {outputs}; write one name a line, in the "
            "order of its outputs"
        )
    return tuple(names)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
