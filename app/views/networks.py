"""What do I have? The networks there are; one of them looked over before anything runs."""

from typing import Any

import streamlit as st

from app.engine_calls.actions import start_run
from app.engine_calls.background import look_again
from app.engine_calls.choices import load_catalog
from app.engine_calls.diagnoses import diagnosis, estimate
from app.engine_calls.recipes import paths_in, recipe_of
from app.panels.bring.page import bring_your_own
from app.panels.networks.anatomy import head, layer_detail, layer_map, layer_table
from app.panels.networks.findings import findings
from app.panels.networks.listed import chosen_network, network_list
from app.panels.networks.methods import method_list, method_menu
from app.panels.networks.settings import network_settings
from app.panels.new_run.estimate import preset_estimates, source_words
from app.panels.shared.agree import agreed
from app.panels.shared.press import button
from app.run_files.run_folders import runs_folder
from app.wording.engine_words import page_text
from app.wording.words import plain
from engine.core.errors import UserError
from engine.run.questions.before_a_run.diagnose import findings_for, layers_with_bits, methods_for
from engine.run.recipes.recipe import Recipe


def layer_section(answer: dict[str, Any], recipe: Recipe, found: list[dict[str, Any]]) -> None:
    """Map, layer and table; a click on either chooses the layer of the address."""
    layers = layers_with_bits(answer, recipe)
    paths = [layer["path"] for layer in layers]
    chosen = st.query_params.get("layer", "")
    st.subheader("What is it made of?")
    picked = layer_map(answer, layers, found, chosen)
    if picked and picked != chosen:
        st.query_params["layer"] = chosen = picked
    if chosen in paths:
        layer_detail(layers[paths.index(chosen)])
    with st.expander(f"All {len(layers)} layers as a table", icon=":material/table_rows:"):
        row = layer_table(layers, key=f"layers-{recipe.model}")
        if row and row != st.session_state.get("layer-row"):
            st.session_state["layer-row"] = row
            st.query_params["layer"] = row
            st.rerun()


def cost_section(
    catalog: dict[str, Any], wanted: dict[str, Any], methods: list[dict[str, Any]]
) -> None:
    """Methods, the presets side by side, and the way to a run."""
    st.subheader("What would a run cost here?")
    wanted = wanted | method_menu(methods)
    preset_estimates(catalog, wanted)
    try:
        quick = recipe_of(catalog, **wanted | {"preset": "quick", "images": None})
    except UserError as error:
        st.error(page_text(error))
        return
    known = estimate(quick)
    if known.value:
        st.caption(source_words(known.value))
    if button(
        "Start a quick run with this network", type="primary", icon=":material/play_arrow:",
        key="start-network",
    ):  # fmt: skip
        start_run(wanted | {"preset": "quick", "images": None})


def one_network(catalog: dict[str, Any], entry: dict[str, Any]) -> None:
    """What may go wrong with it, its map and table, what can work, what a run would cost."""
    st.header(plain(entry["title"]), anchor="network")
    if entry.get("summary"):
        st.caption(plain(entry["summary"]))
    wanted = network_settings(entry["name"])
    if not agreed(paths_in(wanted), key="network-files"):
        return
    try:
        recipe = recipe_of(
            catalog, runs=runs_folder(), synthesis="noise", quantization="nearest", preset="quick",
            images=None, **wanted,
        )  # fmt: skip
    except UserError as error:
        st.error(page_text(error))
        return
    wanted |= {"data": recipe.data, "weights": recipe.weights}  # as they were found
    known = diagnosis(recipe)
    if known.error:
        st.error(plain(known.error))
        return
    if known.is_pending:
        st.info(
            "The network is being loaded and looked over: some seconds.", icon=":material/search:"
        )
        look_again(True)
        return
    answer = known.value
    head(answer["facts"])
    found = findings_for(answer, recipe)
    st.subheader("What may go wrong?")
    findings(found)
    layer_section(answer, recipe, found)
    methods = methods_for(answer, recipe, catalog)
    st.subheader("What cannot work on it?")
    method_list(methods)
    cost_section(catalog, wanted, methods)


def networks_page() -> None:
    """The list, then one of them."""
    left, right = st.columns([5, 2], vertical_alignment="center")
    left.title("What do I have?")
    with right.container(horizontal=True, horizontal_alignment="right"):
        if button("Bring your own", type="primary", icon=":material/upload:", key="bring-own"):
            st.query_params["own"] = "1"
            st.rerun()
    try:
        with st.spinner("Looking what networks and methods there are…", show_time=True):
            catalog = load_catalog()
    except (RuntimeError, OSError) as error:
        st.error(f"The engine could not say what it has. {page_text(error)}")
        return
    network_list(catalog)
    entry = chosen_network(catalog)
    if entry is not None:
        one_network(catalog, entry)


if st.query_params.get("own"):
    bring_your_own()
else:
    networks_page()
