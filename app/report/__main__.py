"""`python -m app.report FOLDER FILE [--sections NAME,..] [--proof FILE]`: the report of the run in a folder.

Exit status 2 is a mistake of the user's, told in one line.
"""

import argparse
import sys
from pathlib import Path

from app.report.page import write_report
from app.report.sections import SECTIONS
from engine.core.errors import UserError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m app.report")
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--sections", default="", help=f"some of {', '.join(SECTIONS)}")
    parser.add_argument("--proof", type=Path, help="what the proof of the ONNX file said")
    options = parser.parse_args()
    wanted = tuple(filter(None, options.sections.split(",")))
    try:
        write_report(options.folder, options.file, wanted, options.proof)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
