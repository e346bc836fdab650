"""How much the tests would notice: `python -m tests.mutants [--count 300] [--only engine/analysis]`.

Changes a sign, a bound, an axis or a constant in the parts where an error is a wrong number (synthesis,
quantization, analysis), one at a time, in a private copy of the project, and runs the tests that belong
there. Prints the share that was caught, and every change that nobody noticed.
"""

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[1]
PARTS = ("engine/synthesis", "engine/quantization", "engine/analysis")
PATIENCE_S = 600  # for the tests of one change; a change that hangs them is noticed
WORDS_ONLY = {
    "knob",
    "knob_of",
    "MethodCard",
    "UserError",
    "TypeError",
    "ValueError",
    "Finding",
}
LEAST = 1e-6  # a smaller constant only keeps a division from failing
COMPARED = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
}
COMBINED = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Pow: "*",
}
SWAPPED = {
    "amin": "amax", "amax": "amin", "min": "max", "max": "min", "clamp_min": "clamp_max",
    "clamp_max": "clamp_min", "argmin": "argmax", "argmax": "argmin", "mean": "sum", "sum": "mean",
    "floor": "ceil", "ceil": "floor",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the characters [start, stop) of a file become `text`."""

    file: str
    line: int
    start: int
    stop: int
    text: str
    was: str

    def words(self) -> str:
        return f"{self.file}:{self.line}: {self.was.strip()!r} -> {self.text.strip()!r}"


def mutants_of(file: Path, name: str) -> list[Mutant]:
    """Every change that can be made in one file, in order."""
    raw = file.read_bytes()
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def ends(node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        first = starts[node.lineno - 1] + node.col_offset
        return first, starts[node.end_lineno - 1] + node.end_col_offset

    found = []
    for node in _numbers_in(ast.parse(raw)):
        for first, last, text in _changes(node, ends):
            was = raw[first:last].decode()
            between = isinstance(node, (ast.BinOp, ast.Compare, ast.UnaryOp))
            if not between or not set(was) & set(
                "()#\n"
            ):  # brackets and comments stay where they are
                found.append(Mutant(name, node.lineno, first, last, text, was))
    return found


def _changes(
    node: ast.expr, ends: Callable[[ast.expr], tuple[int, int]]
) -> Iterator[tuple[int, int, str]]:
    """Where, and to what, one expression can be changed."""
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARED:
            yield ends(left)[1], ends(right)[0], f" {COMPARED[type(op)]} "
        case ast.BinOp(left=left, op=op, right=right) if type(op) in COMBINED:
            yield ends(left)[1], ends(right)[0], f" {COMBINED[type(op)]} "
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield ends(node)[0], ends(operand)[0], " "
        case ast.Constant(value=bool(value)):
            yield *ends(node), repr(not value)
        case ast.Constant(value=int(value) | float(value)) if not 0 < abs(value) < LEAST:
            yield *ends(node), repr(_other(value))
        case ast.Attribute(attr=attr) if attr in SWAPPED:
            last = ends(node)[1]
            yield last - len(attr), last, SWAPPED[attr]


def _other(value: float) -> float:
    return value + 1 if isinstance(value, int) else value * 2 if value else 1.0


def _numbers_in(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions that compute: no words for users, annotations, messages or declared ranges."""
    if isinstance(tree, ast.Call):
        called = tree.func.id if isinstance(tree.func, ast.Name) else ""
        if called in WORDS_ONLY:
            return
    if isinstance(tree, (ast.JoinedStr, ast.Raise, ast.Assert)):
        return
    if isinstance(tree, ast.expr):
        yield tree
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _numbers_in(child)


def tests_of(file: str) -> list[str]:
    """The tests that belong to a file, those that name its module first."""
    module = file.removesuffix(".py").replace("/", ".")
    part = file.split("/")[1]
    near = [
        *(ROOT / "tests" / part).rglob("test_*.py"),
        *(ROOT / "tests/contracts").glob("test_*.py"),
    ]
    named = [test for test in near if module in test.read_text(encoding="utf-8")]
    others = [
        test for test in near
        if test not in named and (test.parent.name != "contracts" or part in test.name)
    ]  # fmt: skip
    return [str(test.relative_to(ROOT)) for test in (*sorted(named), *sorted(others))]


def is_caught(mutant: Mutant, house: Path) -> bool:
    """Whether a test fails (or hangs) in that copy of the project with the change made."""
    file = house / mutant.file
    whole = file.read_bytes()
    file.write_bytes(whole[: mutant.start] + mutant.text.encode() + whole[mutant.stop :])
    try:
        return run_tests(house, mutant.file) != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        file.write_bytes(whole)


def run_tests(house: Path, file: str) -> int:
    """The exit status of the tests that belong to a file, stopped at the first failure."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests_of(file)],
        cwd=house, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE_S, check=False,
    ).returncode  # fmt: skip


def copy_of_the_house(folder: Path) -> Path:
    """A private copy in which changes are made; its assets are the project's own."""
    for part in ("engine", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "assets").symlink_to(ROOT / "assets")
    return folder


def chosen(count: int, seed: int, only: str) -> list[Mutant]:
    """So many changes at random, of all that can be made."""
    files = sorted(file for part in PARTS for file in (ROOT / part).rglob("*.py"))
    names = [str(file.relative_to(ROOT)) for file in files]
    every = [m for name in names if name.startswith(only) for m in mutants_of(ROOT / name, name)]
    return random.Random(seed).sample(every, min(count, len(every)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files whose path begins so")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wanted = chosen(options.count, options.seed, options.only)
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        houses: Queue[Path] = Queue()
        for number in range(options.jobs):
            houses.put(copy_of_the_house(Path(scratch) / str(number)))

        def judge(mutant: Mutant) -> bool:
            house = houses.get()
            try:
                caught = is_caught(mutant, house)
            finally:
                houses.put(house)
            print(
                "caught  " if caught else "SURVIVED",
                mutant.words(),
                file=sys.stderr,
                flush=True,
            )
            return caught

        with ThreadPoolExecutor(options.jobs) as pool:
            caught = list(pool.map(judge, wanted))
    survivors = [mutant for mutant, seen in zip(wanted, caught, strict=True) if not seen]
    result = {
        "changes": len(wanted),
        "caught": sum(caught),
        "survivors": [asdict(m) for m in survivors],
    }
    if options.json:
        print(json.dumps(result))
    else:
        print("\n".join(mutant.words() for mutant in survivors))
        print(f"{sum(caught)} of {len(wanted)} changes were caught")
    return 0


if __name__ == "__main__":
    sys.exit(main())
