"""What a stranger's answers about a run may hold: what the pages read of them, and true pictures."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core.errors import UserError
from engine.core.outside.answer_files import OF_LAYER_FILE, OF_LAYERS, answer_file
from engine.run.exports.foreign import check_image
from engine.run.exports.shapes import costs, layers, tensors, why
from engine.run.exports.shapes.kinds import By, Count, Fits, Found, Maybe, unlike

Refuse = Callable[[str], UserError]
MOST_PICTURE = 400_000  # letters of one address
_PICTURE = re.compile(r"data:image/(webp|png);base64,([A-Za-z0-9+/]+=*)")
ANALYSIS = {"images": Count(), "test_set": str, "kl": float}


@dataclass(frozen=True, slots=True)
class Known:
    """An answer's shape, whether its parts fit one another and the run's layers, and its pictures."""

    shape: dict[str, Any]
    fits: Fits = lambda _found, _layers: True
    pictures: Callable[[Found], Iterable[str]] = lambda found: found.get("pictures", {}).values()


KNOWN = {  # by question; each is a file of its name
    "explain": Known(why.EXPLAIN),
    "predictions": Known(why.PREDICTIONS, why.predictions_fit),
    "bits": Known(why.FEWER_BITS, why.bits_fit),
    "similarity": Known(layers.SIMILARITY, layers.similarity_fits),
    "ranges": Known(layers.RANGES, layers.ranges_fit),
    "resources": Known(costs.RESOURCES, costs.resources_fit),
    "sensitivities": Known(layers.SENSITIVITIES, layers.sensitivities_fit),
    "storage": Known(costs.STORAGE, costs.storage_fits),
}
INSIDE = Known(tensors.TENSORS, tensors.tensors_fit, tensors.pictures_of)  # of each layer a file
FILES = {answer_file(question): question for question in KNOWN}


def check_answers(contents: Mapping[str, bytes], refuse: Refuse) -> None:
    """Raise what `refuse` makes of the first thing in a bundle's answers that is not as the engine gives it.

    contents: its files, whose JSON is known to be objects, and its result a run's.
    """
    asked = contents.get("analysis.json")
    if asked is not None and not _is_analysis(json.loads(asked)):
        raise refuse("its analysis.json is not as an analysis is")
    paths = _paths(json.loads(contents["result.json"]))
    for file in contents:
        if file in FILES:
            question = FILES[file]
            _check(question, KNOWN[question], json.loads(contents[file]), paths, refuse)
        elif OF_LAYER_FILE.fullmatch(file):
            found = json.loads(contents[file])
            _check(OF_LAYERS, INSIDE, found, paths, refuse)
            if answer_file(OF_LAYERS, found["layer"]) != file:
                raise refuse(f"{file} is not of the layer that it tells of")


def _paths(result: Found) -> list[str]:
    """The paths of the run's layers."""
    paths = [one.get("path") for one in result["layers"] if isinstance(one, dict)]
    return [path for path in paths if isinstance(path, str)]


def _check(question: str, known: Known, found: Found, paths: Sequence[str], refuse: Refuse) -> None:
    where = unlike(found, known.shape, f"its answer {question!r}")
    if where:
        raise refuse(f"{where} is not as an answer has it")
    if not known.fits(found, paths):
        raise refuse(f"the parts of its answer {question!r} do not fit one another")
    for address in known.pictures(found):
        _check_picture(address, question, refuse)


def _is_analysis(found: dict[str, Any]) -> bool:
    """Whether it can be what each layer costs, of any version: what is beside the needed are numbers."""
    rows = found.get("layers")
    return (
        not unlike({name: found.get(name) for name in ANALYSIS}, ANALYSIS, "it")
        and all(not unlike(found.get(name), Maybe(float), "it") for name in ("agreement", "top1"))
        and isinstance(rows, list)
        and all(
            isinstance(one, dict)
            and isinstance(one.get("path"), str)
            and not unlike(one.get("kl_gain"), float, "it")
            and not unlike({n: v for n, v in one.items() if n != "path"}, By(Maybe(float)), "it")
            for one in rows
        )
    )


def _check_picture(address: str, question: str, refuse: Refuse) -> None:
    """An image in the address itself: another address would be asked for by everybody who looks."""
    found = _PICTURE.fullmatch(address) if len(address) <= MOST_PICTURE else None
    try:
        data = base64.b64decode(found[2], validate=True) if found else b""
    except ValueError:
        data = b""
    if not found or not data:
        raise refuse(f"its answer {question!r} has a picture that is none")
    check_image(data, f"a picture of its answer {question!r}", found[1].upper(), refuse)
