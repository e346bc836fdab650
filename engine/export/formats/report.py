"""A report: one HTML file that opens anywhere, without a network, and prints on A4."""

import subprocess
import sys
from pathlib import Path

from engine.core.errors import UserError
from engine.export.base import Expected, Finished, Format, FormatCard, Written

_ROOT = Path(__file__).parents[3]
MOST_BYTES = 15_000_000  # of a report: a larger one is refused


class Report(Format):
    """What was asked and what came out, the film, the layers, the proof, and how to run it again.

    It is drawn by the charts of the pages, which the engine does not import: a process of its own draws it.
    """

    card = FormatCard(
        name="report",
        title="Report (HTML)",
        use="Take the page home, or send it: everything is in the one file.",
        needs_network=False,
    )

    def write(self, run: Finished, out: Path) -> list[Written]:
        path = (out / f"{run.run}.html").resolve()
        words = [sys.executable, "-m", "app.report", str(run.folder.resolve()), str(path)]
        words += ["--sections", ",".join(run.sections)] if run.sections else []
        kept = (out / f"{run.run}.proof.json", run.folder / "export" / f"{run.run}.proof.json")
        proof = next((file for file in kept if file.is_file()), None)
        words += ["--proof", str(proof.resolve())] if proof else []
        done = subprocess.run(
            words, cwd=_ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["it ended without a word"]
            if done.returncode == 2:
                raise UserError(lines[-1])
            raise RuntimeError(f"the report could not be drawn: {lines[-1]}")
        notes = (
            ()
            if proof
            else ("It says nothing of an exported file: take ONNX with it, or before it.",)
        )
        return [Written(kind="report", path=path, notes=notes)]

    def expected(self, run: Finished) -> Expected:
        return Expected(most=MOST_BYTES)
