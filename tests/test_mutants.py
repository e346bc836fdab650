"""The mutation tool: which changes it makes, and with which tests each is tried."""

from pathlib import Path

from tests.mutants.changes import ROOT, Mutant, mutants_of
from tests.mutants.reached import Reached

FILE = "engine/analysis/layers/errors.py"


def line_of(text: str) -> int:
    lines = (ROOT / FILE).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def at(line: int) -> Mutant:
    return Mutant(file=FILE, line=line, start=0, stop=0, text="", was="")


def test_a_constant_of_a_module_is_tried_with_every_test_of_its_file() -> None:
    constant, inside = line_of("LIMIT_DB = "), line_of("lengths = ")
    seconds = {f"tests/test_mutants.py::{name}": 0.1 for name in "ab"}
    first, second = seconds
    reached = Reached(seconds, {FILE: {constant: [first], inside: [second]}})
    assert set(reached.tests(at(constant))) == {first, second}  # `first` only imported it first
    assert reached.tests(at(inside)) == [second]


def test_changes_are_of_signs_bounds_axes_and_constants_and_leave_words_alone(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.py"
    file.write_text(
        "X = 3\n\n"
        "def f(x: int = 1) -> float:\n"
        '    """Says 5."""\n'
        "    return x.amax(-2) if x < 4 else -x + 0.5\n"
    )
    found = {(one.was.strip(), one.text.strip()) for one in mutants_of(file, "a.py")}
    assert found == {
        ("3", "4"), ("1", "2"), ("amax", "amin"), ("-", ""), ("2", "3"), ("<", "<="), ("4", "5"),
        ("+", "-"), ("0.5", "1.0"),
    }  # fmt: skip
