"""Whether what is taken away is what was run: every bundled network's files beside its student.

Runs are of the quickest methods (noise, nearest rounding): how good a student is does not matter to whether
its file computes the same. A run that is there already is not computed again.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engine.core.errors import UserError
from engine.core.percent import percent
from engine.run.exports.export import export
from engine.run.folders.files import write_atomically
from engine.run.folders.folder import RunFolder
from engine.run.subprocess_answer import answer_of

FILE = "export-bench.json"  # in the folder of runs
BITS = ((8, 8), (4, 8), (4, 4), (2, 4))


class Subject(NamedTuple):
    """A network in one of its forms, at some bits."""

    model: str
    form: str = ""
    bits: tuple[tuple[int, int], ...] = BITS

    @property
    def name(self) -> str:
        return f"{self.model} ({self.form})" if self.form else self.model


SUBJECTS = (
    Subject("resnet20-fashion"), Subject("mobilenet-fashion"), Subject("repvgg-fashion", "branches"),
    Subject("repvgg-fashion", "fused"), Subject("preact-fashion"), Subject("vgg-fashion"),
    Subject("efficientnet-lite0", bits=((8, 8), (4, 8))),
)  # fmt: skip


def exports(
    runs: Path,
    out: Path,
    tell: Callable[[str], None],
    only: Sequence[str] = (),
    data: Path | None = None,
) -> dict[str, Any]:
    """One row for each network and bits, kept in `out` as they are measured.

    `only`: these networks, or rows by their whole names, such as "vgg-fashion W2A4".

    `data`: images for the network that has none of its own here, EfficientNet-Lite0; without them it is
    judged on noise.
    """
    wanted = _wanted(only)
    rows: dict[str, Any] = _kept(out)
    for key, (subject, bits) in wanted.items():
        tell(key)
        rows[key] = _row(runs, subject, bits, data)
        write_atomically(out, json.dumps({"rows": rows}, indent=1).encode())
    return {"rows": rows}


def _wanted(only: Sequence[str]) -> dict[str, tuple[Subject, tuple[int, int]]]:
    """What is to be measured, by the name of its row."""
    listed = {
        f"{subject.name} W{bits[0]}A{bits[1]}": (subject, bits)
        for subject in SUBJECTS
        for bits in subject.bits
    }
    known = {*listed, *(subject.model for subject in SUBJECTS)}
    unknown = [name for name in only if name not in known]
    if unknown:
        models = ", ".join(sorted({subject.model for subject in SUBJECTS}))
        raise UserError(
            f"--only {unknown[0]!r} is no network of this bench; choose of {models}, or a row such as "
            f"{next(iter(listed))!r}"
        )
    return {
        key: (subject, bits)
        for key, (subject, bits) in listed.items()
        if not only or subject.model in only or key in only
    }


def _kept(out: Path) -> dict[str, Any]:
    try:
        rows: dict[str, Any] = json.loads(out.read_text())["rows"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return rows


def _row(runs: Path, subject: Subject, bits: tuple[int, int], data: Path | None) -> dict[str, Any]:
    words = ["run", "--model", subject.model, "--synthesis", "noise", "--quantization", "nearest"]
    words += ["--weight-bits", str(bits[0]), "--activation-bits", str(bits[1])]
    words += ["--preset", "quick", "--runs", str(runs), "--json"]
    words += ["--set", f"model.form={subject.form}"] if subject.form else []
    words += ["--data", str(data)] if data and not subject.model.endswith("-fashion") else []
    result = answer_of(*words)
    found = export(RunFolder.open(runs, result["run"]), ["onnx", "codes"])
    sizes = {one["kind"]: one["bytes"] for one in found["files"]}
    proof = found["proof"]
    differing = proof["differing"]
    return {
        "run": result["run"],
        "images": proof["images"],
        "agreement": proof["agreement"],
        "differing": len(differing),
        "ties": sum(bool(one["tie"] and one["tie"]["within_rounding"]) for one in differing),
        "largest_logit_difference": proof["largest_logit_difference"],
        "largest_logit": proof["largest_logit"],
        "bytes": {"told": result["size_bytes"]["quantized"], "float": proof["latency_ms"]["float_bytes"],
                  "onnx": sizes["onnx"], "codes": sizes["codes"]},
        "latency_ms": {key: proof["latency_ms"][key] for key in ("float", "quantized", "threads")},
    }  # fmt: skip


def rows_of(result: dict[str, Any]) -> list[list[str]]:
    """The table for a person."""
    head = ["network", "agree", "differ", "by a tie", "largest difference", "told", "ONNX", "codes",
            "ms float", "ms file"]  # fmt: skip
    lines = [head]
    for name, row in result["rows"].items():
        share = "-" if row["agreement"] is None else percent(row["agreement"], 2)
        size, spent = row["bytes"], row["latency_ms"]
        lines.append(
            [name, f"{share} of {row['images']}", str(row["differing"]), str(row["ties"]),
             f"{row['largest_logit_difference']:.2g} of {row['largest_logit']:.2g}",
             *(f"{size[key]:,}" for key in ("told", "onnx", "codes")),
             f"{spent['float']:.2f}", f"{spent['quantized']:.2f}"]
        )  # fmt: skip
    return lines
