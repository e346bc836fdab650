"""Which tests run which line, and how long each takes: measured once, by running them under coverage."""

import ast
import json
import os
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from coverage.numbits import numbits_to_nums

from tests.mutants.changes import ROOT, Mutant

TESTS = ("synthesis", "quantization", "analysis", "contracts")
ENOUGH_S = 40.0  # of tests for one change, the nearest and quickest first


@dataclass(frozen=True, slots=True)
class Reached:
    """The tests of each line of each file, and the seconds of each test."""

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that run the changed line; those of the whole file for one that its import runs.

        A module's constant, or a signature, is run by whichever test happens to import it first.
        """
        of_file = self.lines.get(mutant.file, {})
        found = set(of_file.get(mutant.line, ()))
        if not found or not _in_a_function(mutant):
            found = {test for tests in of_file.values() for test in tests}
        module = mutant.file.removesuffix(".py").replace("/", ".")
        near = {test.partition("::")[0] for test in found}
        near = {test for test in near if module in (ROOT / test).read_text(encoding="utf-8")}
        order = sorted(
            found,
            key=lambda test: (
                test.partition("::")[0] not in near,
                self.seconds.get(test, 0.0),
                test,
            ),
        )
        chosen, total = [], 0.0
        for test in order:
            total += self.seconds.get(test, 0.0)
            if chosen and total > ENOUGH_S:
                break
            chosen.append(test)
        return chosen


def _in_a_function(mutant: Mutant) -> bool:
    tree = ast.parse((ROOT / mutant.file).read_text(encoding="utf-8"))
    functions = (
        node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
    return any(
        one.body[0].lineno <= mutant.line <= (one.end_lineno or one.lineno) for one in functions
    )


def measure(scratch: Path, jobs: int) -> Reached:
    """Run the tests of the parts under coverage, each line remembering the tests that ran it."""
    data, report = scratch / ".coverage", scratch / "report.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not thorough", "-n", str(jobs), "--dist", "worksteal",
         "-p", "no:cacheprovider", "--timeout=1200", "--cov=engine", "--cov-context=test", "--cov-report=",
         f"--junitxml={report}", "-o", "junit_family=xunit1",
         *(f"tests/{part}" for part in TESTS)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1", "COVERAGE_FILE": str(data)},
        stdout=sys.stderr, check=False,
    )  # fmt: skip
    reached = Reached(_seconds(report))
    with sqlite3.connect(data) as rows:
        names = dict(rows.execute("select id, context from context"))
        files = dict(rows.execute("select id, path from file"))
        for file, context, numbits in rows.execute(
            "select file_id, context_id, numbits from line_bits"
        ):
            test, _, phase = names[context].rpartition("|")
            if not test or phase not in ("run", "setup"):
                continue
            of_file = reached.lines.setdefault(str(Path(files[file]).relative_to(ROOT)), {})
            for line in numbits_to_nums(numbits):
                of_file.setdefault(line, []).append(test)
    return reached


def _seconds(report: Path) -> dict[str, float]:
    """The seconds of each test that passed, by its name for pytest."""
    seconds = {}
    for case in ElementTree.parse(report).iter("testcase"):
        if not list(case):  # neither failed nor skipped
            seconds[f"{case.get('file')}::{case.get('name')}"] = float(case.get("time", "0"))
    return seconds


def save(reached: Reached, file: Path) -> None:
    """Write it down, names once."""
    names = sorted(
        {test for of in reached.lines.values() for tests in of.values() for test in tests}
    )
    number = {name: place for place, name in enumerate(names)}
    file.write_text(json.dumps({
        "tests": names,
        "seconds": [reached.seconds.get(name, 0.0) for name in names],
        "lines": {path: {line: [number[t] for t in tests] for line, tests in of.items()}
                  for path, of in reached.lines.items()},
    }))  # fmt: skip


def load(file: Path) -> Reached:
    """What was written down."""
    kept = json.loads(file.read_text())
    names = kept["tests"]
    return Reached(
        dict(zip(names, kept["seconds"], strict=True)),
        {path: {int(line): [names[n] for n in tests] for line, tests in of.items()}
         for path, of in kept["lines"].items()},
    )  # fmt: skip
