"""Do it all: the doctor's changes are run one after another; what was tried, what helped, what came of it."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.access.visitors import may_control
from app.engine_calls.cures import Course, course_of, start_cure, stop_cure
from app.panels.doctor.finding import amount_words, run_link, upper
from app.panels.shared.folded import folded
from app.panels.shared.press import button
from app.wording.engine_words import page_text
from app.wording.words import size_words, time_words
from engine.core.errors import UserError
from engine.core.percent import percents
from engine.run.folders.folder import RunFolder
from engine.run.questions.doctor.cure.cure import MOST_RUNS
from engine.run.questions.doctor.cure.kept import TRIES, place_of

NOT_AGAIN = ("synthesis",)  # stages whose result the changed runs share


def do_it_all_button(folder: RunFolder, found: dict[str, Any]) -> None:
    """The button, where something is to be done and nothing was begun."""
    wanted = any(one["change"] and one["severity"] != "note" for one in found["findings"])
    if wanted and course_of(folder) is None:
        _button(folder, "Do it all")


def course_card(folder: RunFolder) -> bool:
    """What is tried, and what came of it, once it was begun. Whether it is at work."""
    course = course_of(folder)
    if course is None:
        return False
    with st.container(border=True, gap="small"):
        st.markdown(headline(course))
        _steps(course)
        if course.at_work and course.doing != TRIES:
            st.caption(":material/hourglass_top: The doctor looks at the best run so far.")
        _steer(folder, course)
    return course.at_work


def _steps(course: Course) -> None:
    """The change that is at work; what was tried before closed: a tab is two screens high at most."""
    now = [step for step in course.steps if course.at_work and step["helped"] is None]
    older = course.steps[: len(course.steps) - len(now)]

    def draw() -> None:
        for number, step in enumerate(older):
            _step(step, number)

    if older:
        many = f"What was tried: {len(older)} change{'s' if len(older) > 1 else ''}"
        folded(many, draw, key="cure-tried", icon=":material/history:")
    for number, step in enumerate(now, len(older)):
        _step(step, number)


def headline(course: Course) -> str:
    """How many changes helped, and what that made of the network, as far as it is known."""
    tried = [one for one in course.steps if one["helped"] is not None]
    helped = sum(bool(one["helped"]) for one in tried)
    said = f"**{helped} of {len(tried)} changes helped**" if tried else "**Nothing is tried yet**"
    if helped and course.before and course.after:
        said += f": {became(course.before, course.after)}"
    if course.at_work:
        return f"{said}. It goes on when this page is closed."
    why = course.ended or "It was ended before it was through"
    return f"{said}. {page_text(why)}."


def became(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The numbers of the run and of the best one since, those that both have."""
    words = (
        ("top1", "accuracy", percents),
        ("agreement", "same answers as the float network", percents),
        ("sqnr_db", "SQNR of the output", lambda *values: [f"{one:.1f} dB" for one in values]),
        ("size_bytes", "size", lambda *values: [size_words(one) for one in values]),
    )
    told = [
        f"{name} {' → '.join(say(before[key], after[key]))}"
        for key, name, say in words
        if before.get(key) is not None and after.get(key) is not None
    ]
    if before.get("agreement") is not None:  # says it better
        told = [one for one in told if not one.startswith("SQNR")]
    return ", ".join(told)


def _step(step: dict[str, Any], number: int) -> None:
    """One change: what it was, what it did, and the way to its run."""
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.markdown(step_words(step))
    with right, st.container(horizontal=True, horizontal_alignment="right", key=f"cure-{number}"):
        run_link(step["run"], "Watch it" if step["helped"] is None else "Open it")


def step_words(step: dict[str, Any]) -> str:
    """For example "Helped: give fc 8 bits, the answers 0.13 nats nearer to the teacher's"."""
    what = f"**{upper(page_text(step['change']))}.**"
    if step["helped"] is None:
        return f":material/hourglass_top: {what} It is run now, or waits for its turn."
    if step["measured_gain"] is None:
        return f":material/block: {what} Its run did not end well, and it was left."
    gain = amount_words(step["measured_gain"], step["unit"])
    if step["helped"]:
        return f":green[:material/check:] {what} It helped, and was kept: {gain}."
    return f":material/close: {what} It did not help, and was left: {gain}."


def _steer(folder: RunFolder, course: Course) -> None:
    with st.container(horizontal=True):
        if course.best != folder.run_id:
            run_link(course.best, "Open the best run")
            st.page_link(
                "views/runs.py", label="Compare it with this run", icon=":material/compare_arrows:",
                query_params={"runs": f"{folder.run_id},{course.best}"},
            )  # fmt: skip
        if not may_control(place_of(folder)):
            return
        if course.at_work:
            if button("Stop", icon=":material/stop:", key="cure-stop"):
                _explained(lambda: stop_cure(folder))
        elif not course.through:
            _button(folder, "Go on")


def _button(folder: RunFolder, label: str) -> None:
    if button(label, icon=":material/playlist_play:", key="do-it-all", help=_takes(folder)):
        _explained(lambda: start_cure(folder))


def _takes(folder: RunFolder) -> str:
    seconds = (folder.result() or {}).get("seconds") or {}
    each = sum(value for stage, value in seconds.items() if stage not in NOT_AGAIN)
    long = f", each about {time_words(each)} and a look of the doctor's" if each else ""
    return (
        f"Runs what the doctor proposes, one change after another{long}, and builds on those that helped. It "
        f"ends when nothing serious is left, when nothing helps any more, or after {MOST_RUNS} runs; it goes "
        "on when this page is closed."
    )


def _explained(act: Callable[[], None]) -> None:
    try:
        act()
    except UserError as error:
        st.error(page_text(error))
    else:
        st.rerun()
