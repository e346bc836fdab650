"""The changes that can be made in a file: a sign, a bound, an axis, a constant, one at a time."""

import ast
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("engine/synthesis", "engine/quantization", "engine/analysis")
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


def chosen(count: int, seed: int, only: str) -> list[Mutant]:
    """So many changes at random, of all that can be made."""
    files = sorted(file for part in PARTS for file in (ROOT / part).rglob("*.py"))
    names = [str(file.relative_to(ROOT)) for file in files]
    every = [m for name in names if name.startswith(only) for m in mutants_of(ROOT / name, name)]
    return random.Random(seed).sample(every, min(count, len(every)))
