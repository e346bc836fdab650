"""What a run leaves, to take away: files that are there, and files that are made on demand."""

import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.panels.layers.layer_table import table
from app.panels.shared.press import button
from app.report.sections import TITLES
from app.run_files.history import read_history
from app.wording.layer_numbers import numbers_of
from app.wording.words import plain, size_words
from engine.core.errors import UserError
from engine.core.percent import percent
from engine.export import format_lines, needs_network
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.askable import has_student
from engine.run.subprocess_answer import CommandError, answer_of

MADE = "taken-away"  # in the session: what was made, by run and format
PROVED = ("onnx",)  # formats whose file is held against the student
LABELS = {"onnx": "ONNX", "codes": "Codes", "state-dict": "PyTorch weights"}

OPEN = "take-away-of"  # of the session: the run whose dialog is open


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A file to download; `make` gives its content, or None where the run has nothing of it."""

    name: str
    label: str
    words: str  # what is in it, and for whom
    ending: str
    mime: str
    make: Callable[[RunFolder], bytes | None]


def _result(folder: RunFolder) -> bytes | None:
    result = folder.result()
    return None if result is None else json.dumps(result, indent=1).encode()


def _layers(folder: RunFolder) -> bytes | None:
    measured = {one["path"]: numbers_of(one) for one in read_history(folder).layers_measured()}
    frame: pd.DataFrame = table(measured, everything=True)
    return frame.to_csv(index=False).encode() if measured else None


def _recipe(folder: RunFolder) -> bytes | None:
    return folder.recipe.to_json().encode()


FORMATS = [
    Format(
        name="result", label="The result as JSON", ending="result.json", mime="application/json",
        words="Accuracies with their bands, sizes, times, and every layer's numbers.", make=_result,
    ),
    Format(
        name="layers", label="The layers as a table (CSV)", ending="layers.csv", mime="text/csv",
        words="A row a layer, a column a number; opens in a spreadsheet.", make=_layers,
    ),
    Format(
        name="recipe", label="The recipe as JSON", ending="recipe.json", mime="application/json",
        words="All that the run depends on: the same recipe gives the same run.", make=_recipe,
    ),
]  # fmt: skip


def take_away_button(folder: RunFolder) -> None:
    """The button; it opens the dialog with every format that the run has something of."""
    if button("Take away", icon=":material/download:", key="take-away"):
        st.session_state[OPEN] = folder.run_id
    # Drawn as long as it is open: a page that draws itself anew while a run is at work would close it.
    if st.session_state.get(OPEN) == folder.run_id:
        _dialog(folder)


def _close() -> None:
    st.session_state.pop(OPEN, None)


@st.dialog("Take away", width="large", on_dismiss=_close)
def _dialog(folder: RunFolder) -> None:
    st.caption("Files to keep, to send, or to go on with elsewhere.")
    for one in FORMATS:
        _, right = _row(one.label, one.words)
        with right:
            content = one.make(folder)
            if content is None:
                st.caption("This run has none yet.")
                continue
            st.download_button(
                "Download", content, f"{folder.run_id}_{one.ending}", one.mime, key=f"take-{one.name}",
                icon=":material/download:", on_click="ignore", width="stretch",
            )  # fmt: skip
    if folder.result() is None:
        st.caption("The network, a report and a bundle can be made when the run is finished.")
        return
    left_out = frozenset() if has_student(folder) else needs_network()
    for name, line in format_lines().items():
        if name not in left_out:
            _made_on_demand(folder, name, line)
    if left_out:
        st.caption(
            "This run is here without its network: its codes, weights and ONNX file are made where it ran, "
            "or of its recipe run again."
        )


def _row(label: str, words: str) -> tuple[Any, Any]:
    left, right = st.columns([3, 1], vertical_alignment="center", gap="medium")
    left.markdown(f"**{label}**  \n{words}")
    return left, right


def _made_on_demand(folder: RunFolder, name: str, line: str) -> None:
    """One format: a button that makes its files, then one that hands them over."""
    label, _, words = line.partition(": ")
    words = words or label
    left, right = _row(LABELS.get(name, label), f"{words[:1].upper()}{words[1:]}")
    with left:
        sections = _sections() if name == "report" else None
    of = (folder.run_id, name, sections)
    made = st.session_state.setdefault(MADE, {}).get(of)
    with right:
        place = st.empty()  # what is made takes the button's place
        if made is None and button(
            "Make", key=f"make-{name}", place=place, icon=":material/build:", width="stretch",
            disabled=sections == "",
            help="Some seconds; ONNX is proved on the test images, which takes a minute or so.",
        ):  # fmt: skip
            made = _make(folder, name, sections or "", left)
            if made is not None:
                st.session_state[MADE][of] = made
                if name in PROVED:  # a report that was made before says nothing of the proof
                    _forget_reports(folder.run_id)
        if made is None:
            return
        content, file, mime = made["content"], made["file"], made["mime"]
        place.download_button(
            f"Download · {size_words(len(content))}", content, file, mime, key=f"take-{name}",
            icon=":material/download:", on_click="ignore", width="stretch",
        )  # fmt: skip
    for said in made["said"]:
        left.caption(plain(said))


def _forget_reports(run: str) -> None:
    made: dict[tuple[str, ...], Any] = st.session_state[MADE]
    for of in [of for of in made if of[:2] == (run, "report")]:
        del made[of]


def _sections() -> str | None:
    """The sections chosen for a report, with commas; None for all of them."""
    chosen = st.pills(
        "Sections", list(TITLES), format_func=TITLES.__getitem__, selection_mode="multi",
        default=list(TITLES), key="report-sections", wrap=True,
        help="What was never asked of this run has nothing to say, and is left out.",
    )  # fmt: skip
    return None if len(chosen) == len(TITLES) else ",".join(n for n in TITLES if n in chosen)


def _make(folder: RunFolder, name: str, sections: str, place: Any) -> dict[str, Any] | None:
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
        made = _packed(files, folder.run_id, name)
    notes = [note for one in answer["files"] if one["kind"] == name for note in one["notes"]]
    made["said"] = [note for note in notes if "--" not in note]  # options are for the command line
    if name in PROVED and answer.get("proof"):
        made["said"].insert(0, _proof(answer["proof"]))
    return made


def _packed(files: list[Path], run: str, name: str) -> dict[str, Any]:
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


def _proof(proof: dict[str, Any]) -> str:
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
