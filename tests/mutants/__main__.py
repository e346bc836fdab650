"""How much the tests would notice: `python -m tests.mutants [--count 300] [--only engine/analysis]`.

Changes a sign, a bound, an axis or a constant in the parts where an error is a wrong number (synthesis,
quantization, analysis), one at a time, in a private copy of the project, and runs the tests that reach
the changed line (measured first; `--reached FILE` keeps the measurement). Prints the share that was
caught, and every change that nobody noticed.
"""

import argparse
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import Queue

from tests.mutants import reached as reached_by
from tests.mutants.changes import Mutant, chosen
from tests.mutants.house import House


def main() -> int:
    options = _options()
    wanted = chosen(options.count, options.seed, options.only)
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        reached = _reached(options.reached, Path(scratch), options.jobs)
        houses: Queue[House] = Queue()
        for number in range(options.jobs):
            houses.put(House(Path(scratch) / str(number)))

        def judge(mutant: Mutant) -> bool:
            tests = reached.tests(mutant)
            house = houses.get()
            try:
                caught = bool(tests) and house.is_caught(mutant, tests)
            finally:
                houses.put(house)
            word = "caught  " if caught else "SURVIVED" if tests else "UNTESTED"
            print(word, mutant.words(), file=sys.stderr, flush=True)
            return caught

        with ThreadPoolExecutor(options.jobs) as pool:
            caught = list(pool.map(judge, wanted))
        while not houses.empty():
            houses.get().close()
    _tell(wanted, caught, options.json)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files whose path begins so")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--reached", type=Path, help="which tests reach which line: kept here")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _reached(kept: Path | None, scratch: Path, jobs: int) -> reached_by.Reached:
    if kept and kept.exists():
        return reached_by.load(kept)
    measured = reached_by.measure(scratch, jobs)
    if kept:
        reached_by.save(measured, kept)
    return measured


def _tell(wanted: list[Mutant], caught: list[bool], as_json: bool) -> None:
    survivors = [mutant for mutant, seen in zip(wanted, caught, strict=True) if not seen]
    if as_json:
        found = {"changes": len(wanted), "caught": sum(caught)}
        print(json.dumps({**found, "survivors": [asdict(mutant) for mutant in survivors]}))
    else:
        print("\n".join(mutant.words() for mutant in survivors))
        print(f"{sum(caught)} of {len(wanted)} changes were caught")


if __name__ == "__main__":
    sys.exit(main())
