"""How do I look at a network of my own? A checkpoint, a form, a trial, a name: then it is in every menu."""

import re
from dataclasses import replace

import streamlit as st

from app.access.uploads import Source, files_of
from app.access.visitors import may_control
from app.engine_calls.actions import forget_network, save_network, start_run
from app.engine_calls.choices import may_use
from app.panels.bring.file import file_step
from app.panels.bring.form import form_step
from app.panels.bring.trial import images_choice, trial_step
from app.panels.shared.press import button
from app.presets import USUAL
from app.run_files.run_folders import runs_folder
from app.wording.engine_words import page_text
from app.wording.words import plain
from engine.core.errors import UserError
from engine.run import networks
from engine.run.networks import Brought

QUICK = {"preset": "quick", "weight_bits": 4, "activation_bits": 4, "images": None}


def save_step(source: Source, brought: Brought, images: Source | None) -> None:
    """A name, and into the menus."""
    st.subheader("4 · Keep it")
    proposed = re.sub(r"[^a-z0-9]+", "-", brought.title.lower()).strip("-")[:48] or "network"
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
    name = left.text_input(
        "Name", proposed, key=f"bring-name-{source.key}", max_chars=48,
        help="Lower-case letters, digits and hyphens; it is called mine/NAME from then on.",
    )  # fmt: skip
    with right, st.container(horizontal=True, vertical_alignment="center"):
        wanted = button("Save", type="primary", icon=":material/save:", key="bring-save")
        over = st.checkbox("replace one of that name", key="bring-replace")
    if not wanted:
        return
    try:
        with st.spinner("Saving…"), files_of(source, images) as paths:
            asked = replace(brought, weights=paths[0], images=paths[1])
            saved = save_network(name.strip(), asked, replace=over)
    except UserError as error:
        st.error(page_text(error))
        return
    st.session_state["bring-saved"] = saved
    st.rerun()


def saved_networks() -> None:
    """Those saved so far, each with what can be done with it."""
    folder = networks.networks_folder(runs_folder())
    mine = [one for one in networks.list_saved(folder) if may_use(one.full_name)]
    if not mine:
        return
    just = st.session_state.pop("bring-saved", "")
    if just:
        st.success(f"**{just}** is saved: it is in every menu now.", icon=":material/check_circle:")
    st.subheader("Yours so far")
    for one in mine:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            size = " × ".join(map(str, one.image_shape))
            images = " · with test images" if one.images else ""
            dataset = f" · {one.dataset}" if one.dataset else ""
            st.markdown(
                f"**{one.full_name}** · {plain(one.title)}{plain(dataset)} · {size}{images}",
                width="stretch",
            )
            if button(
                "Quick run at W4A4", key=f"bring-run-{one.name}", icon=":material/play_arrow:"
            ):
                start_run(USUAL | QUICK | {"model": one.full_name})
            if may_control(folder / one.name) and button(
                "Remove", key=f"bring-forget-{one.name}", icon=":material/delete:"
            ):
                confirm_removal(one.full_name)


@st.dialog("Remove this network?")
def confirm_removal(name: str) -> None:
    """Ask, then remove."""
    st.write(f"{name} with its weights is removed for good; runs made with it stay.")
    if button("Remove for good", type="primary", key="bring-forget-confirmed"):
        try:
            forget_network(name)
        except UserError as error:
            st.error(page_text(error))
            return
        st.rerun()


def bring_your_own() -> None:
    """The whole page: file, form, trial, name; and the networks that were brought."""
    st.title("Bring your own network")
    if button(
        "Back to the networks", type="tertiary", icon=":material/arrow_back:", key="bring-back"
    ):
        st.query_params.pop("own", None)
        st.rerun()
    found = file_step()
    if found is not None:
        source, facts = found
        brought = form_step(source.key, facts)
        if brought is not None:
            st.subheader("3 · Does it work?")
            images = images_choice()
            trial_step(source, brought, images)
            save_step(source, brought, images)
    saved_networks()
