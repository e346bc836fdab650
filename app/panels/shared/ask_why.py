"""Questions of why a run is as it is: what is kept stands at once, the rest is asked beside the page."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from app.engine_calls.background import ask, is_asked
from app.panels.shared.folded import folded
from app.panels.shared.press import button
from app.run_files.run_folders import state_of
from app.text import explain
from app.wording.engine_words import page_text
from app.wording.words import time_words
from engine.run.folders.folder import ACTIVE, RunFolder
from engine.run.folders.opened import opened_from
from engine.run.questions.why import answers
from engine.run.questions.why.askable import expected_s, has_student

RECORD = "This run is here as a record alone, without its student and images: use its recipe again."
OPENED = "This run came in a bundle, without its student and images: use its recipe again, and ask that run."
UNFINISHED = "This run did not come to its end: resume it, and ask when it is done."
PAUSED = "This run is paused: continue it, and ask when it is done."
LATER = "When the run is done, it can be asked."
MOST_BITS = 8  # that a layer may have


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a button asks, and what is done for the answer."""

    command: str  # of the engine
    button: str
    icon: str
    does: str


WHY = {
    "explain": Question(
        command="explain", button="Find out where errors come from", icon=":material/account_tree:",
        does="Up to 64 test images pass both networks and every layer's error is split; then each layer in "
        "turn is made float again, to see whose error goes away",
    ),
    "predictions": Question(
        command="predictions", button="Find the answers that change", icon=":material/swap_horiz:",
        does="All test images pass both networks again, and those whose answer changes are followed through "
        "the layers",
    ),
    "bits": Question(
        command="bits", button="Measure every layer at 2 to 8 bits", icon=":material/tune:",
        does="Every layer's weights and input are rounded at each number of bits, and the network is judged "
        "with that alone",
    ),
    "similarity": Question(
        command="similarity", button="Compare the weights", icon=":material/compare_arrows:",
        does="Every layer's weights in teacher and student are freed of scales that do nothing, and compared",
    ),
    "ranges": Question(
        command="ranges", button="Find these images", icon=":material/image_search:",
        does="Every layer's input is looked at, image by image, and its grid fitted again without each of "
        "those that reach furthest",
    ),
    "resources": Question(
        command="resources", button="Tell bytes, energy and time", icon=":material/bolt:",
        does="The network is written as ONNX, and one image passes it and the float network in turns, many "
        "times",
    ),
    "sensitivities": Question(
        command="sensitivities", button="Rank the layers by four measures", icon=":material/leaderboard:",
        does="Every layer's weights are rounded at 2, 3, 4, 6 and 8 bits, and the damage is told by the "
        "weights, by the layer's output, by the curvature and by the answers, each with its time",
    ),
    "tensors": Question(
        command="tensors", button="Look inside this layer", icon=":material/biotech:",
        does="Up to 64 test images, as many of those calibrated on and of noise pass both networks, and "
        "what this layer reads and gives is kept",
    ),
    "storage": Question(
        command="storage", button="Pack the codes", icon=":material/compress:",
        does="Every layer's codes are written packed, Huffman-coded and sparse, and read back",
    ),
}  # fmt: skip


def why_not(folder: RunFolder) -> str:
    """Why a run cannot be asked, and what to do, in a sentence; empty where it can."""
    if folder.result() is None:
        state = state_of(folder)
        return PAUSED if state == "paused" else LATER if state in ACTIVE else UNFINISHED
    if has_student(folder):
        return ""
    return OPENED if opened_from(folder.path) else RECORD


def has_most_bits(folder: RunFolder, path: str, kind: str) -> bool:
    """Whether a layer's weights, or its input, have as many bits as there are; False where nobody knows."""
    layers = (folder.result() or {}).get("layers", [])
    return any(one["path"] == path and (one.get(kind) or 0) >= MOST_BITS for one in layers)


def known(folder: RunFolder, command: str, layer: str = "") -> dict[str, Any] | None:
    """The answer if it is there by now; `layer`: of a question that is put about one layer."""
    if folder.result() is None:
        return None
    if is_asked(command, _key(folder, layer)):
        found: dict[str, Any] | None = _question_of(folder, command, layer).value
        return found
    return answers.kept_answer(folder, command, layer)


def why_unanswered(folder: RunFolder, command: str, layer: str = "") -> str:
    """Why there is no answer and none can be asked for, in a sentence; empty where there is, or can be."""
    said = why_not(folder)
    return said if said and known(folder, command, layer) is None else ""


def is_pending(folder: RunFolder, command: str, layer: str = "") -> bool:
    """Whether somebody has asked and no answer is there."""
    asked = is_asked(command, _key(folder, layer))
    return asked and _question_of(folder, command, layer).is_pending


def ask_for(folder: RunFolder, command: str, layers: int, layer: str = "") -> None:
    """The button with what it does and how long that takes, then the wait, or why there is no answer."""
    question, key = WHY[command], _key(folder, layer)
    seconds = expected_s(folder, command, layers)
    long = (
        "It is kept." if seconds is None else f"It takes about {time_words(seconds)}, and is kept."
    )
    if not is_asked(command, key):
        if not button(question.button, icon=question.icon, key=f"ask-{command}"):
            st.caption(f"{question.does}. {long}")
            return
        _question_of(folder, command, layer)
        st.rerun()  # so that whoever looks again is drawn
    answer = _question_of(folder, command, layer)
    if answer.error:
        st.error(page_text(answer.error))
    elif answer.is_pending:
        st.info(f"{question.does}. {long}", icon=":material/hourglass_top:")


def closed_question(
    folder: RunFolder,
    command: str,
    title: str,
    layers: int,
    draw: Callable[[dict[str, Any]], None],
    *,
    layer: str = "",
    expanded: bool = False,
) -> bool:
    """A question of a finished run, closed until opened; `draw` shows its answer. Whether one is awaited.

    Nothing where it cannot be asked: the tab says why at its end. `layer`: of a question about one layer;
    `expanded`: whether it begins open.
    """
    if why_unanswered(folder, command, layer):
        return False

    def answered() -> None:
        found = known(folder, command, layer)
        if found is None:
            st.caption(explain(command))
            ask_for(folder, command, layers, layer)
        else:
            draw(found)

    folded(title, answered, key=f"{command}-more", icon=WHY[command].icon, expanded=expanded)
    return is_pending(folder, command, layer)


def _question_of(folder: RunFolder, command: str, layer: str = "") -> Any:
    find = partial(answers.answer, folder, command, layer=layer)
    return ask(command, _key(folder, layer), find)


def _key(folder: RunFolder, layer: str = "") -> str:
    return f"{folder.path}:{_finished(folder)}:{layer}"


def _finished(folder: RunFolder) -> int:
    """A run may be deleted and made again under the same name: that is another run to ask."""
    try:
        return (folder.path / "result.json").stat().st_mtime_ns
    except OSError:
        return 0
