"""Files of a format, made by the command line and handed over as one; what the proof says of them."""

import tempfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import streamlit as st

from app.wording.words import plain
from engine.core.errors import UserError
from engine.core.percent import percent
from engine.run.folders.folder import RunFolder
from engine.run.subprocess_answer import CommandError, answer_of

PROVED = ("onnx",)  # formats whose file is held against the student


def make(folder: RunFolder, name: str, sections: str, place: Any) -> dict[str, Any] | None:
    """The files of a format in one: its only file, or a zip of all; None, and a line, where it cannot be."""
    chosen = ["--sections", sections] if sections else []
    with tempfile.TemporaryDirectory(prefix="quantoscope-") as scratch:
        try:
            with st.spinner("Making it…", show_time=True):
                answer = answer_of(
                    "export", folder.run_id, "--runs", str(folder.path.parent), f"--{name}",
                    "--out", scratch, "--json", *chosen,
                )  # fmt: skip
        except (UserError, CommandError) as error:
            place.warning(plain(getattr(error, "line", error)))
            return None
        files = [Path(one["path"]) for one in answer["files"] if one["kind"] == name]
        made = packed(files, folder.run_id, name)
    notes = [note for one in answer["files"] if one["kind"] == name for note in one["notes"]]
    made["said"] = [note for note in notes if "--" not in note]  # options are for the command line
    if name in PROVED and answer.get("proof"):
        made["said"].insert(0, proof_words(answer["proof"]))
    return made


def packed(files: list[Path], run: str, name: str) -> dict[str, Any]:
    """The content, name and type of the only file, or of a zip of all."""
    if len(files) == 1 and files[0].is_file():
        file = files[0]
        mime = {".html": "text/html", ".webp": "image/webp", ".mp4": "video/mp4"}.get(
            file.suffix, "application/octet-stream"
        )
        named = file.name if file.name.startswith(run) else f"{run}_{file.name}"
        return {"content": file.read_bytes(), "file": named, "mime": mime}
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
    return {"content": buffer.getvalue(), "file": f"{run}_{name}.zip", "mime": "application/zip"}


def proof_words(proof: dict[str, Any]) -> str:
    """What ONNX Runtime says of the file itself."""
    spent = proof["latency_ms"]
    ratio = spent["quantized"] / spent["float"]
    speed = f"{ratio:.1f} times as long as" if ratio > 1 else f"{ratio:.2f} of the time of"
    agreed = proof["agreement"]
    answers = (
        ""
        if agreed is None
        else f"gives the student's answer for {percent(agreed, 2)} of {proof['images']:,} images"
        f"{_others(proof)}, "
    )
    return (
        f"The file itself, run by ONNX Runtime, {answers}differs by at most "
        f"{proof['largest_logit_difference']:.2g} (outputs go up to {proof['largest_logit']:.3g}) and takes "
        f"{spent['quantized']:.2f} ms an image, {speed} "
        f"the float file, on {spent['threads']} thread{'s' if spent['threads'] > 1 else ''}."
    )


def _others(proof: dict[str, Any]) -> str:
    """How many images it answers otherwise, and how many of them by a tie; nothing where there are none."""
    differing = proof["differing"]
    ties = sum(bool(one["tie"] and one["tie"]["within_rounding"]) for one in differing)
    return (
        f" ({len(differing)} otherwise, {ties} by a tie within float rounding)" if differing else ""
    )
