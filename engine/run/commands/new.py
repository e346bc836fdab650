"""`new`: the first files of a method of one's own."""

import argparse
import json
from pathlib import Path

from engine.run.new_method import new_method

ROOT = Path(__file__).parents[3]


def new(options: argparse.Namespace) -> int:
    method, test = new_method(options.kind, options.name, ROOT, title=options.title)
    if options.json:
        print(json.dumps({"method": str(method), "test": str(test)}))
        return 0
    print(
        f"{method.relative_to(ROOT)}\n{test.relative_to(ROOT)}\n"
        "Fill in the three lines that say so in the first, and the property in the second; then:\n"
        f"  python3 quantoscope.py test tests/contracts tests/{options.kind} -k {options.name}"
    )
    return 0
