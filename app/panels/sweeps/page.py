"""What the page Runs shows of sweeps: the list of those that were started, a new one, or one matrix."""

from typing import Any

import streamlit as st

from app.engine_calls.choices import title_of
from app.engine_calls.sweeps import sweep_folder
from app.panels.shared.press import button
from app.panels.sweeps.form import sweep_form
from app.panels.sweeps.matrix import sweep_matrix
from app.run_files.run_folders import runs_folder
from app.text import explain
from app.wording.engine_words import page_text
from app.wording.words import ago, plain
from engine.core.errors import UserError
from engine.run.sweeps import process
from engine.run.sweeps.plan import make_sweep

NEW = "new"  # in the address, where else the name of a sweep stands
LISTED = 5


def sweep_list() -> None:
    """The newest sweeps, each a button that opens its matrix, and one for a new sweep."""
    st.subheader("Which of many is better?", anchor=False, help=explain("better"))
    st.caption("A sweep runs every combination of a few choices and tells them as one table.")
    if button("New sweep", icon=":material/grid_on:", key="sweep-new"):
        _open(NEW)
    for folder in process.kept_sweeps(runs_folder())[:LISTED]:
        try:
            label = sweep_words(process.request_of(folder))
        except UserError:
            continue
        when = ago((folder / process.ASKED).stat().st_mtime)
        at_work = " · at work" if process.is_at_work(folder) else ""
        told = f"{plain(label)} · {when}{at_work}"
        if button(told, key=f"open-{folder.name}", type="tertiary"):
            _open(folder.name)


def sweep_page(name: str) -> None:
    """A new sweep's form, or the matrix of the one with this name."""
    st.title(
        "What shall be compared?" if name == NEW else "Which of many is better, and is it real?",
        anchor=False,
        help=explain("better"),
    )
    if button("All runs", icon=":material/arrow_back:", key="all-runs"):
        st.query_params.clear()
        st.rerun()
    try:
        if name == NEW:
            sweep_form()
        else:
            folder = sweep_folder(name)
            st.caption(plain(sweep_words(process.request_of(folder))))
            sweep_matrix(folder)
    except UserError as error:
        st.error(page_text(error))


def sweep_words(asked: dict[str, Any]) -> str:
    """For example "ResNet-20 · images: GENIE · quantizer: 3 kinds · W4A4 · 3 seeds"; UserError if damaged."""
    sweep = make_sweep(**asked)
    return " · ".join(
        (
            _some("models", sweep.models, "networks"),
            f"images: {_some('synthesis', sweep.synthesis, 'sources')}",
            f"quantizer: {_some('quantization', sweep.quantization, 'kinds')}",
            ", ".join(f"W{weights}A{inputs}" for weights, inputs in sweep.bits),
            f"{len(sweep.seeds)} {'seed' if len(sweep.seeds) == 1 else 'seeds'}",
        )
    )


def _some(kind: str, names: tuple[str, ...], many: str) -> str:
    if len(names) > 2:
        return f"{len(names)} {many}"
    return " and ".join(title_of(kind, name) for name in names)


def _open(name: str) -> None:
    st.query_params["sweep"] = name
    st.rerun()
