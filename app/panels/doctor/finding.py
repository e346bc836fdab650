"""One finding: what is wrong, how sure that is, what would help, and what came of it when it was tried."""

from typing import Any

import streamlit as st

from app.charts.why.doctor import evidence_chart, evidence_words
from app.components import mount
from app.engine_calls.actions import try_it
from app.links.onward import lead_to, onward
from app.panels.shared.press import button
from app.run_files.run_folders import is_recorded, open_run
from app.wording.engine_words import page_text
from app.wording.words import plain
from engine.core.errors import UserError
from engine.core.percent import BAND, percent
from engine.run.folders.folder import RunFolder
from engine.run.questions.doctor.scoreboard import RIGHT

SEVERITY = {
    "red": ":red-badge[:material/error: serious]",
    "yellow": ":orange-badge[:material/warning: costs something]",
    "note": ":gray-badge[:material/info: note]",
}


def finding_card(
    folder: RunFolder, loss: dict[str, Any], finding: dict[str, Any], number: int
) -> bool:
    """Draws it; whether its change is being tried just now."""
    at_work = is_being_tried(finding)
    with st.container(border=True, gap="small"):
        left, right = st.columns([4, 1], vertical_alignment="top")
        with left:
            where = f" · `{finding['layer']}`" if finding["layer"] else ""
            st.markdown(
                f"{SEVERITY[finding['severity']]} **{page_text(finding['title'])}**{where}  \n"
                + page_text(finding["cause"]),
                help=f"Where the rule comes from: {page_text(finding['source'])}.",
            )
        with right, st.container(horizontal=True, horizontal_alignment="right"):
            _act(folder, finding, number, at_work=at_work)
            _evidence(folder, finding, number)
        if finding["change"] is not None:
            st.markdown(_change_words(finding, loss))
        if at_work:
            st.caption(":material/hourglass_top: It is being tried; what it gains will stand here.")
    return at_work


def is_being_tried(finding: dict[str, Any]) -> bool:
    """Whether a run with its change is at work, or waits for its turn."""
    tried = finding["tried"]
    return tried is not None and tried["measured_gain"] is None


def _change_words(finding: dict[str, Any], loss: dict[str, Any]) -> str:
    words = f":material/build: **{upper(page_text(finding['change']['words']))}.** "
    tried = finding["tried"]
    if tried is not None and tried["measured_gain"] is not None:
        return words + f":material/check: {measured_words(tried, finding)}"
    track = f" {page_text(finding['track']['words'])}" if finding["track"] else ""
    return words + gain_words(finding, loss) + track


def _act(folder: RunFolder, finding: dict[str, Any], number: int, *, at_work: bool) -> None:
    """Try it, watch it, or open what tried it."""
    if finding["change"] is None:
        return
    if finding["tried"] is not None:
        run_link(finding["tried"]["run"], "Watch it" if at_work else "Open it")
    elif button(
        "Run it" if finding.get("untold") else "Try it", icon=":material/play_arrow:", key=f"try-{number}",
        help="Runs the recipe with this one change; images that are the same are not made again.",
    ):  # fmt: skip
        way = onward()
        run = try_it(folder, finding)
        if run is None:
            return
        if finding.get("untold"):  # nothing of it will stand here
            lead_to(way, run=run)
        st.rerun()


def gain_words(finding: dict[str, Any], loss: dict[str, Any]) -> str:
    """What the change would gain, as far as that could be tried out in memory."""
    gain, unit = finding["predicted_gain"], finding["unit"]
    if finding.get("untold"):
        return f"What it gains cannot be told, not even by a run. {page_text(finding['untold'])}"
    if gain is None:
        return "What it gains cannot be told before it is tried."
    told = f"Predicted: {amount_words(gain, unit)}"
    if unit == loss["unit"] and loss["value"]:
        told += f", {percent(gain / loss['value'], 0)} of all that is lost"
    if finding["band"] is not None:
        low, high = (_number(end, unit) for end in finding["band"])
        told += f" ({BAND}: {low} to {high})"
    return f"{told}."


def measured_words(tried: dict[str, Any], finding: dict[str, Any]) -> str:
    """What it gained when it was run, beside what was predicted."""
    gain, unit = tried["measured_gain"], tried["unit"]
    helped = "It helped" if tried.get("helped") else "**It did not help**"
    told = f"Tried. {helped}: {amount_words(gain, unit)}"
    if tried.get("measured_band"):
        low, high = (_number(end, unit) for end in tried["measured_band"])
        told += f" ({BAND}: {low} to {high})"
    if finding["predicted_gain"] is not None and unit == finding["unit"]:
        told += f" ({_number(finding['predicted_gain'], unit)} predicted)"
    return f"{told}."


def amount_words(gain: float, unit: str) -> str:
    """So much gained, in words that say what it is."""
    if unit == "KL":
        less = "nearer to" if gain >= 0 else "further from"
        return f"the answers {abs(gain):.3g} nats {less} the teacher's"
    if unit == "top1":
        return f"{100 * gain:+.2f} points of accuracy"
    if unit == "verification":
        return f"{100 * gain:+.2f} points of pairs judged rightly"
    return f"{gain:+.1f} {unit}"


def _number(value: float, unit: str) -> str:
    return f"{100 * value:+.2f}" if unit in RIGHT else f"{value:.3g}"


def _evidence(folder: RunFolder, finding: dict[str, Any], number: int) -> None:
    words, chart = evidence_words(finding["evidence"]), evidence_chart(finding["evidence"])
    if not words and chart is None:
        return
    with st.popover("", icon=":material/search:", help="What it stands on"):
        if words:
            st.caption(plain(words))
        if chart is not None:
            key = f"evidence-{folder.run_id}-{number}"
            mount.live_plot(chart, key=key, run=folder.run_id, offset=0)
        if finding["layer"] and button("Look at this layer", key=f"look-{number}"):
            st.query_params["layer"] = finding["layer"]
            st.rerun()


def run_link(run: str, label: str) -> None:
    """A way to the run, where it is still there."""
    try:
        known = not is_recorded(open_run(run))
    except UserError:
        known = False  # deleted since
    if known:
        st.page_link(
            "views/run.py", label=label, icon=":material/science:", query_params={"run": run}
        )


def upper(text: str) -> str:
    """The text with a capital."""
    return text[:1].upper() + text[1:]
