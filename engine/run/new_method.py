"""The first files of a new method, from templates: the method, and a test that fails until filled in."""

import keyword
import re
from pathlib import Path
from string import Template

from engine.core.errors import UserError

KINDS = ("synthesis", "quantization")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TEMPLATES = Path(__file__).parent / "templates"
LONGEST_NAME = 40


def new_method(kind: str, name: str, root: Path, *, title: str = "") -> tuple[Path, Path]:
    """Writes `engine/KIND/methods/NAME.py` and its test below `root`; returns both paths.

    `name` is as the command line will know it: lower-case, with hyphens. UserError where the kind or the
    name cannot be, or where one of the files is there already: nothing is ever written over.
    """
    if kind not in KINDS:
        raise UserError(f"kind {kind!r} is not known; choose one of {', '.join(KINDS)}")
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise UserError(
            f"{name!r} cannot name a method; use up to {LONGEST_NAME} lower-case letters, digits and "
            "hyphens, a letter first"
        )
    module = name.replace("-", "_")
    if keyword.iskeyword(module):
        raise UserError(f"{name!r} is a word of Python; choose another name")
    words = {
        "kind": kind,
        "name": name,
        "module": module,
        "class_name": "".join(part.capitalize() for part in name.split("-")),
        "title": " ".join(title.replace('"', "'").replace("\\", " ").split())
        or name.replace("-", " ").capitalize(),
    }
    method = root / "engine" / kind / "methods" / f"{module}.py"
    test = root / "tests" / kind / "methods" / f"test_{module}.py"
    for file in (method, test):
        if file.exists():
            raise UserError(f"{file} is there already; choose another name, or edit that file")
    for file, template in ((method, f"{kind}.txt"), (test, "test.txt")):
        text = (_TEMPLATES / template).read_text(encoding="utf-8")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(Template(text).substitute(words), encoding="utf-8")
    return method, test
