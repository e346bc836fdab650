"""The best in a given time: as many images and steps as fit, by the pace that was measured here."""

from typing import Any

import streamlit as st

from app.engine_calls.diagnoses import pace_of
from app.engine_calls.recipes import recipe_of
from app.panels.new_run.draft import Draft, recipe_fields
from app.run_files.run_folders import runs_folder
from app.wording.engine_words import page_text
from engine.core.errors import UserError
from engine.run.questions.before_a_run.time_budget import clock, fitted, is_steps

TIMES = {30: "30 s", 120: "2 min", 600: "10 min"}
HELP = (
    "Chooses how many images and steps fit into that time on this machine, by a few steps that are measured "
    "once. More steps and more images make a better student; how much better, only the run can tell."
)


def in_time(catalog: dict[str, Any], draft: Draft) -> tuple[bool, dict[str, Any] | None]:
    """(whether the pace is still being measured, the recipe's fields that fit, once a time is chosen)."""
    seconds = st.segmented_control(
        "Or the best that fits into", list(TIMES), format_func=lambda one: TIMES[one],
        key=f"new-{draft.number}-within", help=HELP,
    )  # fmt: skip
    if seconds is None:
        return False, None
    try:
        recipe = recipe_of(catalog, **of_any_budget(draft.complete()))
        answer = pace_of(recipe)
        if answer.error:
            st.error(page_text(answer.error))
        elif answer.is_pending:
            st.caption(":material/schedule: A few steps are being measured first…")
        else:
            return False, recipe_fields(
                fitted(recipe, float(seconds), clock(runs_folder(), answer.value), {})
            )
        return answer.is_pending, None
    except (UserError, OSError) as error:
        st.warning(page_text(error))
        return False, None


def of_any_budget(wanted: dict[str, Any]) -> dict[str, Any]:
    """What was asked for without its images and steps: the effort's own are what time is shared out from."""
    kinds = ("synthesis_settings", "quantization_settings")
    kept = {
        kind: {name: value for name, value in wanted[kind].items() if not is_steps(name)}
        for kind in kinds
    }
    return wanted | kept | {"images": None}
