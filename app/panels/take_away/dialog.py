"""What a run leaves, to take away: files that are there, and files that are made on demand."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.panels.layers.layer_table import table
from app.panels.shared.press import button
from app.panels.take_away.making import PROVED, make
from app.panels.take_away.sizes import size_before
from app.report.sections import TITLES
from app.run_files.history import read_history
from app.wording.layer_numbers import numbers_of
from app.wording.words import plain, size_words
from engine.export import light_formats, needs_network
from engine.export.base import Expected, FormatCard
from engine.export.sheets import as_csv
from engine.run.exports.export import finished
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.askable import has_student

MADE = "taken-away"  # in the session: what was made, by run and format

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
    frame = table(measured, everything=True)
    return as_csv(frame.to_dict("records")).encode() if measured else None


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
                f"Download · {size_words(len(content))}", content, f"{folder.run_id}_{one.ending}", one.mime,
                key=f"take-{one.name}", icon=":material/download:", on_click="ignore", width="stretch",
            )  # fmt: skip
    if folder.result() is None:
        st.caption("The network, a report and a bundle can be made when the run is finished.")
        return
    left_out = frozenset() if has_student(folder) else needs_network()
    run, _ = finished(folder)
    recipe = folder.recipe
    made_by = {recipe.quantization, recipe.quantization_settings.get("rounding")}
    for name, kind in light_formats().items():
        if name not in left_out and (kind.card.quantizer or recipe.quantization) in made_by:
            _made_on_demand(folder, kind.card, kind().expected(run))
    if left_out:
        st.caption(
            "This run is here without its network: its codes, weights and ONNX file are made where it ran, "
            "or of its recipe run again."
        )


def _row(label: str, words: str) -> tuple[Any, Any]:
    left, right = st.columns([3, 1], vertical_alignment="center", gap="medium")
    left.markdown(f"**{label}**  \n{words}")
    return left, right


def _made_on_demand(folder: RunFolder, card: FormatCard, size: Expected | None) -> None:
    """One format: what it is for, a button that makes its files, then one that hands them over."""
    name = card.name
    left, right = _row(card.title, card.use)
    with left:
        before = st.empty()  # of the size, until the file itself has one
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
            made = make(folder, name, sections or "", left)
            if made is not None:
                st.session_state[MADE][of] = made
                if name in PROVED:  # a report that was made before says nothing of the proof
                    _forget_reports(folder.run_id)
        if made is None:
            before.caption(size_before(size))
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
